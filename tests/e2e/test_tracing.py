"""Traces, as a collector gets them over OTLP: what stands in them, and what must not."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.e2e.client import ADMIN_PASSWORD, Service, client, data_folder, log_in, run, serving, token_of, until
from tests.pictures import png

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
FINGERPRINT = "a-very-private-fingerprint"


class Collector(ThreadingHTTPServer):
    """A collector of traces that keeps what it is sent."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        self.raw = b""
        super().__init__(("127.0.0.1", 0), Take)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for request in list(self.requests)
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def by_request(self, request_id: str) -> Span:
        """The span of the request with this id, once it is there."""
        found = until(lambda: [span for span in self.spans if told(span).get("request.id") == request_id], f"the span of {request_id}")
        (span,) = found
        return span

    def below(self, parent: Span) -> list[Span]:
        return [span for span in self.spans if span.parent_span_id == parent.span_id]


class Take(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        assert self.path == "/v1/traces"
        self.server.raw += body
        self.server.requests.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def told(span: Span) -> dict[str, object]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value") or "string_value") for each in span.attributes}


@contextmanager
def traced(monkeypatch: pytest.MonkeyPatch, database: dict[str, str], *, sent_every: int = 100) -> Iterator[tuple[Service, Collector]]:
    with Collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", str(sent_every))
        with serving("--demo", folder=None, ADMIN_PASSWORD=ADMIN_PASSWORD, RATE_LIMITS="off", **database) as service:
            yield service, collector
        collector.shutdown()


@pytest.fixture(scope="module")
def here(database: dict[str, str]) -> Iterator[tuple[Service, Collector]]:
    with pytest.MonkeyPatch.context() as monkeypatch, traced(monkeypatch, database) as both:
        yield both


def test_a_request_is_a_span_and_each_of_its_statements_one_below(here: tuple[Service, Collector]) -> None:
    service, collector = here
    httpx.get(f"{service.url}/dark-data/resources?search=private-search", headers={"x-request-id": "a-list"})
    span = collector.by_request("a-list")
    assert (span.name, span.kind, span.parent_span_id) == ("GET /{project}/resources", Span.SpanKind.SPAN_KIND_SERVER, b"")
    assert told(span) == {
        "http.request.method": "GET",
        "http.route": "/{project}/resources",
        "http.response.status_code": 200,
        "request.id": "a-list",
    }
    until(lambda: collector.below(span), "the statements of the request")
    for statement in collector.below(span):
        assert statement.trace_id == span.trace_id
        assert str(told(statement)["db.statement"]).startswith(("SELECT", "WITH"))


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_trace_that_the_client_began_goes_on(here: tuple[Service, Collector], method: str) -> None:
    service, collector = here
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "x-request-id": f"begun-{method}"}
    httpx.request(method, f"{service.url}/dark-data", headers=headers)
    span = collector.by_request(f"begun-{method}")
    assert (span.trace_id.hex(), span.parent_span_id.hex(), span.name) == (TRACE, PARENT, f"{method} /{{project}}")


def test_a_trace_that_the_client_does_not_sample_is_not_sent(here: tuple[Service, Collector]) -> None:
    service, collector = here
    httpx.get(f"{service.url}/dark-data", headers={"traceparent": f"00-{TRACE}-{PARENT}-00", "x-request-id": "not-sampled"})
    httpx.get(f"{service.url}/dark-data", headers={"traceparent": "nonsense", "x-request-id": "sampled-after"})
    collector.by_request("sampled-after")
    assert "not-sampled" not in [told(span).get("request.id") for span in collector.spans]


def test_a_span_tells_how_its_request_ended(here: tuple[Service, Collector]) -> None:
    service, collector = here
    httpx.get(f"{service.url}/no/such/address", headers={"x-request-id": "not-found"})
    httpx.get(f"{service.url}/admin/users", headers={"x-request-id": "no-sign-in"})
    assert told(collector.by_request("not-found"))["http.response.status_code"] == 404
    assert collector.by_request("not-found").name == "GET"
    assert told(collector.by_request("no-sign-in"))["http.response.status_code"] == 401


