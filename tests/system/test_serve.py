"""The server as its operator and its network see it: processes, signals, connections."""

import http.client
import signal
import socket
import ssl
import subprocess
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest

from builders import LAYER, blobs_of, image
from retinue.oci import digest as digests
from serving import Serving, free_port, until

LARGE = bytes(range(256)) * 8192
Start = Callable[..., Serving]


def push_image(registry: Serving, name: str = "team/app", tag: str = "v1") -> None:
    for digest, data in blobs_of(LAYER).items():
        path = f"/v2/{name}/blobs/uploads/?digest={digest}"
        assert registry.call("POST", path, data).status == 201
    manifest = image(LAYER)
    headers = {"content-type": manifest.media_type}
    assert registry.call("PUT", f"/v2/{name}/manifests/{tag}", manifest.raw, headers).status == 201


def children(serving: Serving) -> set[int]:
    assert serving.process is not None
    pid = serving.process.pid
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {int(each) for each in found}


# ---- content over real connections


def test_an_image_is_pushed_pulled_and_still_there_after_a_restart(start: Start) -> None:
    registry = start()
    push_image(registry)
    registry.stop()
    registry.start()
    answer = registry.get("/v2/team/app/manifests/v1")
    assert answer.body == image(LAYER).raw
    assert answer.headers["content-type"] == image(LAYER).media_type


@pytest.mark.parametrize("data", [b"", b"small", LARGE], ids=["empty", "small", "large"])
def test_a_blob_of_any_size_has_exact_lengths(registry: Serving, data: bytes) -> None:
    digest = digests.of(data)
    path = f"/v2/a/blobs/{digest}"
    assert registry.call("POST", f"/v2/a/blobs/uploads/?digest={digest}", data).status == 201
    got = registry.get(path, {"accept-encoding": "gzip"})
    head = registry.call("HEAD", path)
    assert (got.status, got.body) == (200, data)
    assert got.headers["content-length"] == head.headers["content-length"] == str(len(data))
    assert "content-encoding" not in got.headers


def test_a_range_of_a_large_blob_is_streamed(registry: Serving) -> None:
    digest = digests.of(LARGE)
    registry.call("POST", f"/v2/a/blobs/uploads/?digest={digest}", LARGE)
    answer = registry.get(f"/v2/a/blobs/{digest}", {"range": "bytes=100-1999999"})
    assert (answer.status, answer.body) == (206, LARGE[100:2000000])
    assert answer.headers["content-range"] == f"bytes 100-1999999/{len(LARGE)}"


def test_a_connection_serves_one_request_after_another_errors_included(registry: Serving) -> None:
    push_image(registry)
    connection = http.client.HTTPConnection("127.0.0.1", registry.port, timeout=30)
    statuses = []
    for method, path in (
        ("GET", "/v2/team/app/manifests/v1"),
        ("HEAD", "/v2/team/app/manifests/nope"),
        ("GET", "/v2/team/app/manifests/nope"),
        ("OPTIONS", "/v2/"),
        ("GET", "/v2/team/app/manifests/v1"),
    ):
        connection.request(method, path)
        answer = connection.getresponse()
        answer.read()
        statuses.append(answer.status)
    connection.close()
    assert statuses == [200, 404, 404, 405, 200]


# ---- requests that misbehave


def exchange(registry: Serving, sent: bytes, *, half_close: bool = False) -> bytes:
    with registry.connect() as connection:
        connection.sendall(sent)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        received = b""
        while part := connection.recv(65536):
            received += part
        return received


PUT = b"PUT /v2/a/manifests/v1 HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{"


def test_who_stops_within_a_body_is_told_and_cut_off(start: Start) -> None:
    answer = exchange(start(body_timeout="300ms"), PUT)
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_who_closes_half_of_the_connection_within_a_body_is_told(registry: Serving) -> None:
    assert exchange(registry, PUT, half_close=True).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("sent", [b"", b"GET /v2/ HTTP/1.1\r\nhost"], ids=["nothing", "half"])
def test_who_never_ends_his_headers_is_cut_off(start: Start, sent: bytes) -> None:
    assert exchange(start(header_timeout="1s"), sent) == b""


@pytest.mark.parametrize(
    "line",
    [
        b"GET /v2/" + b"a" * 100_000 + b"/tags/list",
        b"GET /v2/%00/tags/list",
        b"GET /v2/%ff%fe/manifests/%ff",
        b"GET /v2/a/tags/list?n=%zz&last=%ff",
        b"BREW /v2/a/manifests/v1",
        b"GET /v2/../../etc/passwd",
        b"GET /v2/a/blobs/sha256:../../etc/passwd",
    ],
)
def test_malformed_requests_are_the_clients_fault(registry: Serving, line: bytes) -> None:
    sent = line + b" HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    assert exchange(registry, sent).startswith(b"HTTP/1.1 4")


