"""The load: a process that keeps a number of connections busy, each with one request at a time, and says how it went.

It reads an `Order` as JSON from standard input and writes a `Result` as JSON. Linux only: it reads the server's CPU time from /proc.
"""

import asyncio
import json
import os
import re
import sys
from array import array
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from time import perf_counter, process_time
from typing import Any

import uvloop

from benchmarks.workloads import WORKLOADS, Project, Request, Target

LOOPBACK = "127.0.0.1"
PATIENCE_SECONDS = 30.0  # for what is still on its way when the time is up
SHOWN_OF_AN_ERROR = 300

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *([0-9]+)\r\n")
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to ask of whom, and for how long."""

    port: int
    pid: int
    workload: str
    target: Target
    seed: str
    seconds: float
    connections: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How it went. `cpu_us` is the CPU time of the server, all its threads, for one request, `load_us` that of the load itself.

    The percentiles leave out the first request of each connection: all of them begin at the same moment. `first_error` is for people.
    """

    requests: int
    per_second: float
    cpu_us: float
    load_us: float
    p50_ms: float
    p99_ms: float
    errors: int
    first_error: str | None


@dataclass(slots=True, kw_only=True)
class _Run:
    """What all connections share."""

    deadline: float
    answered: int = 0
    latencies: "array[float]" = field(default_factory=lambda: array("d"))
    errors: int = 0
    first_error: str | None = None

    def goes_on(self) -> bool:
        return perf_counter() < self.deadline

    def fail(self, error: str) -> None:
        self.errors += 1
        self.first_error = self.first_error or error


class _Connection(asyncio.Protocol):
    """One client: asks, waits for the whole answer, asks again."""

    def __init__(self, run: _Run, requests: Iterator[Request]) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._run = run
        self._requests = requests
        self._transport: Any = None
        self._asked_at = 0.0
        self._is_underway = False  # after the first request, which all connections begin at the same moment
        self._expected = 0
        self._head = b""
        self._missing: int | None = None  # of the answer's bytes; None while its head is not whole

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def ask(self) -> None:
        """Send the next request, or leave when the run is over."""
        if not self._run.goes_on():
            self._leave()
            return
        request = next(self._requests)
        self._expected = request.expected
        self._head, self._missing = b"", None
        self._asked_at = perf_counter()
        self._transport.write(request.raw)

    def data_received(self, data: bytes) -> None:
        if self._missing is None:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            length = _LENGTH.search(self._head, 0, end + 2)
            if length is None:
                self._run.fail("an answer without Content-Length")
                self._leave()
                return
            self._missing = end + 4 + int(length[1]) - len(self._head)
        else:
            self._missing -= len(data)
        if self._missing <= 0:
            self._answered()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self._run.fail(f"the server closed a connection ({exc!r})")
            self.ended.set_result(None)

    def _answered(self) -> None:
        self._run.answered += 1
        if self._is_underway:
            self._run.latencies.append(perf_counter() - self._asked_at)
        self._is_underway = True
        status = int(self._head[9:12])
        if status != self._expected:
            answer = self._head.partition(b"\r\n\r\n")[2][:SHOWN_OF_AN_ERROR].decode(errors="replace")
            self._run.fail(f"{status} instead of {self._expected}: {answer}")
        self.ask()

    def _leave(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)
        self._transport.close()


async def _carry_out(order: Order) -> Result:
    loop = asyncio.get_running_loop()
    requests = WORKLOADS[order.workload].requests
    run = _Run(deadline=0.0)
    connections: list[_Connection] = []
    for number in range(order.connections):
        client = _Connection(run, requests(order.target, Random(f"{order.seed}/{number}")))
        await loop.create_connection(lambda client=client: client, LOOPBACK, order.port)  # type: ignore[misc]
        connections.append(client)
    cpu_before, load_before, started = _cpu_seconds(order.pid), process_time(), perf_counter()
    run.deadline = started + order.seconds
    for connection in connections:
        connection.ask()
    await asyncio.wait_for(asyncio.gather(*(connection.ended for connection in connections)), order.seconds + PATIENCE_SECONDS)
    seconds, load, cpu = perf_counter() - started, process_time() - load_before, _cpu_seconds(order.pid) - cpu_before
    latencies = sorted(run.latencies) or [float("nan")]
    answered = run.answered
    return Result(
        requests=answered,
        per_second=answered / seconds,
        cpu_us=cpu * 1e6 / max(1, answered),
        load_us=load * 1e6 / max(1, answered),
        p50_ms=latencies[len(latencies) // 2] * 1e3,
        p99_ms=latencies[len(latencies) * 99 // 100] * 1e3,
        errors=run.errors,
        first_error=run.first_error,
    )


def family(pid: int) -> list[int]:
    """A process and all below it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in family(int(child)))]


def _cpu_seconds(pid: int) -> float:
    """User and system time so far of a process and all below it, all their threads."""
    return sum(map(_own_cpu_seconds, family(pid)))


def _own_cpu_seconds(pid: int) -> float:
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / _TICKS


def main() -> None:
    """Carry out the order that standard input holds."""
    given = json.load(sys.stdin)
    there = given["target"]
    target = Target(**there | {name: Project(**there[name]) for name in ("small", "large")})
    order = Order(**given | {"target": target})
    json.dump(asdict(uvloop.run(_carry_out(order))), sys.stdout)


if __name__ == "__main__":
    main()
