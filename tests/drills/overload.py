"""Overload: `python -m tests.drills.overload` asks five times what the service can answer, and looks at what it answers.

First it finds the capacity (clients that ask again as soon as they are answered), then the times at 70 % of it, then it asks five times
as much for 30 s, at times that do not depend on the answers (open loop). Reading and saving, as readers do.
"""

import argparse
import asyncio
import json
import random
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from time import perf_counter

import uvloop

from tests.drills.load import Told, Web, get, send
from tests.e2e.client import ADMIN_PASSWORD, Service, data_folder

SETTINGS = {"ADMIN_PASSWORD": ADMIN_PASSWORD, "RATE_LIMITS": "off", "LOG_FORMAT": "json"}
CLIENTS = 48
WINDOWS = 5
HEALTH_SECONDS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Overloaded:
    """What the drill came to; times in milliseconds unless their name says otherwise."""

    capacity: float
    quiet_p99: float
    offered: float
    goodput: float
    statuses: dict[int, int]
    admitted_p50: float
    admitted_p99: float
    refused_p99: float
    refused_longest: float
    without_retry_after: int
    health_asked: int
    health_failed: int

    @property
    def is_good(self) -> bool:
        whole = set(self.statuses) <= {200, 201, 503} and not self.without_retry_after and not self.health_failed
        return whole and self.goodput >= 0.8 * self.capacity and self.admitted_p99 <= 3 * self.quiet_p99


def _request(rng: random.Random) -> bytes:
    """Four in five read, one saves."""
    if rng.random() < 0.2:
        body = {"fingerprint": f"reader-{rng.randrange(500):06}", "field": "consent", "value": rng.choice(["accepted", "declined"])}
        return send("POST", "/dark-data/survey/upsert", json.dumps(body).encode())
    return get(f"/dark-data/resources/{rng.randint(1, 4)}" if rng.random() < 0.7 else "/dark-data/resources?limit=20")


async def _capacity(web: Web, *, seconds: float) -> float:
    """Answers a second when so many clients each ask as soon as they are answered: the most that the service gives."""
    end, done = perf_counter() + seconds, 0

    async def ask(rng: random.Random) -> None:
        nonlocal done
        while perf_counter() < end:
            told = await web.ask(_request(rng))
            done += told.status in (200, 201)  # after the wait: others count meanwhile

    began = perf_counter()
    await asyncio.gather(*(ask(random.Random(number)) for number in range(CLIENTS)))
    return done / (perf_counter() - began)


async def _open_loop(web: Web, *, rate: float, seconds: float) -> tuple[list[Told], float]:
    """Every answer when so many requests a second are asked, however long the answers take; and the rate that came about."""
    loop, rng = asyncio.get_running_loop(), random.Random(1)
    tasks: list[asyncio.Task[Told]] = []
    began = loop.time()
    due = began
    while due < began + seconds:
        pause = due - loop.time()
        if pause > 0:
            await asyncio.sleep(pause)
        while due <= loop.time() and due < began + seconds:
            tasks.append(asyncio.create_task(web.ask(_request(rng))))
            due += rng.expovariate(rate)
        await asyncio.sleep(0)
    taken = loop.time() - began
    return list(await asyncio.gather(*tasks)), len(tasks) / taken


async def _health(web: Web, over: asyncio.Event) -> list[Told]:
    told = []
    while not over.is_set():
        told.append(await web.ask(get("/health/live")))
        await asyncio.sleep(HEALTH_SECONDS)
    return told


def _at(quantile: float, times: list[float]) -> float:
    ordered = sorted(times)
    return 1000 * ordered[min(len(ordered) - 1, int(quantile * len(ordered)))] if ordered else 0.0


async def drill(port: int, *, seconds: float, times: float, calm: float = 10.0) -> Overloaded:
    web, apart = Web(port), Web(port)
    await _capacity(web, seconds=calm / 2)
    capacity = max([await _capacity(web, seconds=calm / WINDOWS) for _ in range(WINDOWS)])
    quiet, _ = await _open_loop(web, rate=0.7 * capacity, seconds=calm)
    over = asyncio.Event()
    watching = asyncio.create_task(_health(apart, over))
    told, offered = await _open_loop(web, rate=times * capacity, seconds=seconds)
    over.set()
    health = await watching
    web.close()
    apart.close()
    good = [each.seconds for each in told if each.status in (200, 201)]
    refused = [each for each in told if each.status == 503]
    return Overloaded(
        capacity=capacity,
        quiet_p99=_at(0.99, [each.seconds for each in quiet]),
        offered=offered,
        goodput=len(good) / seconds,
        statuses=dict(sorted(Counter(each.status for each in told).items())),
        admitted_p50=_at(0.5, good),
        admitted_p99=_at(0.99, good),
        refused_p99=_at(0.99, [each.seconds for each in refused]),
        refused_longest=_at(1, [each.seconds for each in refused]),
        without_retry_after=sum(not each.has_retry_after for each in refused),
        health_asked=len(health),
        health_failed=sum(each.status != 200 for each in health),
    )


def table(done: Overloaded) -> str:
    answers = ", ".join(f"{number} x {status}" for status, number in done.statuses.items())
    rows = [
        ("capacity", f"{done.capacity:.0f} answers a second"),
        ("p99 at 70 % of it", f"{done.quiet_p99:.1f} ms"),
        ("asked", f"{done.offered:.0f} a second ({done.offered / done.capacity:.1f} times)"),
        ("answered well", f"{done.goodput:.0f} a second ({100 * done.goodput / done.capacity:.0f} % of the capacity)"),
        ("their p50 and p99", f"{done.admitted_p50:.1f} ms, {done.admitted_p99:.1f} ms ({done.admitted_p99 / done.quiet_p99:.1f} times)"),
        ("refusals: p99 and longest", f"{done.refused_p99:.1f} ms, {done.refused_longest:.1f} ms"),
        ("answers (0: connection broke)", answers),
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
        service = Service(folder, "--demo", **SETTINGS).wait_ready()
        try:
            done = uvloop.run(drill(service.port, seconds=options.seconds, times=options.times))
        finally:
            service.stop()
    print(json.dumps(asdict(done)) if options.json else table(done))
    return 0 if done.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
