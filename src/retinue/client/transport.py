"""One transport for everything that leaves this program: repeats, redirects, trust, proxies."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from retinue.client import connection as connections
from retinue.client import http1, retry, tls
from retinue.client.connection import Broken, Connection, Origin, Timeouts
from retinue.client.errors import LocalAddress, ProtocolViolation, TlsProblem, Unreachable
from retinue.client.guard import Guard
from retinue.client.http1 import Head, Headers, UnsendableRequest
from retinue.client.locations import joined, place, shown
from retinue.client.pool import Pool
from retinue.client.proxies import proxy_for
from retinue.oci.hosts import is_loopback

MAX_REDIRECTS = 8
MAX_DRAIN = 64 * 1024
"""Bytes of an unwanted answer that are read rather than giving up the connection."""

_SAFE = {"GET", "HEAD"}


class Settings(Struct, frozen=True):
    """How to reach registries. `plain` and `tls` name `host[:port]`s whose scheme is not guessed.

    `guard` keeps gates from calling their own machine. `token_servers` are pairs of a registry and a host that may see what logs in there.
    """

    environ: Mapping[str, str] = {}
    ca_files: tuple[Path, ...] = ()
    certs_folders: tuple[Path, ...] = tls.CERTS_D
    plain: frozenset[str] = frozenset()
    tls: frozenset[str] = frozenset()
    guard: Guard | None = None
    token_servers: frozenset[tuple[str, str]] = frozenset()
    connections: int = 16
    attempts: int = 5
    timeouts: Timeouts = Timeouts()
    user_agent: str = "retinue"


class Request(Struct, frozen=True):
    """One request to an absolute URL; header names in lower case.

    `repeat` says whether a repetition is harmless. A body of chunks can be sent only once, and one
    that is `secret` to one origin only.
    """

    method: str
    url: str
    headers: Mapping[str, str] = {}
    body: bytes | AsyncIterator[bytes] | None = None
    length: int | None = None
    repeat: bool = True
    secret: bool = False

    @property
    def repeatable(self) -> bool:
        return self.repeat and (self.body is None or isinstance(self.body, bytes))


class Response:
    """An answer whose body is still to be read; `close` gives its connection back."""

    def __init__(self, head: Head, url: str, connection: Connection, pool: Pool) -> None:
        self.status = head.status
        self.headers = head.headers
        self.url = url
        self._connection = connection
        self._pool = pool

    def chunks(self) -> AsyncIterator[bytes]:
        """The body; raises Broken when the connection ends before it does."""
        return self._connection.chunks()

    async def read(self, limit: int) -> bytes:
        """The whole body; raises ProtocolViolation before more than `limit` bytes are kept."""
        parts: list[bytes] = []
        size = 0
        async for part in self.chunks():
            size += len(part)
            if size > limit:
                host = self._connection.origin.authority
                raise ProtocolViolation(host, f"more than the {limit} bytes allowed here")
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def discard(self) -> None:
        """Close; a short rest is read first, so that the connection can be used again."""
        try:
            if isinstance(self._connection.rest, int) and self._connection.rest <= MAX_DRAIN:
                await self.read(MAX_DRAIN)
        finally:
            self.close()

    def close(self) -> None:
        self._pool.release(self._connection)


class Answer(Struct, frozen=True):
    """A whole answer. `url` is where it came from, after redirects."""

    status: int
    headers: Headers
    body: bytes
    url: str


class Transport:
    """Used within one event loop; `async with` closes its connections.

    `random` returns floats in [0, 1) and spreads repetitions; `sleep` waits for seconds.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        random: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self.random = random
        self.sleep = sleep
        self._pool = Pool(self._connect, settings.connections, clock)
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._origins: dict[tuple[str, str], Origin] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._pool.close()
        await asyncio.sleep(0)  # lets the loop close the sockets

    def base(self, host: str) -> str:
        """`https://host`, or `http://host` for loopback and where the settings say so."""
        if host in self.settings.tls:
            return f"https://{host}"
        name = urlsplit(f"//{host}").hostname or host
        plain = host in self.settings.plain or is_loopback(name)
        return f"{'http' if plain else 'https'}://{host}"

    async def request(self, request: Request, *, limit: int) -> Answer:
        """Exchange and read the answer whole, at most `limit` bytes of it; repeats if it breaks."""
        for attempt in range(self.settings.attempts):
            response = await self._follow(request)
            try:
                body = await response.read(limit)
                return Answer(response.status, response.headers, body, response.url)
            except Broken:
                if not request.repeatable or attempt + 1 == self.settings.attempts:
                    raise
            finally:
                response.close()
            await self.sleep(retry.backoff(attempt, self.random()))
        raise AssertionError(self.settings.attempts)

    @asynccontextmanager
    async def exchange(self, request: Request) -> AsyncIterator[Response]:
        """The answer to a request, after repeating and redirects. Any status is an answer."""
        response = await self._follow(request)
        try:
            yield response
        finally:
            response.close()

    async def _follow(self, request: Request) -> Response:
        for _ in range(MAX_REDIRECTS):
            response = await self._persist(request)
            try:
                target = _redirect(request, response)
            except ProtocolViolation:
                response.close()
                raise
            if target is None:
                return response
            await response.discard()
            request = self._redirected(request, target)
        host = urlsplit(request.url).netloc
        raise ProtocolViolation(host, f"more than {MAX_REDIRECTS} redirects")

    async def _persist(self, request: Request) -> Response:
        """The answer, after as many attempts as the settings allow and the answers suggest."""
        attempts = self.settings.attempts if request.repeatable else 1
        for attempt in range(attempts):
            last = attempt + 1 == attempts
            try:
                response = await self._once(request, fresh=attempt > 0)
            except (LocalAddress, TlsProblem):
                raise
            except Unreachable:
                if last:
                    raise
                wait: float | None = retry.backoff(attempt, self.random())
            else:
                wait = self._pause(request, response, attempt)
                if last or wait is None:
                    return response
                await response.discard()
            await self.sleep(wait or 0.0)
        raise AssertionError(attempts)

    def _pause(self, request: Request, response: Response, attempt: int) -> float | None:
        return retry.pause(request.method, response.status, response.headers, attempt, self.random)

    async def _once(self, request: Request, *, fresh: bool) -> Response:
        """One attempt. A kept connection that the server had closed meanwhile does not count."""
        origin, head = self._prepare(request)
        connection = await self._pool.acquire(origin, self._context(origin), fresh=fresh)
        stale = connection.used
        try:
            return await self._send(request, connection, head)
        except Broken as problem:
            if not (stale and problem.unanswered and request.repeatable):
                raise
        return await self._once(request, fresh=True)

    async def _send(self, request: Request, connection: Connection, head: bytes) -> Response:
        try:
            await connection.send(head, request.body, request.length)
            answer = await connection.head(request.method)
        except BaseException:
            connection.close()
            self._pool.release(connection)
            raise
        return Response(answer, request.url, connection, self._pool)

    def _prepare(self, request: Request) -> tuple[Origin, bytes]:
        """Where to connect, and the head of what to send there."""
        origin, target = self._located(request.url)
        headers = {
            "host": origin.authority,
            "user-agent": self.settings.user_agent,
            **request.headers,
        }
        length = len(request.body) if isinstance(request.body, bytes) else request.length
        if length is not None:
            headers["content-length"] = str(length)
        if origin.proxy and origin.scheme == "http":
            target = f"http://{origin.authority}{target}"
            if origin.proxy_authorization:
                headers["proxy-authorization"] = origin.proxy_authorization
        try:
            return origin, http1.encode_request(request.method, target, headers)
        except UnsendableRequest as problem:
            raise ProtocolViolation(origin.authority, str(problem)) from problem

    def _located(self, url: str) -> tuple[Origin, str]:
        """Where a URL leads, and to what there. Of origins that are known, nothing is parsed again."""
        scheme, _, rest = url.partition("://")
        netloc, slash, path = rest.partition("/")
        known = self._origins.get((scheme, netloc))
        if known is not None and slash and path.isascii() and "#" not in path:
            return known, f"/{path}"
        scheme, netloc, path, query, _ = urlsplit(url)
        return self._origin(scheme, netloc), f"{path or '/'}?{query}" if query else path or "/"

    def _origin(self, scheme: str, netloc: str) -> Origin:
        known = self._origins.get((scheme, netloc))
        if known is not None:
            return known
        _, host, port = place(f"{scheme}://{netloc}", "the registry")
        proxy = proxy_for(scheme, host, port, self.settings.environ)
        origin = Origin(
            scheme,
            host,
            port,
            (proxy.host, proxy.port) if proxy else None,
            proxy.authorization if proxy else None,
        )
        return self._origins.setdefault((scheme, netloc), origin)

    def _context(self, origin: Origin) -> ssl.SSLContext | None:
        if origin.scheme != "https":
            return None
        known = self._contexts.get(origin.authority)
        if known is None:
            files, folders = self.settings.ca_files, self.settings.certs_folders
            known = self._contexts[origin.authority] = tls.context(origin.authority, files, folders)
        return known

    async def _connect(self, origin: Origin, context: ssl.SSLContext | None) -> Connection:
        settings = self.settings
        return await connections.connect(
            origin, context, settings.timeouts, settings.user_agent, settings.guard
        )

    def _redirected(self, request: Request, target: str) -> Request:
        """The request to repeat elsewhere; what authorises it stays with the host it is for."""
        asked = urlsplit(request.url).netloc
        before, after = place(request.url, asked), place(target, asked)
        if before[0] == "https" and after[0] != "https":
            raise ProtocolViolation(asked, "a redirect from https to http")
        headers = request.headers
        if before != after:
            if request.secret:
                raise ProtocolViolation(asked, f"a redirect of a secret to {shown(after)}")
            headers = {name: headers[name] for name in headers if name != "authorization"}
        return replace(request, url=target, headers=headers)


def _redirect(request: Request, response: Response) -> str | None:
    """Where the answer sends us, if we may follow with this request."""
    kept = response.status in {307, 308} and request.repeatable
    if response.status not in {301, 302, 303, 307, 308} or not (request.method in _SAFE or kept):
        return None
    location = response.headers.get("location")
    if not location:
        return None
    return joined(request.url, location, urlsplit(request.url).netloc)
