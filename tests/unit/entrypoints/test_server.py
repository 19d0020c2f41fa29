"""How long a connection may do nothing, by a clock that is turned by hand; that a request has one answer, however it breaks off; and
what a process that serves no longer looks through.
"""

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import pytest
import uvicorn

from entrypoints.http.edge import Edge
from entrypoints.http.network import Networks
from entrypoints.http.server import HEADERS_MAX, KEEP_ALIVE_SECONDS, REQUEST_SECONDS
from entrypoints.http.stopping import Server
from entrypoints.leaving import Leaving
from entrypoints.readiness import Readiness
from tests.unit.entrypoints.test_gate import GET, Stage

ASKED = GET + b"\r\n"
CHUNKED = GET + b"Transfer-Encoding: chunked\r\n\r\n"
BROKEN = b"g\r\n"


class Clock:
    """What a connection asks of its event loop."""

    def __init__(self) -> None:
        self.at = 1000.0
        self.timers_set = 0
        self._timers: list[tuple[float, Timer]] = []

    def time(self) -> float:
        return self.at

    def call_later(self, seconds: float, callback: Callable[..., None], *arguments: Any) -> "Timer":
        self.timers_set += 1
        timer = Timer(callback, arguments)
        self._timers.append((self.at + seconds, timer))
        return timer

    def create_task(self, work: Any) -> "asyncio.Task[Any]":
        return asyncio.get_running_loop().create_task(work)

    def turn_to(self, at: float) -> None:
        """Everything that is due until then happens, in order."""
        while due := [pair for pair in self._timers if pair[0] <= at]:
            first = min(due, key=lambda pair: pair[0])
            self._timers.remove(first)
            self.at, timer = first
            timer.run()
        self.at = at


class Timer:
    def __init__(self, callback: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        self._callback, self._arguments = callback, arguments
        self._is_cancelled = False

    def cancel(self) -> None:
        self._is_cancelled = True

    def run(self) -> None:
        if not self._is_cancelled:
            self._callback(*self._arguments)


def stage_and_clock(**options: Any) -> tuple[Stage, Clock]:
    clock = Clock()
    return Stage(loop=clock, **options), clock


def end_at(at: float, stage: Stage, clock: Clock) -> None:
    """See that the connection is closed then, and not before."""
    clock.turn_to(at - 1)
    assert not stage.wire.is_closed
    clock.turn_to(at)
    assert stage.wire.is_closed
    stage.end()


async def test_a_connection_that_never_asks_is_waited_for_as_long_as_a_request_may_take() -> None:
    stage, clock = stage_and_clock()
    end_at(1000 + REQUEST_SECONDS, stage, clock)


async def test_once_a_byte_came_the_headers_are_waited_for_no_longer_than_for_any_request() -> None:
    for byte, status in ((b"G", [408]), (b"\r\n", [])):
        stage, clock = stage_and_clock()
        clock.turn_to(1020)
        stage.protocol.data_received(byte)
        clock.turn_to(1020 + REQUEST_SECONDS)
        assert stage.wire.is_closed
        assert [answer.status for answer in stage.answered()] == status
        stage.end()


async def test_a_refused_client_may_be_idle_for_as_long_as_another_from_its_last_request_on() -> None:
    stage, clock = stage_and_clock()
    for at in (1010, 1060, 1110):
        clock.turn_to(at)
        assert [answer.status for answer in await stage.ask(ASKED)] == [503]
    clock.turn_to(1150)
    stage.protocol.data_received(b"\r\n")  # no request, and so no reason to wait longer
    end_at(1110 + KEEP_ALIVE_SECONDS, stage, clock)


async def test_who_is_served_after_refusals_may_be_idle_from_then_on() -> None:
    stage, clock = stage_and_clock()
    await stage.ask(ASKED)
    stage.admission.come()  # there is room
    stage.app.gate.admission = stage.admission.__class__(at_once=2, crowd=2)
    clock.turn_to(1050)
    assert [answer.status for answer in await stage.ask(ASKED)] == [204]
    end_at(1050 + KEEP_ALIVE_SECONDS, stage, clock)


async def test_refusals_set_no_timer_each() -> None:
    stage, clock = stage_and_clock()
    for _ in range(1000):
        clock.turn_to(clock.at + 1)
        await stage.ask(ASKED)
    assert not stage.wire.is_closed
    assert clock.timers_set <= 1000 / KEEP_ALIVE_SECONDS + 2
    stage.end()


class Answering:
    """An application that waits for whatever comes of the body, and for leave, before its answer and in the midst of it."""

    def __init__(self) -> None:
        self.received: list[str] = []
        self.may_begin, self.may_end = asyncio.Event(), asyncio.Event()

    async def __call__(self, _scope: Any, receive: Any, send: Any) -> None:
        await self.may_begin.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"ab", "more_body": True})
        await self.may_end.wait()
        await send({"type": "http.response.body", "body": b"cd"})
        self.received.append((await receive())["type"])


