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
import asyncio, logging
from entrypoints.logs import AccessLog, configure, logger

async def work():
    log = AccessLog("json")
    for number in range({TIMES}):
        logger.info("told", number=number, more="ü" * 20)
        logging.getLogger("library").warning("heard")
        log.write({{}}, method="GET", status=200, request_id="x" * 32, seconds=0.001)
        await asyncio.sleep(0)
    log.close()

configure("json")
asyncio.run(work())
"""


SERVICE = """
import asyncio, logging, sys, warnings
import uvicorn
from entrypoints.http.server import config_of
from entrypoints.logs import configure

async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    try:
        raise KeyError("the cause")
    except KeyError as cause:
        raise RuntimeError("broken in the midst\\nof two lines") from cause

async def ask(port, sent):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    await reader.read()
    writer.close()

async def work():
    config = config_of(app)
    config.lifespan, config.host, config.port = "off", "127.0.0.1", 0
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    await ask(port, b"garbage\\r\\n\\r\\n")
    await ask(port, b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    asyncio.get_running_loop().call_soon(lambda: 1 / 0)
    logging.getLogger("library").warning("%s and\\n%s", "one", "two")
    logging.getLogger("library").error("%d", "no number")
    logging.getLogger("library").log(35, "of a level of its own", exc_info=True)
    logging.getLogger("library").info("nobody asked")
    warnings.warn("old")
    await asyncio.sleep(0)
    server.should_exit = True
    await serving

configure(sys.argv[1])
asyncio.run(work())
"""


def logged_by_service(log_format: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", SERVICE, log_format], capture_output=True, text=True, timeout=60, check=True)
    return done.stderr.splitlines()


def test_what_libraries_log_is_lines_of_the_same_form() -> None:
    lines = [json.loads(line) for line in logged_by_service("json")]
    assert all(datetime.fromisoformat(line["timestamp"]) for line in lines)
    told = [(line["level"], line["logger"], line["event"]) for line in lines]
    assert ("warning", "uvicorn.error", "Invalid HTTP request received.") in told
    assert ("error", "uvicorn.error", "Exception in ASGI application") in told
    assert ("warning", "library", "one and\ntwo") in told
    assert ("error", "library", "%d") in told
    assert ("warning", "library", "of a level of its own") in told
    assert [line["exception"][0]["exc_type"] for line in lines if line["logger"] == "asyncio"] == ["ZeroDivisionError"]
    assert [line for line in lines if line["logger"] == "py.warnings" and "UserWarning: old" in line["event"]]
    assert "nobody asked" not in json.dumps(lines)
    [failed] = [line for line in lines if line["event"].startswith("Exception in ASGI")]
    assert [each["exc_value"] for each in failed["exception"]] == ["broken in the midst\nof two lines", "'the cause'"]
    assert "locals" not in failed["exception"][0]["frames"][0]


def test_people_see_what_libraries_log_too() -> None:
    text = "\n".join(logged_by_service("console"))
    assert "Invalid HTTP request received." in text
    assert "RuntimeError: broken in the midst" in text


def test_every_line_is_whole_whoever_else_writes() -> None:
    reading, writing = os.pipe()
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    workers = [subprocess.Popen([sys.executable, "-c", WORKER], stderr=writing, env=environment) for _ in range(WORKERS)]
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as log:
        told = Counter(json.loads(line)["event"] for line in log)
    assert [worker.wait() for worker in workers] == [0] * WORKERS
    assert told == {"told": WORKERS * TIMES, "heard": WORKERS * TIMES, "request": WORKERS * TIMES}


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
