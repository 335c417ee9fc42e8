"""Run where retinue[tracing] is installed."""

from typing import Any

import pytest

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

    async def app(_scope: dict[str, Any], _receive: object, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> dict[str, Any]:
        return {}

    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "method": "GET",
        "path": "/v2/a/manifests/v1",
        "headers": [(b"traceparent", CALLER.encode()), (b"authorization", b"hush")],
    }
    await traced(app, provider)(scope, receive, send)
    (span,) = spans.get_finished_spans()
    assert span.name == "GET manifests"
    assert span.parent.span_id == int(CALLER.split("-")[2], 16)
    assert dict(span.attributes) == {
        "http.request.method": "GET",
        "url.path": "/v2/a/manifests/v1",
        "http.response.status_code": status,
    }
    assert failed == (span.status.status_code.name == "ERROR")
    assert len(sent) == 2
