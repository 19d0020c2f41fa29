"""The load: a process that keeps a number of connections busy, each with one request at a time, and says how it went.

It reads an `Order` as JSON from standard input and writes a `Result` as JSON. Linux only: it reads the server's CPU time from /proc.
It shares the machine with what it measures, so it waits by epoll alone: an event loop would be a third of what a request costs it.
"""

import json
import os
import re
import select
import socket
import sys
from array import array
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from time import perf_counter, process_time

from benchmarks.workloads import WORKLOADS, Project, Request, Target

LOOPBACK = "127.0.0.1"
PATIENCE_SECONDS = 30.0  # for what is still on its way when the time is up
SHOWN_OF_AN_ERROR = 300
RECEIVED_AT_ONCE = 2**16

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n")
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to ask of whom, and for how long."""

    port: int
    pid: int
    program: str
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

    def fail(self, error: str) -> None:
        self.errors += 1
        self.first_error = self.first_error or error


class _Connection:
    """One client: asks, waits for the whole answer, asks again."""

    def __init__(self, run: _Run, port: int, requests: Iterator[Request], *, number: int) -> None:
        own = (f"127.0.1.{number + 1}", 0)  # each comes from a network of its own, which may search twice at once and no more
        self.socket = socket.create_connection((LOOPBACK, port), PATIENCE_SECONDS, source_address=own)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(None)  # epoll says when there is something
        self._run = run
        self._requests = requests
        self._asked_at = 0.0
        self._is_underway = False  # after the first request, which all connections begin at the same moment
        self._expected = 0
        self._head = b""
        self._missing: int | None = None  # of the answer's bytes; None while its head is not whole

    def ask(self, now: float) -> None:
        """Send the next request."""
        request = next(self._requests)
        self._expected = request.expected
        self._head, self._missing = b"", None
        self._asked_at = now
        self.socket.sendall(request.raw)

    def goes_on(self) -> bool:
        """Take what came; after a whole answer, ask again, or leave when the run is over."""
        data = self.socket.recv(RECEIVED_AT_ONCE)
        if not data:
            self._run.fail("the server closed a connection")
            return False
        if self._missing is None:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return True
            length = _LENGTH.search(self._head[: end + 2].lower())
            if length is None:
                self._run.fail("an answer without Content-Length")
                return False
            self._missing = end + 4 + int(length[1]) - len(self._head)
        else:
            self._missing -= len(data)
        return self._missing > 0 or self._answered()

    def _answered(self) -> bool:
        now = perf_counter()
        self._run.answered += 1
        if self._is_underway:
            self._run.latencies.append(now - self._asked_at)
        self._is_underway = True
        status = int(self._head[9:12])
        if status != self._expected:
            answer = self._head.partition(b"\r\n\r\n")[2][:SHOWN_OF_AN_ERROR].decode(errors="replace")
            self._run.fail(f"{status} instead of {self._expected}: {answer}")
        if now >= self._run.deadline:
            return False
        self.ask(now)
        return True


def _carry_out(order: Order) -> Result:
    requests = WORKLOADS[order.workload].asked_of(order.program)
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))  # an answer that comes does not take the core from who makes the next one
    run = _Run(deadline=0.0)
    made = [
        _Connection(run, order.port, requests(order.target, Random(f"{order.seed}/{each}")), number=each)
        for each in range(order.connections)
    ]
    cpu_before, load_before, started = _cpu_seconds(order.pid), process_time(), perf_counter()
    run.deadline = started + order.seconds
    _keep_busy(made)
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


def _keep_busy(made: list[_Connection]) -> None:
    """Until each has left. Raises `TimeoutError` where nothing comes any more."""
    with select.epoll() as ready:
        busy = {connection.socket.fileno(): connection for connection in made}
        for descriptor, connection in busy.items():
            ready.register(descriptor, select.EPOLLIN)
            connection.ask(perf_counter())
        while busy:
            events = ready.poll(PATIENCE_SECONDS)
            if not events:
                raise TimeoutError(f"no answer for {PATIENCE_SECONDS:.0f} s")
            for descriptor, _ in events:
                if not busy[descriptor].goes_on():
                    ready.unregister(descriptor)
                    busy.pop(descriptor).socket.close()


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
    json.dump(asdict(_carry_out(order)), sys.stdout)


if __name__ == "__main__":
    main()
