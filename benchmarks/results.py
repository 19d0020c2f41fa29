"""Measure what published results cost at many responses: reading them, everybody else meanwhile, and the release itself.

Beside the service as it is, the same is asked of it as it was before results were released in the background (`BEFORE`), each on a
PostgreSQL of its own, one after the other. Twenty saves a second and eight readers of results go on throughout.
"""

import argparse
import asyncio
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from adapters.postgres.embedded import EmbeddedPostgres

BEFORE = "7540d45"
ROOT = Path(__file__).resolve().parents[1]
PASSWORD = "four random words do well"
PROJECT = "dark-data"
SAVES_PER_SECOND, READERS, EVERY_SECONDS = 20, 8, 0.2
READY_SECONDS, RELEASE_SECONDS = 60.0, 900.0

_COLUMNS = """
SELECT column_name, data_type FROM information_schema.columns
WHERE table_name = 'responses' AND is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO'
"""
_VALUES = {
    "project_id": f"(SELECT id FROM projects WHERE slug = '{PROJECT}')",
    "pseudonym": "sha256(int8send(n))",
    "token_hash": "sha256(int8send(-n))",
    "answers": """jsonb_build_object('consent', 'accepted', 'govPreferences', 1 + n % 7, 'polPreferences', 1 + n * 31 % 7,
        'relativePreferences', 1 + n * 17 % 7, 'age', 18 + n * 13 % 60, 'platformMatters', jsonb_build_array('Facebook'))""",
    "seqs": "'{}'",
    "versions": "'{}'",
    "revision": "1",
    "survey_version": "1",
    "last_save": "gen_random_uuid()",
    "created_at": "now()",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one build came to: milliseconds, seconds and MiB."""

    results_p50: float
    results_p99: float
    resource_p50: float
    resource_p99: float
    results_during_p99: float
    resource_during_p99: float
    release_seconds: float
    work_seconds: float
    memory_grew: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Processes:
    """The ids of the two that all others descend from."""

    service: int
    postgres: int


@dataclass(slots=True)
class Clock:
    """Latencies by what was asked, in milliseconds."""

    seen: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def figure(self, what: str, percent: int) -> float:
        return statistics.quantiles(self.seen[what], n=100)[percent - 1]


def main() -> None:
    """The entry of `python -m benchmarks.results`. Exit status 1 where a bound is missed under `--check`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.results", description=__doc__)
    parser.add_argument("--responses", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--alone", action="store_true", help="only the service as it is")
    parser.add_argument("--check", action="store_true", help="fail when a bound is missed")
    options = parser.parse_args()
    found = {"now": asyncio.run(_measured(ROOT / "src", options.responses, options.seconds))}
    if not options.alone:
        found["before"] = asyncio.run(_measured(_checked_out(BEFORE) / "src", options.responses, options.seconds))
    for name in Figures.__slots__:
        print(f"{name:20}", *(f"{build} {getattr(figures, name):10.1f}" for build, figures in found.items()))
    missed = list(_missed(found["now"]))
    print(*(f"missed: {each}" for each in missed), sep="\n")
    if options.check and missed:
        raise SystemExit(1)


def _missed(now: Figures) -> Iterator[str]:
    bounds = {
        "results p99 within 3 times p50": now.results_p99 <= 3 * now.results_p50,
        "results p99 under 5 times that of one resource": now.results_p99 < 5 * now.resource_p99,
        "one resource, p99 while a release is made within 1.2 times": now.resource_during_p99 <= 1.2 * now.resource_p99,
        "a release within 15 s of work": now.work_seconds <= 15,
        "a release within 64 MiB": now.memory_grew <= 64,
    }
    yield from (what for what, holds in bounds.items() if not holds)


def _checked_out(commit: str) -> Path:
    """A copy of the tree as it was at this commit."""
    folder = ROOT / "build" / f"results-{commit}"
    if not folder.exists():
        folder.mkdir(parents=True)
        archive = subprocess.run(["git", "-C", str(ROOT), "archive", commit, "src"], capture_output=True, check=True)
        subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    return folder


async def _measured(source: Path, responses: int, seconds: float) -> Figures:
    with _serving(source) as (url, folder, processes):
        async with httpx.AsyncClient(base_url=url, timeout=RELEASE_SECONDS) as web:
            admin = await _admin(web)
            await _publish(web, admin, public=False)
            await _fill(folder, responses)
            return await _figures(web, admin, processes, seconds)


async def _figures(web: httpx.AsyncClient, admin: dict[str, str], processes: Processes, seconds: float) -> Figures:
    resource = (await web.get(f"/{PROJECT}/resources?limit=1")).json()[0]["id"]
    await _publish(web, admin, public=False)
    alone, during, first = Clock(), Clock(), Clock()
    # Before the first release results say that there are none yet: who asks for one resource is measured alone here.
    await _load(web, alone, resource, asyncio.sleep(seconds), results=False)
    idle = -_cpu(processes)
    await _load(web, Clock(), resource, asyncio.sleep(seconds), results=False)
    idle += _cpu(processes)
    worked, memory, begun = _cpu(processes), _memory(processes), time.monotonic()
    grown = [0.0]
    await _publish(web, admin, public=True)
    await _load(web, during, resource, _released(web, processes, memory, grown))
    taken = time.monotonic() - begun
    work = _cpu(processes) - worked - idle * taken / seconds
    await _load(web, first, resource, asyncio.sleep(seconds))
    return Figures(
        results_p50=first.figure("results", 50),
        results_p99=first.figure("results", 99),
        resource_p50=alone.figure("resource", 50),
        resource_p99=alone.figure("resource", 99),
        results_during_p99=during.figure("results", 99),
        resource_during_p99=during.figure("resource", 99),
        release_seconds=taken,
        work_seconds=work,
        memory_grew=max(grown) / 2**20,
    )


async def _released(web: httpx.AsyncClient, processes: Processes, memory: int, grown: list[float]) -> None:
    """Return when results tell something."""
    while True:
        asked = asyncio.create_task(web.get(f"/{PROJECT}/survey/results"))
        while not asked.done():
            grown.append(float(_memory(processes) - memory))
            await asyncio.sleep(0.2)
        found = asked.result()
        if found.status_code == 200 and found.json()["n"] is not None:
            return


async def _load(web: httpx.AsyncClient, clock: Clock, resource: int, until: Awaitable[None], *, results: bool = True) -> None:
    """Saves and readers, while this lasts."""

    async def repeat(what: str, every: float, ask: Callable[[int], Awaitable[httpx.Response]]) -> None:
        number = time.monotonic_ns()
        while True:
            number += 1
            begun = time.monotonic()
            answer = await ask(number)
            clock.seen[what].append(1000 * (time.monotonic() - begun))
            if answer.status_code >= 400 and not (what == "results" and answer.status_code in (404, 503)):
                raise SystemExit(f"benchmarks: {what} answered {answer.status_code}: {answer.text[:200]}")
            await asyncio.sleep(max(every - (time.monotonic() - begun), 0))

    def save(number: int) -> Awaitable[httpx.Response]:
        body = {"fingerprint": f"bench-reader-{number}", "field": "consent", "value": "accepted"}
        return web.post(f"/{PROJECT}/survey/upsert", json=body)

    tasks = [asyncio.create_task(repeat("save", 1 / SAVES_PER_SECOND, save))]
    tasks += [asyncio.create_task(repeat("resource", 1 / SAVES_PER_SECOND, lambda _: web.get(f"/{PROJECT}/resources/{resource}")))]
    for _ in range(READERS if results else 0):
        tasks.append(asyncio.create_task(repeat("results", EVERY_SECONDS, lambda _: web.get(f"/{PROJECT}/survey/results"))))
    ending = asyncio.ensure_future(until)
    await asyncio.wait({ending, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        if task.done():
            task.result()
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await ending


async def _admin(web: httpx.AsyncClient) -> dict[str, str]:
    signed_in = await web.post("/auth/login", json={"username": "admin", "password": PASSWORD})
    return {"authorization": f"Bearer {signed_in.raise_for_status().json()['access_token']}"}


async def _publish(web: httpx.AsyncClient, admin: dict[str, str], *, public: bool) -> None:
    found = (await web.get(f"/{PROJECT}/survey")).json()
    asked: dict[str, Any] = {name: found[name] for name in ("title", "identity", "consent", "questions", "results")}
    asked["results"] |= {"public": public}
    (await web.put(f"/admin/{PROJECT}/survey", json=asked, headers=admin)).raise_for_status()


async def _fill(folder: Path, responses: int) -> None:
    password = json.loads((folder / "secrets.json").read_text())["database_password"]
    url = EmbeddedPostgres(folder / "postgres", password=password).url
    connection = await asyncpg.connect(url.replace("+asyncpg", "", 1), timeout=READY_SECONDS)
    try:
        needed = {row["column_name"]: row["data_type"] for row in await connection.fetch(_COLUMNS)}
        values = {name: _VALUES.get(name, "false" if kind == "boolean" else "0") for name, kind in needed.items()}
        insert = f"INSERT INTO responses ({', '.join(values)}) SELECT {', '.join(values.values())}"
        for begin in range(0, responses, 100_000):
            end = min(begin + 100_000, responses) - 1
            await connection.execute(f"{insert} FROM generate_series({begin}::bigint, {end}) AS n", timeout=RELEASE_SECONDS)
        await connection.execute("VACUUM ANALYZE responses", timeout=RELEASE_SECONDS)
    finally:
        await connection.close()


@contextmanager
def _serving(source: Path) -> Iterator[tuple[str, Path, Processes]]:
    """The service of this source on a PostgreSQL of its own: its address, data folder and process."""
    folder = Path(tempfile.mkdtemp(prefix="complex-stories-bench-"))
    folder.chmod(0o711)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {"DATA_DIR": str(folder), "ADMIN_PASSWORD": PASSWORD, "RATE_LIMITS": "off"}
    own = {f"COMPLEX_STORIES_{name}": value for name, value in settings.items()} | {"PYTHONPATH": str(source)}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("COMPLEX_STORIES_")}
    with (folder / "log").open("w") as log:
        program = (sys.executable, "-c", "from entrypoints.cli import main; main()", "serve", "--demo", "--port", str(port))
        service = subprocess.Popen(program, env=inherited | own, stdout=log, stderr=log, cwd=folder)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_ready(url, folder)
        yield url, folder, Processes(service=service.pid, postgres=int((folder / "postgres" / "postmaster.pid").read_text().split()[0]))
    finally:
        service.send_signal(signal.SIGTERM)
        service.wait(timeout=READY_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_ready(url: str, folder: Path) -> None:
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        try:
            if httpx.get(f"{url}/health", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise SystemExit(f"benchmarks: the service did not start: {(folder / 'log').read_text()[-2000:]}")


def _tree(pid: int) -> list[int]:
    """This process and all that it started, a PostgreSQL and its backends among them."""
    children = defaultdict(list)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().rpartition(")")
        except OSError:
            continue
        children[int(rest.split()[1])].append(int(name.split()[0]))
    found = [pid]
    for each in found:
        found += children[each]
    return found


def _cpu(processes: Processes) -> float:
    """Seconds of processor time of the service and its PostgreSQL, processes that have ended included."""
    ticks = 0
    for each in {*_tree(processes.service), *_tree(processes.postgres)}:
        try:
            rest = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(map(int, rest[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _memory(processes: Processes) -> int:
    """Bytes that the service itself holds, without PostgreSQL."""
    own = set(_tree(processes.service)) - set(_tree(processes.postgres))
    pages = sum(int(Path(f"/proc/{each}/statm").read_text().split()[1]) for each in own)
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
