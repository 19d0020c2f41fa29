"""Figures worked out in a process of its own: threads would share the interpreter with every request."""

import asyncio
import os
import sys
from subprocess import DEVNULL, PIPE, Popen

from adapters.agreement.order import order_from, outcome_read
from adapters.agreement.worker import LAST
from application.ports import Reliability
from domain.agreement import Figures, Labels
from domain.errors import Unavailable
from domain.label_set import Level

WAITING_MAX = 8
PATIENCE_SECONDS = 15.0
DEADLINE_SECONDS = 120.0
_PASSED_ON = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "LANG")  # never a secret


class ReliabilityInProcess(Reliability):
    """One process at a time, which lives as long as its work. At most eight callers wait for their turn.

    It works while a core is idle. One that has not ended after `patience` seconds is begun anew with a small share of a busy one.
    """

    def __init__(self, *, patience: float = PATIENCE_SECONDS) -> None:
        self._patience = patience
        self._turn = asyncio.Semaphore(1)
        self._waiting = 0

    async def measure(self, labels: Labels, *, level: Level, seed: int) -> Figures:
        if self._waiting >= WAITING_MAX:
            raise Unavailable("Too many figures are being worked out at once: try again shortly.")
        self._waiting += 1
        try:
            async with self._turn:
                return outcome_read(await self._worked_out(order_from(labels, level=level, seed=seed)))
        finally:
            self._waiting -= 1

    async def _worked_out(self, order: bytes) -> bytes:
        try:
            return await _run(order, seconds=self._patience)
        except TimeoutError:
            pass
        try:
            return await _run(order, LAST, seconds=DEADLINE_SECONDS)
        except TimeoutError:
            raise Unavailable("The figures took too long to work out.") from None


async def _run(order: bytes, *options: str, seconds: float) -> bytes:
    """What the process answers; it has ended then, whether or not anybody still waits for it. Raises `TimeoutError`."""
    process = _begun(*options)
    answer = asyncio.get_running_loop().run_in_executor(None, _answer_of, process, order)
    try:
        async with asyncio.timeout(seconds):
            output = await asyncio.shield(answer)
    finally:
        process.kill()
        await asyncio.wait([answer])
    if process.returncode != 0:
        raise RuntimeError(f"The process that works figures out ended with status {process.returncode}.")
    return output


def _begun(*options: str) -> "Popen[bytes]":
    """Half a millisecond: uvloop's own way copies the page tables of the whole service, and answers nobody for five or ten."""
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | {"OPENBLAS_NUM_THREADS": "1"}
    program = (sys.executable, "-m", "adapters.agreement.worker", *options)
    return Popen(program, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=environment)  # noqa: S603 - this Python and a module of ours


def _answer_of(process: "Popen[bytes]", order: bytes) -> bytes:
    output, _ = process.communicate(order)
    return output
