"""Limits over two workers: `python -m tests.drills.limits` floods a service that counts in Redis, holds Redis still, and lets it go on.

Each window is that of a network of its own (an address of the loopback), flooded over fresh connections with five times its limit.
"""

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import count
from statistics import median

import httpx

from tests.e2e.client import Service, data_folder, until
from tests.valkey import RedisServer, redis_server

ROUTE = "/projects"
WORKERS = 2
CLIENTS = 10
_last_octets = count(2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drilled:
    """What the drill came to; times in milliseconds unless their name says otherwise."""

    limit: int
    granted: list[int]
    spoofed: int
    spoofed_granted: int
    median_before: float
    longest_before: float
    longest_paused: float
    paused_statuses: dict[int, int]
    paused_granted: int
    seconds_until_shared: float
    granted_after: int

    @property
    def added(self) -> float:
        return self.longest_paused - self.median_before

    @property
    def is_good(self) -> bool:
        exact = set(self.granted) | {self.granted_after} == {self.limit}
        local = self.limit <= self.paused_granted <= WORKERS * self.limit and max(self.paused_statuses) < 500
        return exact and local and not self.spoofed_granted and self.seconds_until_shared <= 5


def _clients(service: Service, address: str, *, kept: int = 0) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=CLIENTS, max_keepalive_connections=kept)
    transport = httpx.AsyncHTTPTransport(local_address=address, limits=limits)
    return httpx.AsyncClient(base_url=service.url, timeout=30, transport=transport)


def _networks() -> Iterator[str]:
    return (f"127.0.0.{octet}" for octet in _last_octets)


async def _flood(service: Service, network: str, times: int) -> Counter[int]:
    async with _clients(service, network) as web:
        answers = await asyncio.gather(*(web.get(ROUTE) for _ in range(times)))
    return Counter(answer.status_code for answer in answers)


async def _spoof(service: Service, network: str, times: int) -> int:
    """How many of so many requests are granted that claim to come from elsewhere."""
    async with _clients(service, network, kept=CLIENTS) as web:
        headers = [{"x-forwarded-for": f"198.51.{number // 250}.{number % 250}"} for number in range(times)]
        answers = await asyncio.gather(*(web.get(ROUTE, headers=one) for one in headers))
    return sum(answer.status_code == 200 for answer in answers)


async def _times(service: Service, network: str, times: int) -> list[tuple[float, int]]:
    """How long each request took, in milliseconds, and how it was answered: a few at a time, over fresh connections."""
    taken: list[tuple[float, int]] = []

    async def ask(web: httpx.AsyncClient) -> None:
        for _ in range(times // 4):
            began = time.perf_counter()
            status = (await web.get(ROUTE)).status_code
            taken.append(((time.perf_counter() - began) * 1000, status))

    async with _clients(service, network) as web:
        await asyncio.gather(*(ask(web) for _ in range(4)))
    return taken


async def _drill(service: Service, valkey: RedisServer, *, windows: int, limit: int, spoofed: int) -> Drilled:
    networks = _networks()
    granted = [(await _flood(service, next(networks), 5 * limit))[200] for _ in range(windows)]
    liar = next(networks)
    await _flood(service, liar, 2 * limit)
    spoofed_granted = await _spoof(service, liar, spoofed)
    before = [taken for taken, _ in await _times(service, next(networks), 4 * limit)]
    valkey.pause()
    paused = await _times(service, next(networks), 5 * limit)
    back = service.err.count("redis is back")
    valkey.resume()
    resumed = time.monotonic()
    until(lambda: service.err.count("redis is back") >= back + WORKERS, "both workers found Redis again", seconds=30)
    seconds = time.monotonic() - resumed
    after = await _flood(service, next(networks), 5 * limit)
    statuses = Counter(status for _, status in paused)
    return Drilled(
        limit=limit,
        granted=granted,
        spoofed=spoofed,
        spoofed_granted=spoofed_granted,
        median_before=median(before),
        longest_before=max(before),
        longest_paused=max(taken for taken, _ in paused),
        paused_statuses=dict(sorted(statuses.items())),
        paused_granted=statuses[200],
        seconds_until_shared=seconds,
        granted_after=after[200],
    )


def _table(drilled: Drilled) -> str:
    rows = [(f"window {number}: granted, of a limit of {drilled.limit}", f"{one}") for number, one in enumerate(drilled.granted, 1)]
    answers = ", ".join(f"{number} x {status}" for status, number in drilled.paused_statuses.items())
    rows += [
        ("granted over the limit by spoofed addresses", f"{drilled.spoofed_granted} of {drilled.spoofed}"),
        ("Redis answers: median and longest request", f"{drilled.median_before:.1f} ms, {drilled.longest_before:.1f} ms"),
        ("Redis hangs: longest request, and what that adds to the median", f"{drilled.longest_paused:.1f} ms, {drilled.added:.1f} ms"),
        (f"Redis hangs: answers (at most {WORKERS * drilled.limit} granted)", answers),
        ("Redis goes on: until both workers count together", f"{drilled.seconds_until_shared:.2f} s"),
        (f"and then granted, of a limit of {drilled.limit}", f"{drilled.granted_after}"),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:{width}}  {value}" for name, value in rows)


def main() -> int:
    """Run the drill; 1 when a limit did not hold, anything failed, or Redis was not found again within 5 s."""
    parser = argparse.ArgumentParser(prog="python -m tests.drills.limits", description=__doc__)
    parser.add_argument("--windows", type=int, default=5)
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--spoofed", type=int, default=1000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with data_folder() as folder, redis_server() as valkey:
        settings = {"RATE_LIMITS": f"public-read={options.limit}/h", "REDIS_URL": valkey.url, "LOG_FORMAT": "json"}
        service = Service(folder, "--workers", str(WORKERS), **settings).wait_ready()
        try:
            until(lambda: valkey.clients() == WORKERS, "both workers serve")
            drilled = asyncio.run(_drill(service, valkey, windows=options.windows, limit=options.limit, spoofed=options.spoofed))
        finally:
            valkey.resume()
            service.stop()
    print(json.dumps(asdict(drilled) | {"added": drilled.added}) if options.json else _table(drilled))
    return 0 if drilled.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