def test_spans_tell_nothing_of_what_people_sent(here: tuple[Service, Collector]) -> None:
    service, collector = here
    with client(service.url, token_of(log_in(service.url, "admin", ADMIN_PASSWORD))) as admin:
        saved = admin.post("/dark-data/survey/upsert", json={"fingerprint": FINGERPRINT, "field": "consent", "value": "accepted"})
        for _ in range(2):  # the second is refused by a constraint whose message quotes the value
            admin.post("/admin/users", json={"username": "private-name", "email": "private@example.org", "role": "member"})
        admin.get("/dark-data/resources?search=private-search", headers={"x-request-id": "the-last"})
        token = admin.headers["authorization"].removeprefix("Bearer ")
    until(lambda: collector.below(collector.by_request("the-last")), "the statements of the last request")
    failed = [span for span in collector.spans if span.status.code == span.status.STATUS_CODE_ERROR]
    assert failed, "no span of a statement that failed was seen"
    for private in (FINGERPRINT, saved.json()["respondent_token"], "private", token, ADMIN_PASSWORD, "dark-data", "consent"):
        assert private.encode() not in collector.raw


def test_what_a_request_does_to_the_store_of_files_is_a_span_below_it_without_names(here: tuple[Service, Collector]) -> None:
    service, collector = here
    with client(service.url, token_of(log_in(service.url, "admin", ADMIN_PASSWORD))) as admin:
        sent = {"file": ("private-photo.png", png(), "image/png")}
        id = admin.post("/admin/dark-data/upload", files=sent, headers={"x-request-id": "an-upload"}).json()["id"]
        assert admin.get(f"/dark-data/files/{id}/content", headers={"x-request-id": "a-download"}).content == png()
        admin.delete(f"/admin/dark-data/files/{id}", headers={"x-request-id": "a-removal"})

    def of_the_store(request_id: str) -> list[Span]:
        return [span for span in collector.below(collector.by_request(request_id)) if span.name.startswith("store ")]

    for request_id, names in (("an-upload", {"store incoming", "store keep"}), ("a-download", {"store mark", "store read"})):
        until(lambda: names <= {span.name for span in of_the_store(request_id)}, f"the spans of {request_id}")  # noqa: B023 - asked at once
        assert not any(told(span) for span in of_the_store(request_id))
    for private in (b"private-photo", b"files/"):
        assert not any(private in span.SerializeToString() for span in (*of_the_store("an-upload"), *of_the_store("a-download")))


def test_the_service_has_its_name_and_chores_are_one_trace_each(here: tuple[Service, Collector]) -> None:
    _, collector = here
    chores = until(lambda: [span for span in collector.spans if span.name == "chain the audit trail"], "a chore")
    until(lambda: collector.below(chores[0]), "the statements of a chore")
    (name,) = {
        attribute.value.string_value
        for request in list(collector.requests)
        for resource in request.resource_spans
        for attribute in resource.resource.attributes
        if attribute.key == "service.name"
    }
    assert name == "complex-stories"


def test_the_last_spans_are_sent_at_the_end(monkeypatch: pytest.MonkeyPatch, database: dict[str, str]) -> None:
    with traced(monkeypatch, database, sent_every=600_000) as (service, collector):
        httpx.get(f"{service.url}/dark-data", headers={"x-request-id": "the-last"})
        assert collector.raw == b""
        assert service.stop() == 0
        collector.by_request("the-last")


def test_a_collector_that_is_away_or_hangs_stops_neither_requests_nor_the_end(
    monkeypatch: pytest.MonkeyPatch, database: dict[str, str]
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=a-secret-of-the-collector")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    with serving("--demo", folder=None, ADMIN_PASSWORD=ADMIN_PASSWORD, **database) as service:
        assert {httpx.get(f"{service.url}/dark-data").status_code for _ in range(10)} == {200}
        assert service.stop() == 0
        assert "Traceback" not in service.err
        assert "a-secret-of-the-collector" not in service.err


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_SDK_DISABLED": "true"},
        {"OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_nothing_is_sent_unless_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, database: dict[str, str], variables: dict[str, str]
) -> None:
    with Collector() as collector:
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        if variables:
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        with serving("--demo", folder=None, ADMIN_PASSWORD=ADMIN_PASSWORD, **database) as service:
            httpx.get(f"{service.url}/dark-data")
            assert service.stop() == 0
        assert collector.raw == b""
        collector.shutdown()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "zebra"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "zebra:4318"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_TRACES_EXPORTER", "console"),
    ],
)
def test_what_cannot_be_had_stops_the_start_in_one_line(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv(name, value)
    with data_folder() as folder:
        done = run("serve", folder=folder)
        assert done.returncode == 2
        (line,) = done.stderr.splitlines()
        assert name in line
        assert "zebra" not in line
        assert not (folder / "postgres").exists()
