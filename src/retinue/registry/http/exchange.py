"""Requests and responses as the handlers see them: raw ASGI, no framework on the hot path."""

from asyncio import timeout
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from retinue.errors import RetinueError
from retinue.registry.access.principal import Principal
from retinue.registry.storage.blobstore import LocalFile

Receive: TypeAlias = Callable[[], Awaitable[dict[str, Any]]]
Send: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]
Headers: TypeAlias = list[tuple[bytes, bytes]]

MAX_PARAMS = 64
"""Query parameters that are looked at; a request with more is refused."""


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
    """Nothing of the body came for too long. `seconds` is how long that may be."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no byte of the body came for {seconds:g} seconds")
        self.seconds = seconds


class MalformedQuery(RetinueError):
    """The query string cannot be read, or has too many parameters."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the query string {reason}")
        self.reason = reason


@dataclass(slots=True)
class Request:
    """One request. Header names are lower case, as ASGI delivers them."""

    method: str
    path: str
    query: bytes
    headers: Headers
    receive: Receive
    principal: Principal
    request_id: str
    peer: str
    scheme: str
    idle: float = 60.0
    """Seconds that a client may pause within its body."""
    ended: bool = False
    """Whether all of the body was read."""
    broken: bool = False
    """Whether the rest of it will never come."""
    parsed: dict[str, list[str]] | None = None
    """The query, once somebody has asked for it."""

    def header(self, name: bytes) -> str | None:
        """The first value of a header, decoded as latin-1."""
        for key, value in self.headers:
            if key == name:
                return value.decode("latin-1")
        return None

    def params(self) -> dict[str, list[str]]:
        """Query parameters in order of arrival; raises MalformedQuery."""
        if self.parsed is None:
            self.parsed = self._parse() if self.query else {}
        return self.parsed

    def _parse(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        try:
            pairs = parse_qsl(
                self.query.decode("ascii"),
                keep_blank_values=True,
                errors="strict",
                max_num_fields=MAX_PARAMS,
            )
        except ValueError as problem:
            raise MalformedQuery(f"cannot be read: {problem}") from problem
        if "%00" in self.query.decode("ascii"):
            raise MalformedQuery("has a zero byte")  # text that PostgreSQL cannot hold
        for key, value in pairs:
            found.setdefault(key, []).append(value)
        return found

    def param(self, name: str) -> str | None:
        """The first value of a query parameter."""
        values = self.params().get(name)
        return values[0] if values else None

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives. Only `more_body=False` ends it (storage rule 6).

        Raises ClientGone, BodyTooSlow.
        """
        while True:
            try:
                async with timeout(self.idle):
                    message = await self.receive()
            except TimeoutError as problem:
                self.broken = True
                raise BodyTooSlow(self.idle) from problem
            if message["type"] != "http.request":
                self.broken = True
                raise ClientGone
            self.ended = not message.get("more_body", False)
            if body := message.get("body"):
                yield body
            if self.ended:
                return

    async def body(self, limit: int) -> bytes:
        """The whole body; raises BodyTooLarge before more than `limit` bytes are kept."""
        length = self.header(b"content-length")
        if length is not None and length.isdigit() and int(length) > limit:
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
        if self.broken or self.header(b"expect") is not None:  # reading would ask for the body
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
        length = self.header(b"content-length")
        return length not in {None, "0"} or self.header(b"transfer-encoding") is not None


@dataclass(slots=True)
class Response:
    """What a handler answers.

    `body` is bytes, a file that the server sends itself, or a stream. `length` is for a stream,
    and for HEAD (where the body stays empty). The writer adds content-length and request id.
    """

    status: int
    headers: Headers = field(default_factory=list)
    body: bytes | LocalFile | AsyncIterator[bytes] = b""
    length: int | None = None
