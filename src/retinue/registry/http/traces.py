"""OpenTelemetry traces: an extra, imported only where an endpoint is configured."""

from collections.abc import AsyncIterator, Awaitable, Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any, TypeAlias

from retinue import __version__
from retinue.errors import RetinueError
from retinue.registry.http import routes
from retinue.registry.http.exchange import Fields, Headers, Scope, Wire

App: TypeAlias = Callable[[Scope, Wire], Awaitable[None]]
_MAX_PATH = 512


class TracingMissing(RetinueError):
    """Traces are configured, and the packages for them are not installed."""

    def __init__(self) -> None:
        super().__init__("traces need more packages: install retinue[tracing]")


def require() -> None:
    """Raises TracingMissing."""
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        raise TracingMissing


def provider(endpoint: str) -> Any:
    """A tracer provider that sends to an OTLP/HTTP endpoint, in a thread of its own."""
    resources = import_module("opentelemetry.sdk.resources")
    sdk = import_module("opentelemetry.sdk.trace")
    batches = import_module("opentelemetry.sdk.trace.export")
    otlp = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    about = resources.Resource.create({"service.name": "retinue", "service.version": __version__})
    made = sdk.TracerProvider(resource=about)
    exporter = otlp.OTLPSpanExporter(endpoint=endpoint)
    made.add_span_processor(batches.BatchSpanProcessor(exporter))
    return made


def traced(app: App, tracers: Any) -> App:
    """One span for each request, child of the caller's if `traceparent` names one.

    A span has method, resource, path and status; no header, query or body is ever part of it.
    """
    api = import_module("opentelemetry.trace")
    context = import_module("opentelemetry.trace.propagation.tracecontext")
    propagator = context.TraceContextTextMapPropagator()
    tracer = tracers.get_tracer("retinue.registry", __version__)

    async def answer(scope: Scope, wire: Wire) -> None:
        method, path = scope.method[:16], scope.path
        resource = routes.find(path)[0] or "other"
        parent = propagator.extract(_parent(scope.headers))
        with tracer.start_as_current_span(
            f"{method} {resource}", context=parent, kind=api.SpanKind.SERVER
        ) as span:
            span.set_attribute("http.request.method", method)
            span.set_attribute("url.path", path[:_MAX_PATH])

            def tell(status: int) -> None:
                span.set_attribute("http.response.status_code", status)
                if status >= 500:
                    span.set_status(api.Status(api.StatusCode.ERROR))

            await app(scope, _Watched(wire, tell))

    return answer


class _Watched:
    """A connection that tells the status of its answer."""

    def __init__(self, wire: Wire, tell: Callable[[int], None]) -> None:
        self._wire = wire
        self._tell = tell

    def __call__(self) -> Awaitable[bytes]:
        return self._wire()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._wire)

    def response_empty(self, status: int, headers: Headers) -> None:
        self._tell(status)
        self._wire.response_empty(status, headers)

    def response_bytes(self, status: int, headers: Headers, body: bytes) -> None:
        self._tell(status)
        self._wire.response_bytes(status, headers, body)

    def response_file(self, status: int, headers: Headers, file: str) -> None:
        self._tell(status)
        self._wire.response_file(status, headers, file)

    def response_file_range(
        self, status: int, headers: Headers, file: str, start: int, end: int
    ) -> None:
        self._tell(status)
        self._wire.response_file_range(status, headers, file, start, end)


def _parent(headers: Fields) -> dict[str, str]:
    found = {name: headers.get(name) for name in ("traceparent", "tracestate")}
    return {name: value for name, value in found.items() if value is not None}
