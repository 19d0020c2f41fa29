"""A line of the log is whole, whoever else writes; that of a request is JSON that says when, to the microsecond, and what."""

import io
import json
import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrypoints.logs import AccessLog

WORKERS, TIMES = 4, 400
WORKER = f"""
import asyncio
from entrypoints.logs import AccessLog, configure, logger

async def work():
    log = AccessLog("json")
    for number in range({TIMES}):
        logger.info("told", number=number, more="ü" * 20)
        log.write({{}}, method="GET", status=200, request_id="x" * 32, seconds=0.001)
        await asyncio.sleep(0)
    log.close()

configure("json")
asyncio.run(work())
"""


def test_every_line_is_whole_whoever_else_writes() -> None:
    reading, writing = os.pipe()
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    workers = [subprocess.Popen([sys.executable, "-c", WORKER], stderr=writing, env=environment) for _ in range(WORKERS)]
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as log:
        told = Counter(json.loads(line)["event"] for line in log)
    assert [worker.wait() for worker in workers] == [0] * WORKERS
    assert told == {"told": WORKERS * TIMES, "request": WORKERS * TIMES}


async def line(request_id: str, at: float) -> dict[str, object]:
    stream = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("entrypoints.logs.time", lambda: at)
        log = AccessLog("json", stream)
        log.write({}, method="GET", status=503, request_id=request_id, seconds=0.0123)
        log.close()
    found: dict[str, object] = json.loads(stream.getvalue())
    return found


@given(st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True), st.floats(min_value=0, max_value=4e9))
async def test_a_line_is_json_with_the_id_and_the_moment(request_id: str, at: float) -> None:
    told = await line(request_id, at)
    moment = datetime.fromisoformat(str(told.pop("timestamp")))
    assert abs((moment - datetime.fromtimestamp(at, UTC)).total_seconds()) <= 2e-6
    assert told == {
        "event": "request",
        "level": "info",
        "method": "GET",
        "route": None,
        "status": 503,
        "ms": 12.3,
        "user": None,
        "request_id": request_id,
    }


async def test_the_first_microseconds_of_a_second_have_their_zeros() -> None:
    assert (await line("x", 1_795_542_000.0000425))["timestamp"] == "2026-11-24T17:40:00.000042+00:00"
