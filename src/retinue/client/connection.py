"""One connection: a request goes out, an answer comes in, and then it may be used again."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence

from msgspec import Struct

from retinue.client import http1
from retinue.client.errors import ProtocolViolation, TlsProblem, Unreachable
from retinue.client.guard import Guard
from retinue.client.http1 import Body, Head, MalformedAnswer

BUFFER = 256 * 1024
"""Bytes that are read at once, and that wait in a connection."""
MAX_INFORMATIONAL = 16
"""1xx answers that may precede the real one."""


class Broken(Unreachable):
    """The connection ended in the middle. `unanswered`: before any byte of an answer came."""

    def __init__(self, host: str, why: str, *, unanswered: bool) -> None:
        super().__init__(host, why)
        self.unanswered = unanswered


class LengthMismatch(ProtocolViolation):
    """A body that is sent has another length than was announced."""


class Origin(Struct, frozen=True):
    """Where a connection leads. `proxy` is (host, port) of an HTTP proxy on the way."""

    scheme: str
    host: str
    port: int
    proxy: tuple[str, int] | None = None
    proxy_authorization: str | None = None

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = 443 if self.scheme == "https" else 80
        return host if self.port == default else f"{host}:{self.port}"


class Timeouts(Struct, frozen=True):
    """Seconds: to connect, and to wait for the next bytes in either direction."""

    connect: float = 15.0
    silence: float = 60.0


class Connection:
    """Made by `connect`. One exchange at a time: `send`, `head`, then `chunks` to the end."""

    def __init__(
        self,
        origin: Origin,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        timeouts: Timeouts,
    ) -> None:
        self.origin = origin
        self.used = False
        self.idle_since = 0.0
        self._reader = reader
        self._writer = writer
        self._silence = timeouts.silence
        self._rest: int | Body = 0
        self._persistent = True

    @property
    def reusable(self) -> bool:
        """Whether the last answer was read to its end, and the other end still listens."""
        done = self._rest == 0 and self._persistent
        return done and not self._reader.at_eof() and not self._writer.is_closing()

    @property
    def rest(self) -> int | Body:
        """What is left of the answer's body: bytes, or a body of unknown length."""
        return self._rest

    def close(self) -> None:
        self._writer.close()

    async def send(
        self, head: bytes, body: bytes | AsyncIterator[bytes] | None, length: int | None
    ) -> None:
        """The whole request. A server that answers before the end of the body is not at fault."""
        self._persistent = False  # until a whole answer says otherwise
        try:
            if isinstance(body, bytes):
                self._writer.write(head + body if len(body) < BUFFER else head)
                if len(body) >= BUFFER:
                    self._writer.write(body)
                await self._drain()
            else:
                self._writer.write(head)
                if body is not None:
                    await self._stream(body, length or 0)
        except (ConnectionError, ssl.SSLError):
            return  # what the server has to say about it is read next, and else that fails

    async def _stream(self, body: AsyncIterator[bytes], length: int) -> None:
        sent = 0
        async for chunk in body:
            sent += len(chunk)
            if sent > length:
                break
            self._writer.write(chunk)
            await self._drain()
        if sent != length:
            self.close()
            raise LengthMismatch(
                self.origin.authority, f"a body of {length} bytes wanted, not of {sent}"
            )

    async def _drain(self) -> None:
        if self._writer.transport.get_write_buffer_size() < BUFFER // 4:
            return
        try:
            async with asyncio.timeout(self._silence):
                await self._writer.drain()
        except TimeoutError as problem:
            raise self._broken("it stopped reading", unanswered=False) from problem

    async def head(self, method: str) -> Head:
        """The answer's status and headers; raises Broken, ProtocolViolation."""
        for _ in range(MAX_INFORMATIONAL):
            head = self._parse(await self._until(b"\r\n\r\n", unanswered=True))
            if head.status >= 200:
                self._rest = self._framed(method, head)
                self._persistent = head.persistent and self._rest is not Body.TO_THE_END
                return head
        raise ProtocolViolation(self.origin.authority, "informational answers without end")

    def _parse(self, raw: bytes) -> Head:
        try:
            return http1.parse_head(raw)
        except MalformedAnswer as problem:
            raise ProtocolViolation(self.origin.authority, problem.why) from problem

    def _framed(self, method: str, head: Head) -> int | Body:
        try:
            return http1.framing(method, head)
        except MalformedAnswer as problem:
            raise ProtocolViolation(self.origin.authority, problem.why) from problem

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body, as it comes; raises Broken when it ends early."""
        if self._rest is Body.CHUNKED:
            while size := await self._chunk_size():
                while size:
                    data = await self._some(min(size, BUFFER))
                    size -= len(data)
                    yield data
                if await self._until(b"\r\n") != b"\r\n":
                    raise ProtocolViolation(self.origin.authority, "a chunk without an end")
            await self._trailers()
            self._rest = 0
        elif isinstance(self._rest, int):
            while self._rest:
                data = await self._some(min(self._rest, BUFFER))
                self._rest -= len(data)
                yield data
        else:
            while data := await self._read(BUFFER):
                yield data
            self._rest = 0

    async def _chunk_size(self) -> int:
        try:
            return http1.parse_chunk((await self._until(b"\r\n"))[:-2])
        except MalformedAnswer as problem:
            raise ProtocolViolation(self.origin.authority, problem.why) from problem

    async def _trailers(self) -> None:
        for _ in range(64):
            if await self._until(b"\r\n") == b"\r\n":
                return
        raise ProtocolViolation(self.origin.authority, "trailers without end")

    async def _some(self, most: int) -> bytes:
        data = await self._read(most)
        if not data:
            raise self._broken("the connection ended in the middle of an answer", unanswered=False)
        return data

    async def _read(self, most: int) -> bytes:
        try:
            async with asyncio.timeout(self._silence):
                return await self._reader.read(most)
        except (OSError, TimeoutError) as problem:
            raise self._broken(_why(problem), unanswered=False) from problem

    async def _until(self, separator: bytes, *, unanswered: bool = False) -> bytes:
        try:
            async with asyncio.timeout(self._silence):
                return await self._reader.readuntil(separator)
        except asyncio.IncompleteReadError as problem:
            raise self._broken(
                "the connection ended without an answer",
                unanswered=unanswered and not problem.partial,
            ) from problem
        except asyncio.LimitOverrunError as problem:
            raise ProtocolViolation(self.origin.authority, "a head without end") from problem
        except (OSError, TimeoutError) as problem:
            lost = unanswered and not isinstance(problem, TimeoutError)
            raise self._broken(_why(problem), unanswered=lost) from problem

    def _broken(self, why: str, *, unanswered: bool) -> Broken:
        self.close()
        return Broken(self.origin.authority, why, unanswered=unanswered)


def _why(problem: BaseException) -> str:
    if isinstance(problem, TimeoutError):
        return "it did not answer in time"
    return str(problem) or type(problem).__name__


async def connect(
    origin: Origin,
    context: ssl.SSLContext | None,
    timeouts: Timeouts,
    user_agent: str,
    guard: Guard | None = None,
) -> Connection:
    """Connect, through the proxy if there is one; raises Unreachable, TlsProblem, LocalAddress."""
    try:
        async with asyncio.timeout(timeouts.connect):
            addresses = await _addresses(origin, guard)
            return await _open(origin, context, timeouts, {"user-agent": user_agent}, addresses)
    except ssl.SSLError as problem:  # certificate problems are a subclass
        raise TlsProblem(origin.authority, _tls(problem)) from problem
    except (OSError, TimeoutError) as problem:
        raise Unreachable(origin.authority, _why(problem)) from problem


async def _addresses(origin: Origin, guard: Guard | None) -> Sequence[str]:
    """What to try in turn: without a guard the name itself, as any program would."""
    if origin.proxy is not None:
        if guard is not None:
            guard.refuse_literal(origin.host, origin.authority)
        return [origin.proxy[0]]
    if guard is None:
        return [origin.host]
    return await guard.addresses(origin.host, origin.port, origin.authority)


def _tls(problem: ssl.SSLError) -> str:
    if isinstance(problem, ssl.SSLCertVerificationError):
        return problem.verify_message
    return problem.reason or str(problem)


async def _open(
    origin: Origin,
    context: ssl.SSLContext | None,
    timeouts: Timeouts,
    headers: Mapping[str, str],
    addresses: Sequence[str],
) -> Connection:
    reader, writer = await _dial(origin, context if origin.proxy is None else None, addresses)
    connection = Connection(origin, reader, writer, timeouts)
    if origin.proxy and context:
        try:
            await _tunnel(connection, origin, headers)
            await writer.start_tls(context, server_hostname=origin.host)
        except BaseException:
            connection.close()
            raise
    return connection


async def _dial(
    origin: Origin, context: ssl.SSLContext | None, addresses: Sequence[str]
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """To the first address that answers; who that must be is the origin's name, not the address."""
    port = origin.proxy[1] if origin.proxy else origin.port
    name = origin.host if context else None
    for address in addresses[:-1]:
        try:
            return await asyncio.open_connection(
                address, port, ssl=context, server_hostname=name, limit=BUFFER
            )
        except ssl.SSLError:
            raise
        except OSError:
            continue
    return await asyncio.open_connection(
        addresses[-1], port, ssl=context, server_hostname=name, limit=BUFFER
    )


async def _tunnel(connection: Connection, origin: Origin, headers: Mapping[str, str]) -> None:
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    target = f"{host}:{origin.port}"
    sent = {"host": target, **headers}
    if origin.proxy_authorization:
        sent["proxy-authorization"] = origin.proxy_authorization
    await connection.send(http1.encode_request("CONNECT", target, sent), None, None)
    answer = await connection.head("HEAD")  # a tunnel's answer has no body (RFC 9110 9.3.6)
    if answer.status // 100 != 2:
        raise Unreachable(origin.authority, f"the proxy refused the tunnel with {answer.status}")
