"""OpenTelemetry traces: an extra, imported only where an endpoint is configured."""

from collections.abc import Awaitable, Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any, TypeAlias

from retinue import __version__
from retinue.errors import RetinueError
from retinue.registry.http import routes
from retinue.registry.http.exchange import Headers, Receive, Send

App: TypeAlias = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]
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

    async def answer(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        method, path = scope["method"][:16], scope["path"]
        resource = routes.find(path).resource or "other"
        parent = propagator.extract(_parent(scope["headers"]))
        with tracer.start_as_current_span(
            f"{method} {resource}", context=parent, kind=api.SpanKind.SERVER
        ) as span:
            span.set_attribute("http.request.method", method)
            span.set_attribute("url.path", path[:_MAX_PATH])

            async def watched(message: dict[str, Any]) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    if message["status"] >= 500:
                        span.set_status(api.Status(api.StatusCode.ERROR))
                await send(message)

            await app(scope, receive, watched)

    return answer


def _parent(headers: Headers) -> dict[str, str]:
    wanted = {b"traceparent", b"tracestate"}
    return {k.decode(): v.decode("latin-1") for k, v in headers if k in wanted}
