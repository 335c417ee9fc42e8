import pytest
from hypothesis import given
from hypothesis import strategies as st

from retinue.client import http1
from retinue.client.http1 import Body, MalformedAnswer, UnsendableRequest


def head(*lines: str) -> http1.Head:
    return http1.parse_head("\r\n".join([*lines, "", ""]).encode("latin-1"))


def test_a_request_is_lines() -> None:
    sent = http1.encode_request("GET", "/v2/?n=1", {"host": "x", "accept": "a, b"})
    assert sent == b"GET /v2/?n=1 HTTP/1.1\r\nhost: x\r\naccept: a, b\r\n\r\n"


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        ("GET", "/a b", {}),
        ("GET", "/a\r\nx: y", {}),
        ("GET", "", {}),
        ("GET", "/ä", {}),
        ("get it", "/", {}),
        ("GET", "/", {"a": "b\r\nc: d"}),
        ("GET", "/", {"a b": "c"}),
        ("GET", "/", {"a": "\x00"}),
        ("GET", "/", {"a": "\u4f60"}),
    ],
)
def test_text_that_would_forge_lines_is_not_sent(
    method: str, target: str, headers: dict[str, str]
) -> None:
    with pytest.raises(UnsendableRequest):
        http1.encode_request(method, target, headers)


def test_an_answer_is_read() -> None:
    found = head("HTTP/1.1 200 OK", "Link: <a>", "LINK:<b>", "X: \t y ")
    assert (found.status, found.persistent) == (200, True)
    assert found.headers.all("link") == ["<a>", "<b>"]
    assert (found.headers.get("x"), found.headers.get("y")) == ("y", None)


@pytest.mark.parametrize(
    ("version", "connection", "expected"),
    [
        ("1.1", "", True),
        ("1.1", "close", False),
        ("1.1", "x, Close", False),
        ("1.0", "", False),
        ("1.0", "keep-alive", True),
    ],
)
def test_connections_persist(version: str, connection: str, expected: bool) -> None:
    assert head(f"HTTP/{version} 200", f"connection: {connection}").persistent is expected


@pytest.mark.parametrize(
    "lines",
    [
        ["HTTP/2 200 OK"],
        ["HTTP/1.1 20 OK"],
        ["ICY 200 OK"],
        ["HTTP/1.1 200 OK", "no colon"],
        ["HTTP/1.1 200 OK", " folded: x"],
        ["HTTP/1.1 200 OK", "a : b"],
        ["HTTP/1.1 200 OK", "a: b\rc"],
        ["HTTP/1.1 200 OK", "a: " + "b" * http1.MAX_HEAD],
    ],
)
def test_what_is_no_answer_is_refused(lines: list[str]) -> None:
    with pytest.raises(MalformedAnswer):
        head(*lines)


@pytest.mark.parametrize(
    ("method", "lines", "expected"),
    [
        ("GET", ["HTTP/1.1 200", "content-length: 5"], 5),
        ("GET", ["HTTP/1.1 200", "content-length: 5", "content-length: 5"], 5),
        ("GET", ["HTTP/1.1 200", "transfer-encoding: Chunked"], Body.CHUNKED),
        ("GET", ["HTTP/1.1 200"], Body.TO_THE_END),
        ("HEAD", ["HTTP/1.1 200", "content-length: 5"], 0),
        ("GET", ["HTTP/1.1 204"], 0),
        ("GET", ["HTTP/1.1 304", "content-length: 5"], 0),
    ],
)
def test_bodies_are_framed(method: str, lines: list[str], expected: int | Body) -> None:
    assert expected == http1.framing(method, head(*lines))


@pytest.mark.parametrize(
    "lines",
    [
        ["content-length: 5", "content-length: 6"],
        ["content-length: 5, 5"],
        ["content-length: +5"],
        ["content-length: ²"],
        ["content-length: 5", "transfer-encoding: chunked"],
        ["transfer-encoding: gzip, chunked"],
        ["transfer-encoding: chunked", "transfer-encoding: chunked"],
    ],
)
def test_framing_that_two_could_read_apart_is_refused(lines: list[str]) -> None:
    with pytest.raises(MalformedAnswer):
        http1.framing("GET", head("HTTP/1.1 200", *lines))


def test_chunks_have_sizes() -> None:
    assert [http1.parse_chunk(line) for line in (b"0", b"1F", b"a;x=y")] == [0, 31, 10]


@pytest.mark.parametrize("line", [b"", b"-1", b"0x1", b"1 1", b"f" * 17])
def test_malformed_chunks(line: bytes) -> None:
    with pytest.raises(MalformedAnswer):
        http1.parse_chunk(line)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        found = http1.parse_head(raw + b"\r\n\r\n")
    except MalformedAnswer:
        return
    assert 100 <= found.status < 600
