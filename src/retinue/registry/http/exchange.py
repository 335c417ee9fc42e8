"""Requests and responses as the handlers see them: RSGI as it comes, no framework on the hot path.

RSGI: https://github.com/emmett-framework/granian/blob/master/docs/spec/RSGI.md
"""

import sys
from asyncio import timeout
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import NamedTuple, Protocol, TypeAlias
from urllib.parse import parse_qsl

from granian.rsgi import ProtocolClosed  # type: ignore[attr-defined]
from msgspec import Struct

from retinue.errors import RetinueError
from retinue.registry.access.principal import ANONYMOUS, Principal
from retinue.registry.storage.blobstore import LocalFile

Headers: TypeAlias = list[tuple[str, str]]
Pairs: TypeAlias = Sequence[tuple[str, str]]


class Fields(Protocol):
    """Headers of a request, by lower-case name. A value that is not ASCII is left out, though
    its name is `in` here."""

    def get(self, key: str) -> str | None: ...

    def get_all(self, key: str) -> Sequence[str]: ...

    def __contains__(self, key: str) -> bool: ...


class Scope(Protocol):
    """What a request's first lines say. `path` is percent-decoded; `client` is host:port."""

    @property
    def method(self) -> str: ...

    @property
    def path(self) -> str: ...

    @property
    def query_string(self) -> str: ...

    @property
    def headers(self) -> Fields: ...

    @property
    def http_version(self) -> str: ...

    @property
    def client(self) -> str: ...

    @property
    def authority(self) -> str | None:
        """Of HTTP/2, and of a target that is a whole URL."""


class Wire(Protocol):
    """The connection: a body, in parts or all at once (then a cut raises ProtocolClosed), and one
    answer. The server adds the Content-Length of an answer given as bytes; `end` is exclusive."""

    def __call__(self) -> Awaitable[bytes]: ...

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    def response_empty(self, status: int, headers: Headers) -> None: ...

    def response_bytes(self, status: int, headers: Headers, body: bytes) -> None: ...

    def response_file(self, status: int, headers: Headers, file: str) -> None: ...

    def response_file_range(
        self, status: int, headers: Headers, file: str, start: int, end: int
    ) -> None: ...


MAX_PARAMS = 64
"""Query parameters that are looked at; a request with more is refused."""

WHOLE = 1 << 20
"""Bytes up to which a body is taken from the server at once, where a part of it is of no use: each
part costs three threads a hop, and a body of a megabyte comes in ten."""
PATIENCE = 256 * 1024
"""Bytes of such a body for which it gets the time of one pause more: its pauses cannot be seen."""


class ClientGone(RetinueError):
    """The connection ended before the body did: what came must not be taken for the whole."""

    def __init__(self) -> None:
        super().__init__("the client went away before its request was complete")


