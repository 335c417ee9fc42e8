"""Where every request arrives: who asks, for what, whether he may; and every error leaves."""

import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from time import perf_counter
from typing import Any, TypeAlias

from retinue.errors import RetinueError
from retinue.registry.access.gate import Denied, Unauthenticated
from retinue.registry.access.principal import ANONYMOUS, Principal
from retinue.registry.access.rules import Action
from retinue.registry.content.errors import RepositoryUnknown
from retinue.registry.content.services import Services
from retinue.registry.http import errors, routes
from retinue.registry.http.exchange import Headers, Receive, Request, Response, Send
from retinue.registry.http.logs import AccessLine
from retinue.registry.http.proxies import Proxies
from retinue.registry.http.routes import Route
from retinue.registry.http.write import write

Handler: TypeAlias = Callable[[Services, Request, str, str], Awaitable[Response]]
Methods: TypeAlias = Mapping[str, tuple[Handler, Action | None]]
"""By method: what answers, and what one must be allowed to do to the repository."""

LINGER_BYTES = 64 << 20
LINGER_SECONDS = 5.0
"""What is read of a body that nobody wanted, so that the client comes to read the answer."""

_WITHOUT_BODY = frozenset({"GET", "HEAD"})
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_MEASURED = frozenset({"manifests", "blobs", "uploads", "tags", "referrers", "catalog"})
_LISTS_OF_PAPERS = frozenset(
    {"referrers", "old-references", "old-rc1", "old-oras", "old-oras-draft"}
)
_log = logging.getLogger("retinue.http")
_access = logging.getLogger("retinue.access_log")


class Entry:
    """The ASGI application for HTTP.

    `table`: resource to its methods; `mark` begins the request ids of this process alone.
    """

    def __init__(
        self, services: Services, table: Mapping[str, Methods], mark: str = "local"
    ) -> None:
        config = services.config
        self._services = services
        self._gate = services.access
        self._metrics = services.metrics
        self._table = table
        self._proxies = Proxies(config.trusted_proxies) if config.trusted_proxies else None
        self._external = config.external_url.rstrip("/").encode()
        self._stall = config.body_timeout
        self._log_requests = config.access_log
        self._old = config.old_discovery
        self._number = count()
        self._always: Headers = _notice(config.notice)
        self._prefix = f"{mark}-"

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        begun = perf_counter()
        self._metrics.begin()
        route = self._route(scope["path"])
        status, sent = 500, 0
        try:
            status, sent = await self._answer(scope, receive, send, route)
        finally:
            resource = route.resource if route.resource in _MEASURED else _group(route.resource)
            self._metrics.end(resource, scope["method"], status, perf_counter() - begun, sent)

    def _route(self, path: str) -> Route:
        route = routes.find(path)
        if route.resource == "":
            if path in self._table:
                return Route(path, "", "")
            if self._old:
                return routes.old(path)
        return route

    async def _answer(
        self, scope: dict[str, Any], receive: Receive, send: Send, route: Route
    ) -> tuple[int, int]:
        request, authorization = self._request(scope, receive)
        try:
            response = await self._respond(request, authorization, route)
        except RetinueError as problem:
            response = self._refuse(problem, request)
        except Exception:
            _log.exception(
                "%s %s failed", request.method, request.path, extra={"request": request.request_id}
            )
            response = errors.failed(500, errors.UNKNOWN, request.request_id)
        return response.status, await self._send(send, request, response)

    def _request(self, scope: dict[str, Any], receive: Receive) -> tuple[Request, str | None]:
        headers = scope["headers"]
        peer, scheme = scope["client"][0], scope["scheme"]
        if self._proxies is not None:
            peer, scheme = self._proxies.origin(peer, scheme, headers)
        authorization = request_id = None
        for key, value in headers:
            if key == b"authorization":
                authorization = value.decode("latin-1")
            elif key == b"x-request-id" and _REQUEST_ID.fullmatch(value):
                request_id = value.decode("ascii")
        request = Request(
            scope["method"],
            scope["path"],
            scope["query_string"],
            headers,
            receive,
            ANONYMOUS,
            request_id or f"{self._prefix}{next(self._number):x}",
            peer,
            scheme,
            self._stall,
        )
        return request, authorization

    async def _respond(self, request: Request, authorization: str | None, route: Route) -> Response:
        resource, name, rest = route
        methods = self._table.get(resource)
        if methods is None or "\0" in name or "\0" in rest:
            raise errors.NotFound(request.path)
        chosen = methods.get(request.method)
        if chosen is None:
            raise errors.MethodNotAllowed(request.method, tuple(methods))
        handler, action = chosen
        if not self._gate.open:
            request.principal = await self._gate.identify(authorization, request.peer)
            if action is not None:
                self._require(request.principal, action, route)
        return await handler(self._services, request, name, rest)

    def _require(self, principal: Principal, action: Action, route: Route) -> None:
        """Raises Unauthenticated, RepositoryUnknown, Denied.

        What may not be read answers as what does not exist. A list of papers is the exception: an
        empty one would say that there are none, so it is denied; the answer never depends on
        whether the repository exists.
        """
        if not route.name and route.resource == "extensions":
            return
        if self._gate.allows(principal, action, route.name):
            return
        if principal.anonymous:
            raise Unauthenticated
        if action is Action.PULL and route.resource not in _LISTS_OF_PAPERS:
            raise RepositoryUnknown(route.name)
        raise Denied(principal.name, action, route.name)

    def _refuse(self, problem: RetinueError, request: Request) -> Response:
        response = errors.answer(problem, request.request_id)
        if response.status in errors.OURS:
            _log.error(
                "%s %s: %s",
                request.method,
                request.path,
                problem,
                exc_info=problem if response.status == 500 else None,
                extra={"request": request.request_id},
            )
        return response

    async def _send(self, send: Send, request: Request, response: Response) -> int:
        extra = [(b"x-request-id", request.request_id.encode()), *self._always]
        if request.method not in _WITHOUT_BODY and not await request.drained(
            LINGER_BYTES, LINGER_SECONDS
        ):
            extra.append((b"connection", b"close"))
        if self._external:
            _make_absolute(response.headers, self._external)
        try:
            return await write(
                send, response, head=request.method == "HEAD", extra=extra, stall=self._stall
            )
        except Exception as problem:
            _cut_off(request, problem)
            return 0
        finally:
            if self._log_requests:
                _access.info("", extra={"line": AccessLine(request, response.status)})


def _cut_off(request: Request, problem: Exception) -> None:
    """An answer that has begun cannot turn into an error: it ends short of its length, and with
    it the connection."""
    more = {"request": request.request_id}
    if isinstance(problem, TimeoutError):
        _log.info("%s %s: the client stopped reading", request.method, request.path, extra=more)
    else:
        _log.error("%s %s was cut off", request.method, request.path, exc_info=problem, extra=more)


def _notice(text: str) -> Headers:
    """The Warning header (distribution-spec, "Warnings"): code 299, agent `-`, no date."""
    if not text:
        return []
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return [(b"warning", f'299 - "{escaped}"'.encode()[:4096])]


def _make_absolute(headers: Headers, base: bytes) -> None:
    for number, (key, value) in enumerate(headers):
        if key == b"location" and value.startswith(b"/"):
            headers[number] = key, base + value


def _group(resource: str) -> str:
    if resource.startswith("/"):
        return "operations"
    return "extensions" if resource in {"ping", "extensions"} else "other"
