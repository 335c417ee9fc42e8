"""For whoever operates the registry: is it alive, is it ready, how is it doing."""

from collections.abc import Collection, Mapping
from time import monotonic

from retinue.registry.access.gate import Denied, Unauthenticated
from retinue.registry.access.principal import Principal
from retinue.registry.access.rules import EVERYBODY, USERS
from retinue.registry.content.services import Services
from retinue.registry.http.entry import Handler, Methods
from retinue.registry.http.exchange import Request, Response
from retinue.registry.http.readiness import Readiness
from retinue.registry.metrics import Shared, exposition

_TEXT = ("content-type", "text/plain; charset=utf-8")
_METRICS = ("content-type", "text/plain; version=0.0.4; charset=utf-8")


def table(shared: Shared) -> Mapping[str, Methods]:
    """`shared`: what all processes of this server count in, and whether they drain."""
    readiness = Readiness(monotonic)

    async def ready(services: Services, _request: Request, _name: str, _rest: str) -> Response:
        if shared.draining:
            return Response(503, [_TEXT], b"draining\n")
        verdict = await readiness.verdict(services)
        return Response(200 if verdict.ready else 503, [_TEXT], f"{verdict.text}\n".encode())

    async def metrics(services: Services, request: Request, _name: str, _rest: str) -> Response:
        _require_reader(services.config.metrics_readers, request.principal)
        services.cache.publish(services.metrics)
        return Response(200, [_METRICS], exposition(shared.totals()).encode())

    return {
        "/healthz": _open(_alive),
        "/readyz": _open(ready),
        "/metrics": _open(metrics),
    }


def _require_reader(readers: Collection[str], principal: Principal) -> None:
    """Raises Unauthenticated, Denied."""
    if EVERYBODY in readers:
        return
    if principal.anonymous:
        raise Unauthenticated
    if USERS not in readers and principal.name not in readers:
        raise Denied(principal.name, "read", "/metrics")


def _open(handler: Handler) -> Methods:
    return {"GET": (handler, None), "HEAD": (handler, None)}


async def _alive(_services: Services, _request: Request, _name: str, _rest: str) -> Response:
    return Response(200, [_TEXT], b"alive\n")
