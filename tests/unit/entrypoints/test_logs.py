"""Several workers write to one log, and every line of it is whole."""

import json
import os
import subprocess
import sys
from collections import Counter

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
