"""A small HTTPS server for gates: POST with a JSON body, answered with JSON; nothing else.

HTTP/1.1 (RFC 9112) with Content-Length, which is all that API servers send. Whatever is wrong is an
error status, which the caller's failure policy turns into a refusal.
"""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias
from urllib.parse import parse_qs, urlsplit

from msgspec import Struct

from retinue.errors import RetinueError

Handler: TypeAlias = Callable[[bytes, float], Awaitable[bytes]]
"""(body, seconds) to the body of the answer; raises RetinueError for what is no request."""

MAX_HEAD = 32 * 1024
IDLE_SECONDS = 120.0
_log = logging.getLogger("retinue.gates")

_STATUS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    411: "Length Required",
    413: "Content Too Large",
    500: "Internal Server Error",
}


class Settings(Struct, frozen=True):
    """`deadline`: seconds for an answer, below the timeout of the caller. `clients`: authorities
    (PEM) of the callers' certificates; None: anybody may ask."""

    certificate: Path
    key: Path
    clients: Path | None = None
    deadline: float = 8.0
    max_body: int = 16 * 1024 * 1024
    connections: int = 256


class _Request(Struct, frozen=True):
    method: str
    path: str
    query: str
    length: int | None
    closes: bool


class _Bad(Exception):
    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class TlsUnusable(RetinueError):
    """The certificate, its key or the callers' authorities cannot be used."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: cannot be used for TLS: {reason}")
        self.path = path
        self.reason = reason


@dataclass(slots=True)
class Gate:
    """Serves handlers by path; certificates are read again when their files change."""

    settings: Settings
    handlers: Mapping[str, Handler]
    ready: Callable[[], bool] = lambda: True
    _context: ssl.SSLContext = field(init=False)
    _stamps: tuple[tuple[int, int], ...] = field(init=False, default=())
    _open: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.reload()
        clients = self.settings.clients
        if clients is not None:
            try:
                self._context.load_verify_locations(cafile=clients)
            except OSError as problem:  # ssl.SSLError is one
                raise TlsUnusable(clients, str(problem)) from problem
            self._context.verify_mode = ssl.CERT_REQUIRED

    def reload(self) -> bool:
        """Read certificate and key if they changed; new connections get them. Raises TlsUnusable,
        and keeps what it had."""
        path = self.settings.certificate
        try:
            stamps = tuple(
                (found.st_mtime_ns, found.st_ino)
                for found in (path.stat(), self.settings.key.stat())
            )
            if stamps == self._stamps:
                return False
            # Tried apart: a pair that does not fit must not spoil the context in use.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path, self.settings.key)
            self._context.load_cert_chain(path, self.settings.key)
        except OSError as problem:
            raise TlsUnusable(path, str(problem)) from problem
        self._stamps = stamps
        return True

    async def start(self, host: str, port: int) -> asyncio.Server:
        """Listen; the caller closes the server."""
        return await asyncio.start_server(
            self._serve, host, port, ssl=self._context, limit=MAX_HEAD, backlog=256
        )

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open <= self.settings.connections:
                while await self._exchange(reader, writer):
                    pass
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            _log.debug("a connection ended early")
        finally:
            self._open -= 1
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; returns whether another may follow."""
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                request = await _head(reader)
                body = await self._body(reader, request)
        except _Bad as problem:
            await _send(writer, problem.status, str(problem).encode(), "text/plain", closes=True)
            return False
        status, kind, answer = await self._answer(request, body)
        await _send(writer, status, answer, kind, closes=request.closes)
        return not request.closes

    async def _body(self, reader: asyncio.StreamReader, request: _Request) -> bytes:
        if request.length is None:
            if request.method == "POST":
                raise _Bad(411, "send Content-Length")
            return b""
        if request.length > self.settings.max_body:
            raise _Bad(413, f"more than {self.settings.max_body} bytes")
        return await reader.readexactly(request.length)

    async def _answer(self, request: _Request, body: bytes) -> tuple[int, str, bytes]:
        if request.path in {"/healthz", "/readyz"}:
            return (200, "text/plain", b"ok") if self.ready() else (500, "text/plain", b"not ready")
        handler = self.handlers.get(request.path)
        if handler is None:
            return 404, "text/plain", b"no such gate"
        if request.method != "POST":
            return 405, "text/plain", b"use POST"
        try:
            return 200, "application/json", await handler(body, self._seconds(request.query))
        except RetinueError as problem:
            return 400, "text/plain", str(problem).encode()
        except Exception:
            # The caller's failure policy refuses; the log says what to mend.
            _log.exception("a request could not be answered")
            return 500, "text/plain", b"internal error"

    def _seconds(self, query: str) -> float:
        """The deadline, or less where the caller says that he will not wait so long (`timeout`)."""
        said = parse_qs(query).get("timeout", [""])[0].removesuffix("s")
        if said.isascii() and said.isdigit() and len(said) < 5:
            return min(self.settings.deadline, max(0.5, int(said) * 0.8))
        return self.settings.deadline


async def _head(reader: asyncio.StreamReader) -> _Request:
    """The request line and what matters of the fields; raises _Bad, IncompleteReadError."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        raise _Bad(400, "the head is too long") from None
    line, *lines = raw.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    parts = line.split(" ")
    if len(parts) != 3 or not parts[1].startswith("/") or parts[2] not in {"HTTP/1.1", "HTTP/1.0"}:
        raise _Bad(400, "no request of HTTP/1.1")
    fields = _fields(lines)
    closes = parts[2] == "HTTP/1.0" or "close" in fields.get("connection", "").lower()
    split = urlsplit(parts[1])
    return _Request(parts[0], split.path, split.query, _length(fields), closes)


def _fields(lines: list[str]) -> Mapping[str, str]:
    fields: dict[str, str] = {}
    for each in lines:
        name, colon, value = each.partition(":")
        name = name.lower()
        if not colon or not name or name != name.strip():
            raise _Bad(400, "a field that cannot be read")
        if name in fields and name in {"content-length", "transfer-encoding", "host"}:
            raise _Bad(400, f"{name} twice")
        fields[name] = value.strip()
    return fields


def _length(fields: Mapping[str, str]) -> int | None:
    if "transfer-encoding" in fields:
        raise _Bad(411, "send Content-Length, no transfer coding")
    said = fields.get("content-length")
    if said is None:
        return None
    if not (said.isascii() and said.isdigit() and len(said) < 16):
        raise _Bad(400, "a Content-Length that is no number")
    return int(said)


async def _send(
    writer: asyncio.StreamWriter, status: int, body: bytes, kind: str, *, closes: bool
) -> None:
    head = (
        f"HTTP/1.1 {status} {_STATUS[status]}\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\n{'Connection: close' + chr(13) + chr(10) if closes else ''}\r\n"
    )
    writer.write(head.encode() + body)
    async with asyncio.timeout(IDLE_SECONDS):
        await writer.drain()
