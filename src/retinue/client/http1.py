"""HTTP/1.1 as values (RFC 9112): what is sent, and how an answer is framed. No I/O.

A general HTTP library costs ten times the time per request that this takes, and more start-up
than a whole command may take; a client of registries needs only this much of the protocol.
"""

import re
from collections.abc import Iterable, Mapping
from enum import Enum

from msgspec import Struct

from retinue.errors import RetinueError

MAX_HEAD = 64 * 1024
"""Bytes of a status line with all headers."""

_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5]\d\d)(?: [^\x00]*)?")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\x00]*)?")
_METHOD = re.compile(r"[A-Z]{1,16}")
_BREAKS = re.compile(r"[\x00-\x1f\x7f]")
_UNSAFE = re.compile(r"[^\x21-\x7e]")


class MalformedAnswer(RetinueError):
    """Bytes that are no valid HTTP/1.1 response, or a framing that two readers could read apart."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class UnsendableRequest(RetinueError):
    """A request whose text would break out of its line."""

    def __init__(self, what: str, text: str) -> None:
        super().__init__(f"a {what} that cannot be sent")
        self.what = what
        self.text = text


class Headers:
    """Headers of an answer, names in lower case, in order."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self.pairs = list(pairs)

    def get(self, name: str) -> str | None:
        """The first value."""
        for key, value in self.pairs:
            if key == name:
                return value
        return None

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.pairs if key == name]


class Head(Struct, frozen=True):
    status: int
    headers: Headers
    persistent: bool
    """Whether the connection may be used again once the body was read."""


class Body(Enum):
    """Bodies without a length: in chunks, or up to the end of the connection."""

    CHUNKED = "chunked"
    TO_THE_END = "to the end"


def encode_request(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    """Request line and headers; raises UnsendableRequest for text that would forge a line."""
    if not _METHOD.fullmatch(method):
        raise UnsendableRequest("method", method)
    if not target or _UNSAFE.search(target):
        raise UnsendableRequest("target", target)
    lines = [f"{method} {target} HTTP/1.1"]
    for name, value in headers.items():
        if not _NAME.fullmatch(name.encode("utf-8")) or _BREAKS.search(value):
            raise UnsendableRequest("header", name)
        lines.append(f"{name}: {value}")
    try:
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    except UnicodeEncodeError as problem:
        raise UnsendableRequest("header", str(problem)) from problem


def parse_head(raw: bytes) -> Head:
    """A status line and headers, up to and with the empty line; raises MalformedAnswer."""
    if len(raw) > MAX_HEAD:
        raise MalformedAnswer(f"a head of more than {MAX_HEAD} bytes")
    lines = raw[:-4].split(b"\r\n")
    status = _STATUS.fullmatch(lines[0])
    if status is None:
        raise MalformedAnswer("something else than HTTP/1.1")
    headers = Headers(_header(line) for line in lines[1:])
    return Head(int(status[2]), headers, _persistent(status[1] == b"1", headers))


def _header(line: bytes) -> tuple[str, str]:
    name, colon, value = line.partition(b":")
    if not colon or not _NAME.fullmatch(name) or b"\n" in value or b"\r" in value or b"\0" in value:
        raise MalformedAnswer("a malformed header")
    return name.decode("ascii").lower(), value.strip(b" \t").decode("latin-1")


def _persistent(modern: bool, headers: Headers) -> bool:
    options = {
        option.strip() for value in headers.all("connection") for option in value.lower().split(",")
    }
    return "close" not in options and (modern or "keep-alive" in options)


def framing(method: str, head: Head) -> int | Body:
    """How long the body is (RFC 9112 section 6.3); raises MalformedAnswer if that is ambiguous."""
    if method == "HEAD" or head.status < 200 or head.status in {204, 304}:
        return 0
    codings = head.headers.all("transfer-encoding")
    lengths = set(head.headers.all("content-length"))
    if codings:
        if lengths or [coding.lower() for coding in codings] != ["chunked"]:
            raise MalformedAnswer("a body framed in two ways, or in an unknown one")
        return Body.CHUNKED
    if not lengths:
        return Body.TO_THE_END
    length = lengths.pop()
    if lengths or not (length.isascii() and length.isdigit()) or len(length) > 18:
        raise MalformedAnswer("a content-length that is no number, or two of them")
    return int(length)


def parse_chunk(line: bytes) -> int:
    """The size on a chunk's line (without its CRLF); raises MalformedAnswer."""
    match = _CHUNK.fullmatch(line)
    if match is None:
        raise MalformedAnswer("a malformed chunk")
    return int(match[1], 16)
