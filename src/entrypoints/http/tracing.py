"""Traces by OpenTelemetry, over OTLP. Imported only where the standard `OTEL_*` settings ask for them, so that they cost nothing else.

A span holds the route template and never the address, the text of a statement and never its values, and of an error only that there
was one: messages of errors quote what people sent. See docs/decisions/0020-observability.md.
"""

import asyncio
from collections.abc import Sequence
from threading import Thread
from typing import Any

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagate import extract
from opentelemetry.propagators.textmap import Getter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, Status, StatusCode
from starlette.types import ASGIApp, Receive, Scope, Send

from entrypoints.settings import is_service_named

CLOSE_SECONDS = 3.0

Headers = list[tuple[bytes, bytes]]


class Tracing:
    """The traces of this process: a span for each request, around those of its statements."""

    def __init__(self) -> None:
        """Everything else is as the environment says: the address, the headers, the sampler, the name of the service."""
        name = {} if is_service_named() else {SERVICE_NAME: "complex-stories"}
        self._provider = TracerProvider(resource=Resource.create(name), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(Discreet(OTLPSpanExporter())))
        trace.set_tracer_provider(self._provider)
        self._tracer = trace.get_tracer("complex_stories")

    def around(self, app: ASGIApp) -> ASGIApp:
        """The application with a span around each request, which goes on a trace that the client began (`traceparent`)."""

        async def traced(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            method = scope["method"]
            begun = extract(scope["headers"], getter=_FROM_HEADERS)
            with self._tracer.start_as_current_span(
                method, begun, kind=SpanKind.SERVER, attributes={"http.request.method": method}, record_exception=False
            ):
                await app(scope, receive, send)

        return traced

    def finish(self, scope: Scope, *, method: str, status: int, request_id: str) -> None:
        """Tell the span of the present request how it ended."""
        span = trace.get_current_span()
        route = scope.get("route")
        if route:
            span.update_name(f"{method} {route.path_format}")
            span.set_attribute("http.route", route.path_format)
        span.set_attribute("http.response.status_code", status)
        span.set_attribute("request.id", request_id)
        if status >= 500 or not status:
            span.set_status(StatusCode.ERROR)

    async def close(self) -> None:
        """Send what is left, unless that takes long: a collector that is away holds up no end."""
        sending = Thread(target=self._provider.shutdown, name="last-spans", daemon=True)
        sending.start()
        await asyncio.to_thread(sending.join, CLOSE_SECONDS)


class Discreet(SpanExporter):
    """Passes spans on without the messages and traces of errors: those of the database quote the values it refused."""

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._inner.export([_without_messages(span) for span in spans])

    def shutdown(self) -> None:
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)


def _without_messages(span: ReadableSpan) -> ReadableSpan:
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=span.attributes,
        links=span.links,
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


class _FromHeaders(Getter[Headers]):
    """Reads the headers of a request as ASGI has them."""

    def get(self, carrier: Headers, key: str) -> list[str] | None:
        wanted = key.lower().encode()
        return [value.decode("latin-1") for name, value in carrier if name == wanted] or None

    def keys(self, carrier: Headers) -> list[str]:
        return [name.decode("latin-1") for name, _ in carrier]


_FROM_HEADERS: Any = _FromHeaders()
