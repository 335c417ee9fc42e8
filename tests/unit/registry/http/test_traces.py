"""Run where retinue[tracing] is installed."""

import pytest

import rsgi
from retinue.registry.http.exchange import Scope, Wire
from retinue.registry.http.traces import traced

sdk = pytest.importorskip("opentelemetry.sdk.trace")
export = pytest.importorskip("opentelemetry.sdk.trace.export")
memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(("status", "failed"), [(200, False), (404, False), (503, True)])
async def test_a_request_is_a_span_under_its_callers(status: int, failed: bool) -> None:
    spans = memory.InMemorySpanExporter()
    provider = sdk.TracerProvider()
    provider.add_span_processor(export.SimpleSpanProcessor(spans))

    async def app(_scope: Scope, wire: Wire) -> None:
        wire.response_bytes(status, [], b"")

    headers = rsgi.Fields({"traceparent": CALLER, "authorization": "hush"})
    wire = rsgi.Wire()
    await traced(app, provider)(rsgi.Scope("GET", "/v2/a/manifests/v1", headers=headers), wire)
    (span,) = spans.get_finished_spans()
    assert span.name == "GET manifests"
    assert span.parent.span_id == int(CALLER.split("-")[2], 16)
    assert dict(span.attributes) == {
        "http.request.method": "GET",
        "url.path": "/v2/a/manifests/v1",
        "http.response.status_code": status,
    }
    assert failed == (span.status.status_code.name == "ERROR")
    assert wire.status == status
