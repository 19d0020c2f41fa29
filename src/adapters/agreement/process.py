"""Figures worked out in a process of its own: threads would share the interpreter with every request."""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process

from adapters.agreement.order import order_from, outcome_from
from application.ports import Reliability
from domain.agreement import Figures, Labels
from domain.errors import Unavailable
from domain.label_set import Level

WAITING_MAX = 8
DEADLINE_SECONDS = 120.0
_PASSED_ON = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "LANG")  # never a secret


class ReliabilityInProcess(Reliability):
    """One process at a time, which lives as long as its work. At most eight callers wait for their turn."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(1)
        self._waiting = 0

    async def measure(self, labels: Labels, *, level: Level, seed: int) -> Figures:
        if self._waiting >= WAITING_MAX:
            raise Unavailable("Too many figures are being worked out at once: try again shortly.")
        self._waiting += 1
        try:
            async with self._turn:
                return outcome_from(await _run(order_from(labels, level=level, seed=seed)))
        finally:
            self._waiting -= 1


async def _run(order: bytes) -> bytes:
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | {"OPENBLAS_NUM_THREADS": "1"}
    program = (sys.executable, "-m", "adapters.agreement.worker")
    process = await asyncio.create_subprocess_exec(*program, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=environment)
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            output, _ = await process.communicate(order)
    except TimeoutError:
        raise Unavailable("The figures took too long to work out.") from None
    finally:
        await _end(process)
    if process.returncode != 0:
        raise RuntimeError(f"The process that works figures out ended with status {process.returncode}.")
    return output


async def _end(process: Process) -> None:
    """Leave no process behind, whether or not anybody still waits for it."""
    if process.returncode is None:
        process.kill()
        await process.wait()
