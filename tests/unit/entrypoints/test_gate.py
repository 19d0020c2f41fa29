"""The refusal at the end of the headers: whole, right, counted, and never for those who must always be answered."""

import asyncio
import io
import json
from typing import Any

import pytest

from entrypoints.http.admission import Admission
from entrypoints.http.cross_origin import CrossOrigin
from entrypoints.http.gate import Gate
from entrypoints.http.server import Protocol, config_of
from entrypoints.http.stopping import State
from entrypoints.logs import AccessLog
from entrypoints.metrics import Metrics
from tests.e2e.client import Answer, answers


async def no_content(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


class App:
    """Answers 204 once it may, unless it is given `answering`, and takes a turn as the edge does."""

    def __init__(self, gate: Gate, answering: Any) -> None:
        self.gate = gate
        self.asked: list[str] = []
        self.answering = answering

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope.pop("is_announced", False):
            self.gate.admission.come()
        self.asked.append(scope["path"])
        await self.answering(scope, receive, send)


class Wire(asyncio.Transport):
    """What the server writes."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_closed = False

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Stage:
    """A connection to a service without room."""

    def __init__(
        self, *, origins: tuple[str, ...] = (), room: int = 0, crowd: int = 0, loop: Any = None, answering: Any = no_content
    ) -> None:
        self.log = io.StringIO()
        self.access_log = AccessLog("json", self.log)
        self.metrics = Metrics()
        self.admission = Admission(at_once=room, crowd=crowd)
        if not room:
            self.admission.announce()
        cross_origin = CrossOrigin(origins) if origins else None
        self.app = App(Gate(self.admission, access_log=self.access_log, metrics=self.metrics, cross_origin=cross_origin), answering)
        config = config_of(self.app)
        config.load()
        self.state = State()
        self.state.default_headers = [(b"date", b"Tue, 24 Nov 2026 12:00:00 GMT")]
        self.protocol = Protocol(config, self.state, {}, loop)
        self.wire = Wire()
        self.protocol.connection_made(self.wire)

    async def ask(self, *parts: bytes) -> list[Answer]:
        """What these bytes are answered, in order."""
        before = len(self.wire.written)
        for part in parts:
            self.protocol.data_received(part)
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        return answers(self.wire.written[before:])

    def answered(self) -> list[Answer]:
        """All that was answered so far."""
        return answers(self.wire.written)

    def end(self) -> list[dict[str, Any]]:
        """The lines of the access log."""
        self.protocol.connection_lost(None)
        self.access_log.close()
        return [json.loads(line) for line in self.log.getvalue().splitlines()]


GET = b"GET /projects HTTP/1.1\r\nHost: x\r\n"


async def test_a_refusal_is_a_whole_problem_with_every_header() -> None:
    stage = Stage()
    [answer] = await stage.ask(GET + b"X-Request-ID: mine\r\n\r\n")
    body = json.loads(answer.body)
    assert answer.status == 503
    assert (body["code"], body["type"], body["status"], body["request_id"]) == ("overloaded", "/problems/overloaded", 503, "mine")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == "mine"
    assert 1 <= int(answer.headers["retry-after"]) <= 10
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["date"] == "Tue, 24 Nov 2026 12:00:00 GMT"
    assert stage.app.asked == []
    stage.end()


async def test_an_id_that_is_none_is_replaced_by_one_of_its_own_each_time() -> None:
    stage = Stage()
    told = [*await stage.ask(GET + b"X-Request-ID: %b %d {}\r\n\r\n"), *await stage.ask(GET + b"\r\n")]
    ids = [json.loads(answer.body)["request_id"] for answer in told]
    assert ids == [answer.headers["x-request-id"] for answer in told]
    assert [len(each) for each in ids] == [32, 32]
    assert ids[0] != ids[1]
    stage.end()


@pytest.mark.parametrize("length", [1, 9, 10, 31, 32, 33, 64])
async def test_a_refusal_is_as_long_as_it_says_whatever_the_id(length: int) -> None:
    stage = Stage()
    given = b"X-Request-ID: " + b"x" * length + b"\r\n\r\n"
    told = await stage.ask(GET + given, GET + b"\r\n", GET + given)  # answers that are not cut off where they end would not be three
    assert [len(json.loads(answer.body)["request_id"]) for answer in told] == [length, 32, length]
    stage.end()


async def test_refusals_are_counted_and_logged_like_any_other_answer() -> None:
    stage = Stage()
    await stage.ask(*[GET + b"X-Request-ID: n%d\r\n\r\n" % number for number in range(3)])
    text = (await stage.metrics.tell()).decode()
    assert 'complex_stories_http_request_seconds_count{method="GET",route="none",status="5xx"} 3.0' in text
    assert "complex_stories_http_requests_in_flight 0.0" in text
    lines = stage.end()
    assert [(line["method"], line["status"], line["request_id"]) for line in lines] == [("GET", 503, f"n{number}") for number in range(3)]


@pytest.mark.parametrize("path", [b"/health", b"/health/live", b"/health/ready?x=1", b"/%68ealth/live", b"/metrics"])
async def test_health_and_metrics_go_in_however_full_it_is(path: bytes) -> None:
    stage = Stage()
    [answer] = await stage.ask(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.status == 204
    stage.end()


async def test_what_comes_after_a_refusal_on_the_same_connection_is_read_as_it_is_meant() -> None:
    stage = Stage()
    body = b"GET /health HTTP/1.1\r\n\r\n"  # what a body that is not skipped would be taken for
    post = b"POST /projects HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    told = await stage.ask(post + body[:5], body[5:] + b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
    assert [answer.status for answer in told] == [503, 204]
    assert stage.app.asked == ["/health/live"]
    assert not stage.wire.is_closed
    stage.end()


async def test_many_that_come_at_the_same_moment_are_no_more_than_there_is_room_for() -> None:
    stage = Stage(room=2, crowd=1)
    told = await stage.ask(GET + b"\r\n")
    assert [answer.status for answer in told] == [204]
    for _ in range(3):
        stage.admission.announce()
    assert [answer.status for answer in await stage.ask(GET + b"\r\n")] == [503]
    stage.admission.come()
    assert [answer.status for answer in await stage.ask(GET + b"\r\n")] == [204]
    stage.end()


async def test_a_head_has_no_body_and_a_last_request_ends_the_connection() -> None:
    stage = Stage()
    stage.protocol.data_received(b"HEAD /projects HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    head, _, body = stage.wire.written.partition(b"\r\n\r\n")
    assert (head[:12], body) == (b"HTTP/1.1 503", b"")
    assert b"\r\nconnection: close" in head
    assert stage.wire.is_closed
    stage.end()


async def test_pages_of_allowed_origins_may_read_the_refusal() -> None:
    stage = Stage(origins=("https://a.example",))
    [answer] = await stage.ask(GET + b"Origin: https://a.example\r\n\r\n")
    assert answer.headers["access-control-allow-origin"] == "https://a.example"
    assert answer.headers["vary"] == "Origin"
    [other] = await stage.ask(GET + b"Origin: https://b.example\r\n\r\n")
    assert "access-control-allow-origin" not in other.headers
    stage.end()
