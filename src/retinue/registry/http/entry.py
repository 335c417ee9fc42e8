"""Where every request arrives: who asks, for what, whether he may; and every error leaves."""

import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from time import perf_counter
from typing import TypeAlias

from retinue.errors import RetinueError
from retinue.registry.access.gate import Denied, Unauthenticated
from retinue.registry.access.principal import ANONYMOUS, Principal
from retinue.registry.access.rules import Action
from retinue.registry.content.errors import RepositoryUnknown
from retinue.registry.content.services import Services
from retinue.registry.http import errors, hosts, routes
from retinue.registry.http.connections import Connections
from retinue.registry.http.exchange import (
    Fields,
    Headers,
    Request,
    Response,
    Scope,
    Wire,
    address,
)
from retinue.registry.http.hot import Hot
from retinue.registry.http.links import located
from retinue.registry.http.logs import AccessLine
from retinue.registry.http.proxies import Proxies
from retinue.registry.http.routes import Route
from retinue.registry.http.write import write
from retinue.registry.metrics import Metrics

Handler: TypeAlias = Callable[[Services, Request, str, str], Awaitable[Response]]
Methods: TypeAlias = Mapping[str, tuple[Handler, Action | None]]
"""By method: what answers, and what one must be allowed to do to the repository."""

LINGER_BYTES = 64 << 20
LINGER_SECONDS = 5.0
"""What is read of a body that nobody wanted, so that the client comes to read the answer."""

PROBES = frozenset({"/healthz", "/readyz"})
"""What is asked by whoever watches over the process, under an address or a name of its own."""

_WITHOUT_BODY = frozenset({"GET", "HEAD"})
_PLAIN = ("x-content-type-options", "nosniff")
"""Nothing that was pushed is to be taken for a script or a page (fetch.spec.whatwg.org, nosniff)."""
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LISTS_OF_PAPERS = frozenset(
    {"referrers", "old-references", "old-rc1", "old-oras", "old-oras-draft"}
)
_log = logging.getLogger("retinue.http")
_access = logging.getLogger("retinue.access_log")


def _nothing(_size: int) -> None:
    return


