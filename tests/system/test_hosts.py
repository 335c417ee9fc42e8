"""The head of a request on a real connection: whom it asks, how its body is framed, and what every
answer says to browsers."""

import hashlib
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from serving import Serving

Start = Callable[..., Serving]
EVIL = {"host": "evil.example"}
BLOB = b"<script>alert(1)</script>"
LARGE = BLOB * 50_000


def statuses(registry: Serving, *heads: str) -> list[int]:
    return [status(registry, head) for head in heads]


def status(registry: Serving, head: str) -> int:
    """Of the one answer to these lines; a body that is announced is chunked and empty."""
    lines = [*head.split("|"), "connection: close"]
    body = "0\r\n\r\n" if "transfer-encoding" in head else ""
    with registry.connect() as connection:
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n" + body).encode("latin-1"))
        received = b""
        while part := connection.recv(65536):
            received += part
    return int(received.split(b" ")[1])


def test_a_request_names_its_host_once(registry: Serving) -> None:
    assert statuses(
        registry,
        "GET /v2/ HTTP/1.1|host: localhost",
        "GET /v2/ HTTP/1.1",
        "GET /v2/ HTTP/1.1|host: localhost|host: localhost",
        "GET /v2/ HTTP/1.1|host:",
        "GET /v2/ HTTP/1.1|host: me@localhost",
        "GET /v2/ HTTP/1.1|host: local host",
        "GET /v2/ HTTP/1.1|host : localhost",
        "GET /v2/ HTTP/1.1|host: localhost|\tcontinued",
        "GET /v2/ HTTP/1.1|host: \xe9",
        "GET http://localhost/v2/ HTTP/1.1|host: localhost",
        "GET http://evil.example/v2/ HTTP/1.1|host: localhost",
        "GET http://localhost/v2/ HTTP/1.1|host: evil.example",
        "GET http://me@localhost/v2/ HTTP/1.1|host: localhost",
        "GET /healthz HTTP/1.1",
    ) == [200, 400, 400, 400, 400, 400, 400, 400, 400, 200, 400, 400, 400, 200]


def test_a_body_is_framed_in_one_way(registry: Serving) -> None:
    post = "POST /v2/a/blobs/uploads/ HTTP/1.1|host: localhost"
    assert statuses(
        registry,
        f"{post}|transfer-encoding: chunked",
        f"{post}|transfer-encoding: gzip, chunked",
        f"{post}|transfer-encoding: chunked|transfer-encoding: chunked",
        f"{post}|transfer-encoding: xchunked",
        f"{post}|content-length: 0|content-length: 1",
        f"{post}|content-length: 0, 0",
        f"{post}|content-length: +0",
    ) == [202, 400, 400, 400, 400, 400, 400]


def test_what_is_open_on_loopback_answers_to_no_other_name(registry: Serving) -> None:
    digest = pushed(registry, BLOB)
    for path in ("/v2/", f"/v2/a/blobs/{digest}", "/v2/_catalog", "/metrics", "/nowhere"):
        registry.get(path)  # so that it could be answered from memory
        answer = registry.get(path, EVIL)
        assert (answer.status, b"--hosts evil.example" in answer.body) == (421, True), path
    assert registry.call("POST", "/v2/a/blobs/uploads/", b"", EVIL).status == 421
    assert [registry.get(path, EVIL).status for path in ("/healthz", "/readyz")] == [200, 200]


def test_names_can_be_configured(start: Start) -> None:
    registry = start(hosts="evil.example;other.example")
    assert registry.get("/v2/", EVIL).status == 200
    assert registry.get("/v2/", {"host": "third.example"}).status == 421


def pushed(registry: Serving, data: bytes) -> str:
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    path = f"/v2/a/blobs/uploads/?digest={digest}"
    assert registry.call("POST", path, data).status == 201
    return digest


def test_no_answer_is_taken_for_a_script_and_no_blob_for_a_page(registry: Serving) -> None:
    for data in (BLOB, LARGE):
        path = f"/v2/a/blobs/{pushed(registry, data)}"
        last = f"bytes={len(data)}-"
        for method, headers, expected in [
            ("GET", {}, 200),
            ("GET", {}, 200),
            ("HEAD", {}, 200),
            ("HEAD", {}, 200),
            ("GET", {"range": "bytes=1-5"}, 206),
        ]:
            answer = registry.call(method, path, None, headers)
            assert answer.status == expected
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["content-security-policy"] == "sandbox"
        for headers, expected in [({"if-none-match": "*"}, 304), ({"range": last}, 416)]:
            answer = registry.get(path, headers)
            assert (answer.status, answer.headers["x-content-type-options"]) == (
                expected,
                "nosniff",
            )


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/v2/", 200),
        ("GET", "/v2/_catalog", 200),
        ("GET", "/v2/_oci/ext/discover", 200),
        ("GET", "/v2/a/tags/list", 200),
        ("GET", "/v2/a/blobs/nonsense", 400),
        ("HEAD", "/v2/a/manifests/none", 404),
        ("GET", "/metrics", 200),
        ("GET", "/readyz", 200),
        ("GET", "/healthz", 200),
        ("GET", "/%3Cscript%3E", 404),
        ("BREW", "/v2/", 405),
        ("POST", "/v2/a/blobs/uploads/", 202),
    ],
)
def test_every_face_says_so(registry: Serving, method: str, path: str, expected: int) -> None:
    pushed(registry, BLOB)
    for _ in range(2):
        answer = registry.call(method, path)
        assert (answer.status, answer.headers["x-content-type-options"]) == (expected, "nosniff")


def curl(registry: Serving, *words: str) -> str:
    """The status of a request over HTTP/2."""
    told = ["curl", "-sko", "/dev/null", "-w", "%{http_version} %{http_code}", "--http2", *words]
    ran = subprocess.run(
        [*told, f"https://{registry.host}/v2/"], capture_output=True, text=True, check=True
    )
    return ran.stdout


def test_in_http_2_the_authority_is_the_host(start: Start, tmp_path: Path) -> None:
    key, cert = str(tmp_path / "key.pem"), str(tmp_path / "cert.pem")
    make: Sequence[str] = (
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
        *("-nodes", "-days", "2", "-subj", "/CN=x", "-keyout", key, "-out", cert),
        *("-addext", "subjectAltName=IP:127.0.0.1"),
    )
    subprocess.run(make, check=True, capture_output=True)
    registry = start(tls_cert=cert, tls_key=key)
    assert curl(registry) == "2 200"
    assert curl(registry) == "2 200"
    assert curl(registry, "-H", "host: evil.example") == "2 421"
