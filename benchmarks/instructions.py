"""How many Python instructions and round trips to PostgreSQL the hot paths take: counts that a busy machine does not change, unlike times.

A slip is seen at once: `RECORDED` holds the instructions, by the version of Python that they were taken under, and a test compares.
"""

import asyncio.base_events
import asyncio.events
import asyncio.selector_events
import selectors
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from random import Random
from types import CodeType, FrameType
from typing import Any

from starlette.types import ASGIApp, Message, Scope

from adapters.postgres.line import Call
from benchmarks.workloads import WORKLOADS, Target

PATHS = ("read-one", "list", "deep-page", "edit", "save")
RECORDED = {
    "3.11": {"read-one": 2730, "list": 2950, "deep-page": 3710, "edit": 6890, "save": 5100},
    "3.12": {"read-one": 2520, "list": 2740, "deep-page": 3410, "edit": 6310, "save": 4670},
    "3.13": {"read-one": 2500, "list": 2720, "deep-page": 3400, "edit": 6230, "save": 4650},
}
ROUND_TRIPS = {"read-one": 1, "list": 1, "deep-page": 1, "edit": 3, "save": 1}
SLIP = 1.2
WARM_UP, TAKEN = 30, 12
_TOOL = 4  # any that no debugger, coverage, profiler or optimizer has
# What an event loop in Python does is not counted: the service runs on uvloop, which is none.
_LOOP = {module.__file__ for module in (asyncio.base_events, asyncio.events, asyncio.selector_events, selectors)}


async def instructions(app: ASGIApp, target: Target, path: str) -> int:
    """The fewest instructions that one request of a hot path took, of a dozen: whatever came between made the others dearer."""
    requests = WORKLOADS[path].requests(target, Random(path))
    for _ in range(WARM_UP):
        await _ask(app, *_parsed(next(requests).raw))
    return min([await _counted(lambda: _ask(app, *_parsed(next(requests).raw))) for _ in range(TAKEN)])


async def round_trips(app: ASGIApp, target: Target, path: str) -> int:
    """The most calls to PostgreSQL of any of a dozen requests of a hot path."""
    requests = WORKLOADS[path].requests(target, Random(path))
    counts = []
    for _ in range(WARM_UP + TAKEN):
        with _calls() as calls:
            await _ask(app, *_parsed(next(requests).raw))
        counts.append(len(calls))
    return max(counts[WARM_UP:])


@contextmanager
def _calls() -> Iterator[list[None]]:
    """Grows by one with each call to PostgreSQL."""
    calls: list[None] = []
    enter = Call.__enter__

    def counted(call: Call) -> None:
        calls.append(None)
        enter(call)

    Call.__enter__ = counted  # type: ignore[method-assign]
    try:
        yield calls
    finally:
        Call.__enter__ = enter  # type: ignore[method-assign]


async def _counted(call: Callable[[], Awaitable[None]]) -> int:
    return await (_monitored(call) if sys.version_info >= (3, 12) else _traced(call))


async def _traced(call: Callable[[], Awaitable[None]]) -> int:
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        if event == "opcode":
            count += 1
        elif frame.f_code.co_filename in _LOOP:
            return None
        else:
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return trace

    former = sys.gettrace()
    sys.settrace(trace)
    try:
        await call()
    finally:
        sys.settrace(former)
    return count


async def _monitored(call: Callable[[], Awaitable[None]]) -> int:
    """Where tracing no longer sees every instruction of a frame that goes on."""
    monitoring: Any = vars(sys)["monitoring"]
    count = 0

    def note(code: CodeType, offset: int) -> Any:
        nonlocal count
        if code.co_filename in _LOOP:
            return monitoring.DISABLE
        count += 1
        return None

    monitoring.use_tool_id(_TOOL, __name__)
    monitoring.register_callback(_TOOL, monitoring.events.INSTRUCTION, note)
    monitoring.set_events(_TOOL, monitoring.events.INSTRUCTION)
    try:
        await call()
    finally:
        monitoring.set_events(_TOOL, 0)
        monitoring.free_tool_id(_TOOL)
    return count


def _parsed(raw: bytes) -> tuple[Scope, bytes]:
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    method, url, _ = first.split()
    path, _, query = url.partition("?")
    headers = [(name.lower().encode(), value.strip().encode()) for name, _, value in (line.partition(":") for line in lines)]
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "root_path": "", "method": method}
    where = {"path": path, "raw_path": path.encode(), "query_string": query.encode(), "headers": headers}
    return scope | where | {"client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80)}, body


async def _ask(app: ASGIApp, scope: Scope, body: bytes) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    if sent[0]["status"] not in (200, 201):
        raise AssertionError(f"{scope['method']} {scope['path']}: {sent[0]['status']} {sent[-1].get('body')!r}")