# ---- processes and signals


def test_a_request_under_way_is_finished_when_the_server_is_told_to_stop(
    start: Start,
) -> None:
    registry = start(header_timeout="1h", drain="1h")
    body = b"z" * 3000
    digest = digests.of(body)
    line = f"POST /v2/a/blobs/uploads/?digest={digest} HTTP/1.1\r\n"
    with registry.connect() as connection:
        connection.sendall(
            f"{line}host: localhost\r\ncontent-length: 3000\r\n\r\n".encode() + body[:1000]
        )
        until(lambda: flying(registry) > 1)
        registry.signal(signal.SIGTERM)
        until(lambda: not listening(registry))
        connection.sendall(body[1000:])
        assert connection.recv(65536).startswith(b"HTTP/1.1 201 ")
    assert registry.wait() == 0
    registry.start()
    assert registry.get(f"/v2/a/blobs/{digest}").body == body


def test_connections_that_ask_for_nothing_are_closed_when_the_server_is_told_to_stop(
    start: Start,
) -> None:
    registry = start(workers="1", header_timeout="1h", drain="1h")
    body = b"z" * 3000
    path = f"/v2/team/app/blobs/uploads/?digest={digests.of(body)}"
    connect = registry.connect
    with connect() as silent, connect() as idle, connect() as half, connect() as busy:
        half.sendall(b"GET /v2/ HTTP/1.1\r\nhos")
        idle.sendall(b"GET /v2/ HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert idle.recv(65536).startswith(b"HTTP/1.1 200 ")
        busy.sendall(
            f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3000\r\n\r\n".encode()
        )
        busy.sendall(body[:1000])
        until(lambda: flying(registry) > 1)
        registry.signal(signal.SIGTERM)
        assert silent.recv(65536) == b""
        assert idle.recv(65536) == b""
        busy.sendall(body[1000:])
        assert busy.recv(65536).startswith(b"HTTP/1.1 201 ")
        assert half.recv(65536) == b""
    assert registry.wait() == 0


def flying(registry: Serving) -> int:
    """Requests under way, this question included."""
    lines = registry.get("/metrics").body.decode().splitlines()
    (line,) = [each for each in lines if each.startswith("retinue_requests_in_flight ")]
    return int(line.split()[1])


def listening(registry: Serving) -> bool:
    try:
        registry.connect().close()
    except OSError:
        return False
    return True


def test_load_balancers_are_told_before_the_server_stops(start: Start) -> None:
    registry = start(drain_delay="60s")
    registry.signal(signal.SIGTERM)
    until(lambda: registry.get("/readyz").status == 503)
    assert registry.get("/healthz").status == 200
    assert registry.get("/v2/").status == 200
    registry.signal(signal.SIGTERM)
    assert registry.wait() == 0


def test_processes_are_renewed_on_hangup_while_requests_are_answered(start: Start) -> None:
    registry = start(workers="1")
    before = children(registry)
    registry.signal(signal.SIGHUP)

    def renewed() -> bool:
        assert registry.get("/v2/").status == 200
        now = children(registry)
        return len(now) == 1 and not now & before

    until(renewed)


def test_a_process_that_is_killed_is_replaced(start: Start) -> None:
    registry = start(workers="1")
    push_image(registry)
    (victim,) = children(registry)
    import os

    os.kill(victim, signal.SIGKILL)
    until(lambda: bool(children(registry) - {victim}))
    until(lambda: listening(registry))
    assert registry.get("/v2/team/app/manifests/v1").status == 200


def test_data_that_is_moved_away_is_missed_and_welcome_back(start: Start) -> None:
    registry = start(workers="1")
    push_image(registry)
    data = Path(registry.data)
    data.rename(f"{data}.moved")
    until(lambda: registry.get("/readyz").status == 503)
    manifest = image(LAYER)
    headers = {"content-type": manifest.media_type}
    push = "PUT", "/v2/team/app/manifests/v2", manifest.raw, headers
    refused = registry.call(*push)
    assert refused.status == 503
    assert b'"UNAVAILABLE"' in refused.body
    assert b"moved or deleted" in registry.get("/readyz").body
    assert registry.get("/v2/team/app/manifests/v2").status == 404
    assert not data.exists()
    Path(f"{data}.moved").rename(data)
    assert registry.get("/readyz").status == 200
    assert registry.call(*push).status == 201
    missed = [line for line in registry.log.splitlines() if "moved or deleted" in line]
    assert [line for line in missed if "PUT" not in line] == missed[:1]
    assert registry.stop() == 0


def test_a_taken_port_names_who_holds_it(registry: Serving, tmp_path: Path) -> None:
    second = Serving(str(tmp_path / "second"), port=registry.port)
    second.start(wait=False)
    assert second.wait() != 0
    assert registry.process is not None
    assert f"{registry.host} is taken by" in second.log
    assert "retinue serve" in second.log


def test_beside_a_service_of_its_name_it_starts_and_tells_once_what_it_ignores(
    tmp_path: Path,
) -> None:
    linked = {"RETINUE_SERVICE_HOST": "10.96.0.7", "RETINUE_PORT": "tcp://10.96.0.7:5000"}
    registry = Serving(str(tmp_path / "data"), {"workers": "2"}, environ=linked)
    registry.start()
    registry.stop()
    (line,) = [line for line in registry.log.splitlines() if "RETINUE_" in line]
    assert line.endswith("ignored: RETINUE_PORT, RETINUE_SERVICE_HOST")


def test_the_folder_is_for_its_owner_only(start: Start) -> None:
    registry = start()
    push_image(registry)
    data = Path(registry.data)
    assert data.stat().st_mode & 0o077 == 0
    assert {"catalog.db", "blobs", "uploads"} <= {each.name for each in data.iterdir()}
    assert not [each for each in data.iterdir() if each.stat().st_mode & 0o077]


def test_metrics_add_up_over_processes(start: Start) -> None:
    registry = start(workers="2")
    push_image(registry)
    for _ in range(20):
        registry.get("/v2/team/app/manifests/v1")
    wanted = 'retinue_requests_total{resource="manifests",method="GET",status="2xx"} 20'
    assert wanted in registry.get("/metrics").body.decode()


# ---- who may


def basic(user: str, password: str) -> dict[str, str]:
    return {"authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}


def test_beyond_loopback_an_administrator_is_made_whose_password_is_shown_once(
    start: Start,
) -> None:
    port = free_port()
    registry = start(listen=f"0.0.0.0:{port}", port=port)
    assert registry.get("/v2/").status == 401
    line = next(line for line in registry.log.splitlines() if "password" in line)
    password = line.split("password ")[1].split()[0]
    assert registry.get("/v2/", basic("admin", password)).status == 200
    assert registry.get("/v2/", basic("admin", "wrong")).status == 401
    registry.stop()
    registry.start()
    assert registry.log.count("password") == 1
    assert registry.get("/v2/", basic("admin", password)).status == 200
    stored = Path(registry.data, "admin.htpasswd").read_text()
    assert password not in stored


# ---- TLS


def certificate(folder: Path, name: str) -> None:
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *(
                "-nodes",
                "-days",
                "2",
                "-subj",
                f"/CN={name}",
                "-addext",
                "subjectAltName=IP:127.0.0.1",
            ),
            *("-keyout", str(folder / "new.key"), "-out", str(folder / "new.pem")),
        ],
        check=True,
        capture_output=True,
    )
    (folder / "new.key").replace(folder / "server.key")
    (folder / "new.pem").replace(folder / "server.pem")


def common_name(registry: Serving) -> str:
    """The name in the certificate that the server shows."""
    text = ssl.get_server_certificate(("127.0.0.1", registry.port), timeout=30)
    shown = subprocess.run(
        ["openssl", "x509", "-noout", "-subject"],
        input=text.encode(),
        check=True,
        capture_output=True,
    )
    return shown.stdout.decode().strip().rpartition("=")[2].strip()


def test_a_new_certificate_is_taken_up_and_a_broken_one_is_not(
    start: Start, tmp_path: Path
) -> None:
    certificate(tmp_path, "first")
    registry = start(
        workers="1",
        tls_cert=str(tmp_path / "server.pem"),
        tls_key=str(tmp_path / "server.key"),
    )
    assert common_name(registry) == "first"
    (tmp_path / "server.pem").write_text("this is no certificate")
    registry.signal(signal.SIGHUP)
    until(lambda: "the certificate stays as it was" in registry.log)
    assert common_name(registry) == "first"
    certificate(tmp_path, "second")
    registry.signal(signal.SIGHUP)
    until(lambda: common_name(registry) == "second")
