"""The server's side of RSGI, in this process: one request in, one answer out.

It behaves as Granian does on a wire (tests/system/test_bad_connections.py): header values that are
not ASCII are missing, a body ends with an empty part, and one that was cut with two, or, when it is
awaited as a whole, with an exception.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from granian.rsgi import ProtocolClosed  # type: ignore[attr-defined]

Headers = list[tuple[str, str]]


class Fields:
    """Headers of a request. Names are lower case."""

    def __init__(self, pairs: Mapping[str, str] | Sequence[tuple[str, str]] = ()) -> None:
        given = pairs.items() if isinstance(pairs, Mapping) else pairs
        self._pairs = [(name.lower(), value) for name, value in given]

    def get(self, key: str) -> str | None:
        first = next((value for name, value in self._pairs if name == key), "\0")
        return first if _plain(first) else None

    def get_all(self, key: str) -> list[str]:
        return [value for name, value in self._pairs if name == key and _plain(value)]

    def __contains__(self, key: str) -> bool:
        return any(name == key for name, _ in self._pairs)


def hosted(headers: Mapping[str, str] | Sequence[tuple[str, str]] = ()) -> Fields:
    """These, and the Host that every request has unless it names one."""
    given = list(headers.items() if isinstance(headers, Mapping) else headers)
    named = any(name.lower() == "host" for name, _ in given)
    return Fields(given if named else [("host", "localhost"), *given])


def _plain(value: str) -> bool:
    return value.isascii() and "\0" not in value


@dataclass(slots=True)
class Scope:
    method: str = "GET"
    path: str = "/"
    query_string: str = ""
    headers: Fields = field(default_factory=Fields)
    http_version: str = "1.1"
    client: str = "127.0.0.1:1"
    authority: str | None = None


@dataclass(slots=True)
class Wire:
    """One connection: the body that comes, and what was answered. `cut`: before the body ended."""

    parts: AsyncIterator[bytes] | Sequence[bytes] = ()
    cut: bool = False
    status: int = 0
    headers: Headers = field(default_factory=list)
    body: bytes = b""

    async def __call__(self) -> bytes:
        if self.cut:
            raise ProtocolClosed
        return b"".join([part async for part in self])

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if isinstance(self.parts, Sequence):
            for part in self.parts:
                yield part
        else:
            async for part in self.parts:
                yield part
        if self.cut:
            yield b""
        yield b""

    def response_empty(self, status: int, headers: Headers) -> None:
        assert self.status == 0
        self.status, self.headers = status, list(headers)

    def response_bytes(self, status: int, headers: Headers, body: bytes) -> None:
        self.response_empty(status, headers)
        self.body = body
        if status not in {204, 304} and not any(name == "content-length" for name, _ in headers):
            self.headers.append(("content-length", str(len(body))))

    def response_file(self, status: int, headers: Headers, file: str) -> None:
        self.response_empty(status, headers)
        self.body = Path(file).read_bytes()

    def response_file_range(
        self, status: int, headers: Headers, file: str, start: int, end: int
    ) -> None:
        assert start < end
        self.response_empty(status, headers)
        self.body = Path(file).read_bytes()[start:end]
