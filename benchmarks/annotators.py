"""Measure how long the agreement of many annotations takes, and how much longer others wait meanwhile.

In turns, one resource is read over a few connections alone, and while one agreement after another is worked out, each under a seed of
its own so that none is had from what is kept.
"""

import argparse
import asyncio
import json
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from itertools import count
from statistics import median

import asyncpg

from benchmarks.load import LOOPBACK, PATIENCE_SECONDS, Order, Result
from benchmarks.report import machine
from benchmarks.stage import Stage, StageError, stage
from entrypoints.settings import load

LEVELS = ("nominal", "ordinal", "interval")
SECONDS_MOST = 5.0
P99_MOST = 2.0  # times that of the same requests alone
ANNOTATORS = 20
COPIES = 2

_FILL = """
WITH people AS (
    INSERT INTO users (username, search_text, email, role, is_active, created_at, version)
    SELECT 'bench-annotator-' || n, 'bench-annotator-' || n, 'nobody@localhost', 'annotator', true, now(), 1
    FROM generate_series(0, $2::integer - 1) AS n
    RETURNING id, substring(username FROM '[0-9]+$')::integer AS place
), wanted AS (
    SELECT id, row_number() OVER (ORDER BY id) AS place FROM resources
    WHERE project_id = (SELECT id FROM projects WHERE slug = $1) ORDER BY id LIMIT $3
)
INSERT INTO annotations (project_id, label_set_id, label_set_version, resource_id, annotator_id, value, created_at, version)
SELECT label_sets.project_id, label_sets.id, 1, wanted.id, people.id,
    to_jsonb(1 + (wanted.place * 7919 + copy * (wanted.place % 3)) % 7), now(), 1
FROM wanted, generate_series(0, $4::integer - 1) AS copy, people, label_sets
WHERE people.place = (wanted.place * 31 + copy) % $2
"""


def main() -> None:
    """The entry of `python -m benchmarks.annotators`. Exit status: 0 done, 1 failed, or a bound was missed under `--check`."""
    options = _options()
    resources = options.annotations // COPIES
    try:
        with stage(resources=resources, large=100, responses=100, programs=()) as here:
            token = asyncio.run(_fill(here, resources))
            taken, ratios = _measure(here, token, rounds=options.rounds, seconds=options.seconds, connections=options.connections)
            described = machine(here.postgres)
    except (StageError, OSError, asyncpg.PostgresError, subprocess.TimeoutExpired) as error:
        raise SystemExit(f"benchmarks: {error}") from None
    print(f"agreement of {resources * COPIES} annotations: median {median(taken):.2f} s, longest {max(taken):.2f} s, of {len(taken)}")
    print(f"p99 of other requests meanwhile: {median(ratios):.2f} times that alone (median of {len(ratios)} rounds)")
    print(", ".join(f"{name} {value}" for name, value in described.items()))
    if options.check and (max(taken) > SECONDS_MOST or median(ratios) > P99_MOST):
        raise SystemExit(f"benchmarks: more than {SECONDS_MOST:g} s, or more than {P99_MOST:g} times")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.annotators", description=__doc__)
    parser.add_argument("--annotations", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--check", action="store_true", help="fail when a bound is missed")
    return parser.parse_args()


async def _fill(here: Stage, resources: int) -> str:
    """Label sets and annotations; a token of the first admin."""
    container = here.deployment.container(load())
    async with container.pool():
        admin = await container.users().by_username("admin")
        assert admin is not None
        async with container.unit_of_work()() as work:
            signed_in = await container.open_session()(work, admin)
            await work.commit()
    for level in LEVELS:
        body = {"title": level, "type": "scale", "min": 1, "max": 7, "level": level}
        _ask(here, signed_in.access_token, "PUT", f"label-sets/{level}", body)
    connection = await asyncpg.connect(here.deployment.database_url.replace("+asyncpg", "", 1))
    try:
        await connection.execute(_FILL, here.target.small.slug, ANNOTATORS, resources, COPIES)
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()
    return signed_in.access_token


def _measure(here: Stage, token: str, *, rounds: int, seconds: float, connections: int) -> tuple[list[float], list[float]]:
    """How long each agreement took, and each round's p99 meanwhile over that alone."""
    seeds, ratios = count(1), []
    taken = [_agree(here, token, level, next(seeds)) for level in LEVELS]
    _load(here, seconds=1.0, connections=connections)
    for number, level in zip(range(1, rounds + 1), _turns(), strict=False):
        alone = _load(here, seconds=seconds, connections=connections)
        with ThreadPoolExecutor(1) as beside:
            meanwhile = beside.submit(_load, here, seconds=seconds, connections=connections)
            while not meanwhile.done():
                taken.append(_agree(here, token, level, next(seeds)))
        during = meanwhile.result()
        ratios.append(during.p99_ms / alone.p99_ms)
        told = f"p99 {alone.p99_ms:.1f} ms alone, {during.p99_ms:.1f} ms meanwhile; p50 {alone.p50_ms:.1f} and {during.p50_ms:.1f} ms"
        print(f"round {number} ({level}): {told}; agreement {taken[-1]:.2f} s", file=sys.stderr, flush=True)
    return taken, ratios


def _turns() -> Iterator[str]:
    while True:
        yield from LEVELS


def _agree(here: Stage, token: str, level: str, seed: int) -> float:
    started = time.perf_counter()
    found = _ask(here, token, "GET", f"annotations/agreement?label_set={level}&seed={seed}")
    if not found["annotations"]:
        raise StageError("The agreement tells of no annotations.")
    return time.perf_counter() - started


def _ask(here: Stage, token: str, method: str, path: str, body: dict[str, object] | None = None) -> dict[str, object]:
    request = urllib.request.Request(
        f"http://{LOOPBACK}:{here.servers['service'].port}/admin/{here.target.small.slug}/{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"authorization": f"Bearer {token}", "content-type": "application/json"},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
        document: dict[str, object] = json.loads(answer.read())
    return document


def _load(here: Stage, *, seconds: float, connections: int) -> Result:
    order = Order(
        port=here.servers["service"].port,
        pid=here.servers["service"].pid,
        program="service",
        workload="read-one",
        target=here.target,
        seed=secrets.token_hex(8),
        seconds=seconds,
        connections=connections,
    )
    program = (sys.executable, "-m", "benchmarks.load")
    asked = json.dumps(asdict(order))
    done = subprocess.run(program, input=asked, capture_output=True, text=True, check=True, timeout=seconds + 2 * PATIENCE_SECONDS)
    result = Result(**json.loads(done.stdout))
    if result.errors:
        raise StageError(f"{result.errors} of {result.requests} requests failed, first: {result.first_error}")
    return result


if __name__ == "__main__":
    main()
