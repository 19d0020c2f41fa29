"""Overload: `python -m tests.drills.overload` asks five times what the service can answer, and looks at what it answers.

First it finds the capacity (clients that ask again as soon as they are answered), then the times at 70 % of it, then it asks five times
as much for 30 s, at times that do not depend on the answers (open loop). Reading and saving, as readers do. Where there are two cores, the
service and its database have one of them, and the asking program has the other, for all three: else who asks takes from who answers.
"""

import argparse
import asyncio
import json
import os
import random
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import uvloop

from tests.drills.load import Told as Answer
from tests.drills.load import Web, get, send
from tests.drills.schedule import asking
from tests.e2e.client import ADMIN_PASSWORD, Service, data_folder

SETTINGS = {"ADMIN_PASSWORD": ADMIN_PASSWORD, "RATE_LIMITS": "off", "LOG_FORMAT": "json"}
CLIENTS = 48
LINES = 400  # connections that stay open
VARIETY = 5000  # requests that are asked again and again
WINDOWS = 5
HEALTH_SECONDS = 0.2
REFUSED_WITHIN = 50.0  # milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Overloaded:
    """What the drill came to; times in milliseconds unless their name says otherwise."""

    apart: bool
    load_average: float
    capacity: float
    quiet_p50: float
    quiet_p99: float
    offered: float
    goodput: float
    statuses: dict[int, int]
    admitted_p50: float
    admitted_p99: float
    refused_p50: float
    refused_p99: float
    refused_longest: float
    waited_for_a_line: int
    without_retry_after: int
    health_asked: int
    health_failed: int

    @property
    def is_good(self) -> bool:
        whole = set(self.statuses) <= {200, 201, 503} and not self.without_retry_after and not self.health_failed
        is_quick = self.admitted_p99 <= 3 * self.quiet_p99 and self.refused_longest <= REFUSED_WITHIN
        return whole and self.goodput >= 0.8 * self.capacity and is_quick


def _request(rng: random.Random) -> bytes:
    """Four in five read, one saves."""
    if rng.random() < 0.2:
        body = {"fingerprint": f"reader-{rng.randrange(500):06}", "field": "consent", "value": rng.choice(["accepted", "declined"])}
        return send("POST", "/dark-data/survey/upsert", json.dumps(body).encode())
    return get(f"/dark-data/resources/{rng.randint(1, 4)}" if rng.random() < 0.7 else "/dark-data/resources?limit=20")


def _schedule(requests: list[bytes], *, rate: float, seconds: float) -> list[tuple[float, bytes]]:
    """So many requests a second, as independent people send them."""
    rng, schedule, at = random.Random(1), [], 0.0
    while (at := at + rng.expovariate(rate)) < seconds:
        schedule.append((at, rng.choice(requests)))
    return schedule


async def _health(web: Web, over: asyncio.Event) -> list[Answer]:
    told = []
    while not over.is_set():
        told.append(await web.ask(get("/health/live")))
        await asyncio.sleep(HEALTH_SECONDS)
    return told


def _at(quantile: float, times: list[float]) -> float:
    ordered = sorted(times)
    return 1000 * ordered[min(len(ordered) - 1, int(quantile * len(ordered)))] if ordered else 0.0


async def drill(port: int, *, seconds: float, times: float, apart: bool, calm: float = 10.0) -> Overloaded:
    rng, web = random.Random(2), Web(port)
    requests = [_request(rng) for _ in range(VARIETY)]
    async with asking(port, lines=CLIENTS) as asker:
        await asker.closed_loop(requests, seconds=calm / 2)
        capacity = max([await asker.closed_loop(requests, seconds=calm / WINDOWS) for _ in range(WINDOWS)])
    schedule = _schedule(requests, rate=0.7 * capacity, seconds=calm)
    async with asking(port, lines=LINES) as asker:
        quiet = [told.seconds for told in await asker.open_loop(schedule)]
    over = asyncio.Event()
    watching = asyncio.create_task(_health(web, over))
    schedule = _schedule(requests, rate=times * capacity, seconds=seconds)
    async with asking(port, lines=LINES) as asker:
        told = await asker.open_loop(schedule)
    over.set()
    health = await watching
    web.close()
    good = [each.seconds for each in told if each.status in (200, 201)]
    refused = [each for each in told if each.status == 503]
    return Overloaded(
        apart=apart,
        load_average=os.getloadavg()[0],
        capacity=capacity,
        quiet_p50=_at(0.5, quiet),
        quiet_p99=_at(0.99, quiet),
        offered=len(schedule) / seconds,
        goodput=len(good) / seconds,
        statuses=dict(sorted(Counter(each.status for each in told).items())),
        admitted_p50=_at(0.5, good),
        admitted_p99=_at(0.99, good),
        refused_p50=_at(0.5, [each.seconds for each in refused]),
        refused_p99=_at(0.99, [each.seconds for each in refused]),
        refused_longest=_at(1, [each.seconds for each in refused]),
        waited_for_a_line=asker.longest_due,
        without_retry_after=sum(not each.has_retry_after for each in refused),
        health_asked=len(health),
        health_failed=sum(each.status != 200 for each in health),
    )


@contextmanager
def apart() -> Iterator[bool]:
    """What is started first has one core, and this program has another, afterwards; whether there are two."""
    before = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, before[:1])
    try:
        yield len(before) > 1
    finally:
        os.sched_setaffinity(0, before[1:] or before)


def table(done: Overloaded) -> str:
    answers = ", ".join(f"{number} x {status}" for status, number in done.statuses.items())
    rows = [
        ("cores", "one for the service and its database, one for who asks" if done.apart else "shared with who asks"),
        ("load average of the machine", f"{done.load_average:.1f}"),
        ("capacity", f"{done.capacity:.0f} answers a second"),
        ("p50 and p99 at 70 % of it", f"{done.quiet_p50:.1f} ms, {done.quiet_p99:.1f} ms"),
        ("asked", f"{done.offered:.0f} a second ({done.offered / done.capacity:.1f} times)"),
        ("answered well", f"{done.goodput:.0f} a second ({100 * done.goodput / done.capacity:.0f} % of the capacity)"),
        ("their p50 and p99", f"{done.admitted_p50:.1f} ms, {done.admitted_p99:.1f} ms ({done.admitted_p99 / done.quiet_p99:.1f} times)"),
        ("refusals: p50, p99, longest", f"{done.refused_p50:.1f} ms, {done.refused_p99:.1f} ms, {done.refused_longest:.1f} ms"),
        ("answers (0: connection broke)", answers),
        ("most that waited for one of the connections", f"{done.waited_for_a_line} (of {LINES} connections)"),
        ("refusals without Retry-After", f"{done.without_retry_after}"),
        ("health asked, failed", f"{done.health_asked}, {done.health_failed}"),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:{width}}  {value}" for name, value in rows)


def main() -> int:
    """Run the drill; 1 when a figure is not as promised."""
    parser = argparse.ArgumentParser(prog="python -m tests.drills.overload", description=__doc__)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--times", type=float, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with data_folder() as folder:
        with apart() as is_apart:
            service = Service(folder, "--demo", **SETTINGS)
        service.wait_ready()
        try:
            done = uvloop.run(drill(service.port, seconds=options.seconds, times=options.times, apart=is_apart))
        finally:
            service.stop()
    print(json.dumps(asdict(done)) if options.json else table(done))
    return 0 if done.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