async def reading(_scope: Any, receive: Any, send: Any) -> None:
    """Answers once the body is whole, or the client is gone."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


async def test_what_was_answered_before_its_body_broke_is_not_answered_again() -> None:
    stage = Stage(room=1)
    assert [answer.status for answer in await stage.ask(CHUNKED, BROKEN)] == [204]
    assert stage.wire.is_closed
    stage.end()


async def test_what_was_turned_away_before_its_body_broke_is_not_answered_again() -> None:
    stage = Stage()
    assert [answer.status for answer in await stage.ask(CHUNKED, BROKEN)] == [503]
    assert stage.wire.is_closed
    stage.end()


async def test_a_body_that_breaks_before_there_is_an_answer_is_refused_at_once_and_the_application_hears_of_it() -> None:
    answering = Answering()
    stage = Stage(room=1, answering=answering)
    assert [answer.status for answer in await stage.ask(CHUNKED, b"1\r\nx\r\n", BROKEN)] == [400]
    assert stage.wire.is_closed
    answering.may_begin.set()
    answering.may_end.set()
    assert await stage.ask() == []
    assert answering.received == ["http.disconnect"]
    assert [answer.status for answer in stage.answered()] == [400]
    stage.end()


@pytest.mark.parametrize("parts", [(CHUNKED + BROKEN,), (CHUNKED, BROKEN), (CHUNKED, b"1\r\nx\r\n", BROKEN)])
async def test_who_waits_for_a_body_that_breaks_waits_no_longer(parts: tuple[bytes, ...]) -> None:
    stage = Stage(room=1, answering=reading)
    assert [answer.status for answer in await stage.ask(*parts)] == [400]
    assert stage.wire.is_closed
    stage.end()


async def test_the_refusal_of_a_head_has_no_body() -> None:
    stage = Stage(room=1)
    stage.protocol.data_received(CHUNKED.replace(b"GET", b"HEAD") + BROKEN)
    assert stage.wire.written.startswith(b"HTTP/1.1 400 ")
    assert stage.wire.written.endswith(b"\r\n\r\n")
    stage.end()


async def test_an_answer_in_the_midst_of_which_the_body_breaks_is_finished_and_the_last() -> None:
    answering = Answering()
    answering.may_begin.set()
    stage = Stage(room=1, answering=answering)
    stage.protocol.data_received(CHUNKED)
    await asyncio.sleep(0)
    stage.protocol.data_received(BROKEN)
    assert not stage.wire.is_closed
    answering.may_end.set()
    await asyncio.sleep(0)
    assert [(answer.status, answer.body) for answer in stage.answered()] == [(200, b"abcd")]
    assert stage.wire.is_closed
    stage.end()


@pytest.mark.parametrize("broken", [CHUNKED + BROKEN, CHUNKED + b"1\r\nx\r\n" + BROKEN, b"\x00garbage\r\n\r\n"])
@pytest.mark.parametrize("before", [1, 3])
async def test_what_came_before_a_request_that_breaks_is_answered_first_and_the_application_never_hears_of_that(
    before: int, broken: bytes
) -> None:
    answering = Answering()
    stage = Stage(room=1, answering=answering)
    assert await stage.ask(ASKED * before + broken) == []
    answering.may_begin.set()
    answering.may_end.set()
    for _ in range(before):
        await stage.ask()
    assert [answer.status for answer in stage.answered()] == [200] * before + [400]
    assert len(stage.app.asked) == before
    assert stage.wire.is_closed
    stage.end()


async def test_headers_that_are_too_large_behind_an_open_request_are_refused_after_its_answer() -> None:
    answering = Answering()
    stage = Stage(room=1, answering=answering)
    assert await stage.ask(ASKED + GET + b"X: ", b"y" * HEADERS_MAX) == []
    answering.may_begin.set()
    answering.may_end.set()
    await stage.ask()
    assert [answer.status for answer in stage.answered()] == [200, 431]
    assert stage.wire.is_closed
    stage.end()


async def counted(stage: Stage) -> set[str]:
    """The counts of requests in the metrics."""
    return {line for line in (await stage.metrics.tell()).decode().splitlines() if "request_seconds_count" in line}


@pytest.mark.parametrize(
    ("sent", "method", "status", "request_id"),
    [
        ((b"\x00garbage\r\n\r\n",), "-", 400, None),
        ((b"GE", b"X: " + b"y" * HEADERS_MAX), "-", 400, None),
        ((GET, b"X: " + b"y" * HEADERS_MAX), "-", 431, None),
        ((GET + b"X: " + b"y" * HEADERS_MAX + b"\r\nX-Request-ID: mine\r\n\r\n",), "GET", 431, "mine"),
        ((GET.replace(b"GET", b"PUT") + b"X-Request-ID: mine\r\nTransfer-Encoding: gzip\r\n\r\n",), "PUT", 400, "mine"),
    ],
)
async def test_what_cannot_be_read_is_counted_and_logged(sent: tuple[bytes, ...], method: str, status: int, request_id: str | None) -> None:
    stage = Stage(room=1)
    [answer] = await stage.ask(*sent)
    label = "other" if method == "-" else method
    assert await counted(stage) == {f'complex_stories_http_request_seconds_count{{method="{label}",route="none",status="4xx"}} 1.0'}
    assert "complex_stories_http_requests_in_flight 0.0" in (await stage.metrics.tell()).decode()
    [line] = stage.end()
    assert (line["method"], line["route"], line["status"], line["user"]) == (method, None, status, None)
    assert answer.status == status
    assert line["request_id"] == answer.headers["x-request-id"] == (request_id or line["request_id"])


async def test_the_line_of_a_request_that_is_late_tells_for_how_long_it_was_waited() -> None:
    stage, clock = stage_and_clock()
    stage.protocol.data_received(b"GET / HTTP/1.1\r\n")
    clock.turn_to(1000 + REQUEST_SECONDS)
    [line] = stage.end()
    assert (line["method"], line["status"], line["ms"]) == ("-", 408, REQUEST_SECONDS * 1000)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("parts", [(CHUNKED + BROKEN,), (CHUNKED, BROKEN)])
async def test_a_request_that_is_taken_back_has_one_line_with_the_refusal_and_its_id(method: str, parts: tuple[bytes, ...]) -> None:
    stage = Stage(room=1)
    stage.app.answering = Edge(
        reading,
        networks=Networks(),
        access_log=stage.access_log,
        metrics=stage.metrics,
        admission=stage.admission,
        methods_of=lambda _: [],
    )
    for part in parts:
        stage.protocol.data_received(part.replace(b"GET", method.encode()))
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    head = stage.wire.written.decode()
    assert head.startswith("HTTP/1.1 400 ")
    assert await counted(stage) == {f'complex_stories_http_request_seconds_count{{method="{method}",route="none",status="4xx"}} 1.0'}
    [line] = stage.end()
    assert (line["method"], line["status"]) == (method, 400)
    assert f"\r\nx-request-id: {line['request_id']}\r\n" in head


async def test_a_server_looks_no_more_through_what_was_there_when_it_began() -> None:
    async def app(_scope: Any, _receive: Any, _send: Any) -> None: ...

    server = Server(uvicorn.Config(app, host="127.0.0.1", port=0, lifespan="off", log_level="warning"), Readiness(), Leaving())
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    before = gc.get_freeze_count()
    await server.startup()
    try:
        assert gc.get_freeze_count() > before + 10_000
    finally:
        await server.shutdown()
    assert gc.get_freeze_count() == 0
