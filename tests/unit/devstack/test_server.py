"""The stack over HTTP: on loopback only, bounded, and with its files beside it."""

import http.client
import json
import socket
from pathlib import Path
from textwrap import dedent
from urllib.parse import urlsplit

import pytest

from devstacks import now, root_of, running, token
from retinue.attest.anchors import KeylessAnchor
from retinue.cli.dev_stack import described
from retinue.devstack.errors import NotLoopback
from retinue.devstack.server import Server, check_loopback
from retinue.policy.file import load


def ask(server: Server, method: str, path: str, **headers: str) -> int:
    parts = urlsplit(server.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    connection.putrequest(method, path)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    with connection.getresponse() as answer:
        answer.read()
        status = answer.status
    connection.close()
    return status


def test_it_listens_and_leaves_what_clients_need(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        assert server.stack.issuer.read(token(server), server.stack._clock())
        assert {log.name for log in root_of(server).logs} == {server.url}
        files = {path.name for path in tmp_path.iterdir() if path.is_file()}
        urls = json.loads((tmp_path / "signing_config.v0.2.json").read_text())["caUrls"]

    assert files == {
        "client_trust_config.json", "signing_config.rekor-v1.json", "signing_config.v0.2.json",
        "trusted_root.json",
    }  # fmt: skip
    assert urls[0]["url"] == server.url


def test_bodies_are_bounded_and_have_a_length(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        found = [
            ask(server, "POST", "/token", Content_Length=str(65 << 20)),
            ask(server, "POST", "/token", Content_Length="9" * 30),
            ask(server, "POST", "/token", Content_Length="-1"),
            ask(server, "POST", "/token", Transfer_Encoding="chunked"),
            ask(server, "DELETE", "/token"),
            ask(server, "GET", "/keys"),
        ]

    assert found == [413, 413, 411, 411, 501, 200]


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.test", "", "::"])
def test_beyond_loopback_it_does_not_listen(tmp_path: Path, host: str) -> None:
    with pytest.raises(NotLoopback, match="loopback only"):
        Server(tmp_path / "new", host, 0, lambda: pytest.fail("no clock is needed"))

    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_has_several_names(host: str) -> None:
    check_loopback(host)


def test_a_port_that_is_taken_is_an_error_of_the_system(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="in use"), running(tmp_path, port=taken.getsockname()[1]):
            pass


def test_it_listens_on_ipv6_too(tmp_path: Path) -> None:
    server = Server(tmp_path, "::1", 0, now)
    try:
        assert server.url.startswith("http://[::1]:")
        assert [log.host for log in root_of(server).logs] == ["::1", "::1"]
    finally:
        server.close()


def test_the_anchor_that_is_printed_is_one(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        shown = described(server.url, tmp_path)
        url = server.url
    anchor = dedent("  [anchors" + shown.partition("  [anchors")[2])
    text = f'version = 1\nunmatched = "refuse"\n{anchor}'

    policy = load(text.encode(), read=lambda name: Path(name).read_bytes())

    (found,) = policy.trust.anchors
    assert isinstance(found, KeylessAnchor)
    assert (found.issuer, found.identity) == (url, "dev@example.test")
