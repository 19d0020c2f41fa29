"""What the time and the bytes of a failed sign-in tell about whether a name is known."""

import random
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx
from scipy.stats import mannwhitneyu

from tests.e2e.client import Service, register, unique

WRONG = "quite-another-password"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """`area` is that under the ROC curve: how often a known name takes longer than an unknown one, 0.5 when time tells nothing."""

    names: int
    area: float
    known_ms: float
    unknown_ms: float
    bodies: int


def measure(service: Service, *, names: int, seed: int) -> Told:
    """Sign in once by so many names that exist and as many that do not, one at a time in random order, with a wrong password."""
    known = [unique("known") for _ in range(names)]
    with ThreadPoolExecutor(2) as threads:
        for number, _ in enumerate(threads.map(lambda name: register(service.url, name), known), 1):
            if number % 100 == 0:
                print(f"\rregistered {number} of {names}", end="\n" if number == names else "", file=sys.stderr, flush=True)
    unknown = [unique("wrong") for _ in range(names)]  # as long as the others
    asked = [(name, True) for name in known] + [(name, False) for name in unknown]
    random.Random(seed).shuffle(asked)
    times: dict[bool, list[float]] = {True: [], False: []}
    bodies = set()
    with httpx.Client(base_url=service.url, timeout=60) as web:
        for number, (name, is_known) in enumerate(asked, 1):
            began = time.perf_counter()
            answer = web.post("/auth/login", json={"username": name, "password": WRONG})
            times[is_known].append((time.perf_counter() - began) * 1000)
            assert answer.status_code == 401, answer.text
            bodies.add(answer.content.replace(answer.headers["x-request-id"].encode(), b"@"))
            if number % 100 == 0:
                print(f"\rsigned in {number} of {len(asked)}", end="\n" if number == len(asked) else "", file=sys.stderr, flush=True)
    above = float(mannwhitneyu(times[True], times[False]).statistic)
    return Told(
        names=names,
        area=above / names**2,
        known_ms=statistics.median(times[True]),
        unknown_ms=statistics.median(times[False]),
        bodies=len(bodies),
    )