class Entry:
    """Answers every request.

    `table`: resource to its methods; `mark` begins the request ids of this process alone;
    `aside`: metrics for the thread that calls `hot`, if it is another one; `sending` is told the
    size of each body that is sent, `connections` which clients have a request under way.
    """

    def __init__(
        self,
        services: Services,
        table: Mapping[str, Methods],
        mark: str = "local",
        aside: Metrics | None = None,
        sending: Callable[[int], None] = _nothing,
        connections: Connections | None = None,
    ) -> None:
        config = services.config
        self._services = services
        self._gate = services.access
        self._metrics = services.metrics
        self._table = table
        self._proxies = Proxies(config.trusted_proxies) if config.trusted_proxies else None
        self._base = config.base
        self._stall = config.body_timeout
        self._least = min(config.anonymous_body, LINGER_BYTES)
        self._log_requests = config.access_log
        self._old = config.old_discovery
        self._number = count()
        self._always: Headers = [_PLAIN, *_notice(config.notice)]
        self._hosts = hosts.of(config)
        self._prefix = f"{mark}-"
        arrived = self._logged if config.access_log else self._named
        self._sending = sending
        self._connections = connections
        self.hot = Hot(
            services, aside or services.metrics, self._hosts, arrived, self._always, sending
        )

    def recall(self, fields: Fields) -> Principal | None:
        """Who asks, if that is known at once; nobody without a name is. From any thread."""
        if self._gate.open:
            return ANONYMOUS
        authorization = fields.get("authorization")
        return None if authorization is None else self._gate.recall(authorization)

    async def __call__(self, scope: Scope, wire: Wire, who: Principal = ANONYMOUS) -> None:
        """`who` asks, where that is known: then he is not identified again."""
        begun = perf_counter()
        self._metrics.begin()
        path = scope.path
        route = self._route(path)
        request = self._request(scope, wire, path)
        request.principal = who
        status, sent = 500, 0
        client = self._begin(scope)
        generation = self.hot.generation()
        try:
            response = await self._answer(request, route)
            response.headers = located(response.headers, self._base)
            status = response.status
            closes = request.method not in _WITHOUT_BODY and not await request.drained(
                self._lingers(request), LINGER_SECONDS
            )
            sent = self._send(request, response, closes=closes)
            self._sending(sent)
            self.hot.keep(generation, request, route, response)
        finally:
            if self._connections is not None:
                self._connections.end(client)
            self._metrics.end(route[0], request.method, status, perf_counter() - begun, sent)

    def _begin(self, scope: Scope) -> str:
        """The client's end of the connection, which is not to be taken for idle."""
        if self._connections is None:
            return ""
        client = scope.client
        self._connections.begin(client)
        return client

    def _lingers(self, request: Request) -> int:
        """Bytes that are read of a body that nobody wanted."""
        anonymous = request.principal is ANONYMOUS and not self._gate.open
        return self._least if anonymous else LINGER_BYTES

    def _route(self, path: str) -> Route:
        route = routes.find(path)
        if route[0] == "":
            if path in self._table:
                return path, "", ""
            if self._old:
                return routes.old(path)
        return route

    def _request(self, scope: Scope, wire: Wire, path: str) -> Request:
        headers = scope.headers
        request_id = self._request_id(headers)
        request = Request(scope.method, path, scope, headers, wire, request_id, self._stall)
        if self._proxies is not None:
            request.origin = self._proxies.origin(address(scope.client), headers)
        return request

    def _request_id(self, headers: Fields) -> str:
        request_id = headers.get("x-request-id")
        if request_id is None or not _REQUEST_ID.fullmatch(request_id):
            return f"{self._prefix}{next(self._number):x}"
        return request_id

    def _named(self, _scope: Scope, _wire: Wire, fields: Fields, _who: Principal) -> str:
        return self._request_id(fields)

    def _logged(self, scope: Scope, wire: Wire, _fields: Fields, who: Principal) -> str:
        """The id of a request that is answered from memory, which is logged."""
        request = self._request(scope, wire, scope.path)
        request.principal = who
        _access.info("", extra={"line": AccessLine(request, 200)})
        return request.request_id

    async def _answer(self, request: Request, route: Route) -> Response:
        try:
            self._require_plain(request, route)
            return await self._handle(request, route)
        except RetinueError as problem:
            return self._refuse(problem, request)
        except Exception:
            _log.exception(
                "%s %s failed", request.method, request.path, extra={"request": request.request_id}
            )
            return errors.failed(500, errors.UNKNOWN, request.request_id)

    def _require_plain(self, request: Request, route: Route) -> None:
        """Raises MalformedHost, UnknownHost, CodingUnknown."""
        if not self._hosts.seen(request.scope, request.headers) and route[0] not in PROBES:
            self._hosts.require(request.scope, request.headers)
        if request.method not in _WITHOUT_BODY and "transfer-encoding" in request.headers:
            codings = request.headers.get_all("transfer-encoding")
            if [coding.lower() for coding in codings] != ["chunked"]:
                raise errors.CodingUnknown(", ".join(codings))

    def _handle(self, request: Request, route: Route) -> Awaitable[Response]:
        """Raises NotFound, MethodNotAllowed; what is returned raises what handlers do."""
        resource, name, rest = route
        methods = self._table.get(resource)
        if methods is None or "\0" in name or "\0" in rest:
            raise errors.NotFound(request.path)
        chosen = methods.get(request.method)
        if chosen is None:
            raise errors.MethodNotAllowed(request.method, tuple(methods))
        if self._gate.open:
            return chosen[0](self._services, request, name, rest)
        return self._handle_known(request, route, *chosen)

    async def _handle_known(
        self, request: Request, route: Route, handler: Handler, action: Action | None
    ) -> Response:
        if request.principal is ANONYMOUS:
            authorization = request.headers.get("authorization")
            if authorization is None and "authorization" in request.headers:
                raise Unauthenticated
            request.principal = await self._gate.identify(authorization, request.peer)
        if action is not None:
            self._require(request.principal, action, route)
        return await handler(self._services, request, route[1], route[2])

    def _require(self, principal: Principal, action: Action, route: Route) -> None:
        """Raises Unauthenticated, RepositoryUnknown, Denied.

        What may not be read answers as what does not exist. A list of papers is the exception: an
        empty one would say that there are none, so it is denied; the answer never depends on
        whether the repository exists.
        """
        resource, name, _ = route
        if not name and resource == "extensions":
            return
        if self._gate.allows(principal, action, name):
            return
        if principal.anonymous:
            raise Unauthenticated
        if action is Action.PULL and resource not in _LISTS_OF_PAPERS:
            raise RepositoryUnknown(name)
        raise Denied(principal.name, action, name)

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

    def _send(self, request: Request, response: Response, *, closes: bool) -> int:
        headers = [*response.headers, ("x-request-id", request.request_id), *self._always]
        if closes:
            headers.append(("connection", "close"))
        sent = write(request.wire, response, headers, head=request.method == "HEAD")
        if self._log_requests:
            _access.info("", extra={"line": AccessLine(request, response.status)})
        return sent


def _notice(text: str) -> Headers:
    """The Warning header (distribution-spec, "Warnings"): code 299, agent `-`, no date."""
    if not text:
        return []
    plain = text.encode("ascii", "replace").decode()  # the server drops other headers
    escaped = plain.replace("\\", "\\\\").replace('"', '\\"')
    return [("warning", f'299 - "{escaped}"'[:4096])]