class BodyTooLarge(RetinueError):
    """The body has more bytes than this resource may have."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body is larger than {limit} bytes")
        self.limit = limit


class BodyTooSlow(RetinueError):
    """The body, or the next part of it, did not come within `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the body did not come on within {seconds:.3g} seconds")
        self.seconds = seconds


class MalformedQuery(RetinueError):
    """The query string cannot be read, or has too many parameters."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the query string {reason}")
        self.reason = reason


class Request(Struct):
    """One request. `query` is not decoded."""

    method: str
    path: str
    scope: Scope
    headers: Fields
    wire: Wire
    request_id: str
    idle: float = 60.0
    """Seconds that a client may pause within its body."""
    principal: Principal = ANONYMOUS
    origin: str | None = None
    """The client's address where a trusted proxy says it."""
    ended: bool = False
    """Whether all of the body was read."""
    broken: bool = False
    """Whether the rest of it will never come."""
    arriving: AsyncIterator[bytes] | None = None
    """The body, once somebody has begun to read it."""
    received: int = 0
    """Bytes of it so far."""
    parsed: dict[str, list[str]] | None = None
    """The query, once somebody has asked for it."""

    @property
    def query(self) -> str:
        return self.scope.query_string

    @property
    def peer(self) -> str:
        """The client's address."""
        return self.origin or address(self.scope.client)

    def params(self) -> dict[str, list[str]]:
        """Query parameters in order of arrival; raises MalformedQuery."""
        if self.parsed is None:
            self.parsed = self._parse() if self.query else {}
        return self.parsed

    def _parse(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        try:
            pairs = parse_qsl(
                self.query,
                keep_blank_values=True,
                errors="strict",
                max_num_fields=MAX_PARAMS,
            )
        except ValueError as problem:
            raise MalformedQuery(f"cannot be read: {problem}") from problem
        if "%00" in self.query:
            raise MalformedQuery("has a zero byte")  # text that PostgreSQL cannot hold
        for key, value in pairs:
            found.setdefault(key, []).append(value)
        return found

    def param(self, name: str) -> str | None:
        """The first value of a query parameter."""
        values = self.params().get(name)
        return values[0] if values else None

    @property
    def announced(self) -> int | None:
        return announced(self.headers)

    @property
    def tells_its_end(self) -> bool:
        """Whether the end of the body can be told from a cut.

        Not so in HTTP/2, where a client that gives up (CANCEL) looks like one that is done, unless
        it said how much would come.
        """
        return not self.scope.http_version.startswith("2") or self.announced is not None

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives; raises ClientGone, BodyTooSlow.

        A part of it is never taken for the whole (storage rule 6). With a Content-Length, the
        bytes are counted. Without one, the server delivers one empty part at the end, and a second
        one when the connection was cut (over HTTP/1: see `tells_its_end`).
        """
        announced = self.announced
        empty = 0
        while self.received != announced:
            part = await self._next()
            if part is None:
                break
            if part:
                self.received += len(part)
                yield part
            else:
                empty += 1
        whole = empty == 1 or not self.tells_its_end
        if self.received != announced and not (announced is None and whole):
            self.broken = True
            raise ClientGone
        self.ended = True

    async def _next(self) -> bytes | None:
        """The next part; None after the last one. Raises BodyTooSlow."""
        if self.arriving is None:
            self.arriving = aiter(self.wire)
        try:
            async with timeout(self.idle):
                return await anext(self.arriving)
        except StopAsyncIteration:
            return None
        except TimeoutError as problem:
            self.broken = True
            raise BodyTooSlow(self.idle) from problem

    async def all_or_nothing(self) -> AsyncIterator[bytes]:
        """`chunks` for who has no use for a part of the body: a small one comes in one piece."""
        announced = self.announced
        if announced is None or announced > WHOLE:
            async for part in self.chunks():
                yield part
        elif announced:
            yield await self._whole(announced)

    async def _whole(self, announced: int) -> bytes:
        """Raises ClientGone, BodyTooSlow."""
        seconds = self.idle * (1 + announced / PATIENCE)
        try:
            async with timeout(seconds):
                body = await self.wire()
        except TimeoutError as problem:
            self.broken = True
            raise BodyTooSlow(seconds) from problem
        except ProtocolClosed as problem:
            self.broken = True
            raise ClientGone from problem
        if len(body) != announced:
            self.broken = True
            raise ClientGone
        self.ended = True
        return body

    async def body(self, limit: int) -> bytes:
        """The whole body; raises BodyTooLarge before more than `limit` bytes are kept."""
        announced = self.announced
        if announced is not None and announced <= min(limit, WHOLE):
            return await self._whole(announced) if announced else b""
        if (announced or 0) > limit:
            raise BodyTooLarge(limit)
        parts: list[bytes] = []
        size = 0
        async for part in self.chunks():
            size += len(part)
            if size > limit:
                raise BodyTooLarge(limit)
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def drained(self, most: int, seconds: float) -> bool:
        """Read what is left of the body and drop it; False when it is more, slower, or cut off.

        Closing a connection with unread bytes in it resets it, and an answer that is under way
        may be lost.
        """
        if self.ended or not self._has_body():
            return True
        if self.broken or "expect" in self.headers:  # reading would ask for the body
            return False
        try:
            async with timeout(seconds):
                async for part in self.chunks():
                    most -= len(part)
                    if most < 0:
                        return False
        except (TimeoutError, ClientGone, BodyTooSlow):
            return False
        return True

    def _has_body(self) -> bool:
        length = self.headers.get("content-length")
        return length not in {None, "0"} or "transfer-encoding" in self.headers


def announced(headers: Fields) -> int | None:
    """The Content-Length, where it counts (RFC 9112 6.3). What is no number never gets here."""
    length = headers.get("content-length")
    if length is None or not length.isdecimal() or "transfer-encoding" in headers:
        return None
    return int(length)


def address(client: str) -> str:
    """The host of host:port, an IPv6 address without its brackets."""
    return client.rpartition(":")[0].strip("[]")


class Part(Struct, frozen=True):
    """Bytes `start` to `end` (exclusive) of a file."""

    file: LocalFile
    start: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.start


class Again(NamedTuple):
    """Who asks the same may be told the same, for as long as nothing is committed.

    `until` (microseconds since 1970): then it has to be handled anew. `pulled`: repository and
    digest of the manifest that this answer counts as a pull of.
    """

    until: int = sys.maxsize
    pulled: tuple[int, bytes] | None = None


UNCHANGED = Again()


class Response(Struct):
    """What a handler answers.

    `body` is bytes, or (a part of) a file that the server sends itself. `length` is for HEAD,
    where the body stays empty. The writer adds request id and, where needed, content-length.
    `again`: nothing but the catalog, the path and the query decided this answer.
    """

    status: int
    headers: Pairs = ()
    body: bytes | LocalFile | Part = b""
    length: int | None = None
    again: Again | None = None
