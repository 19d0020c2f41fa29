"""Exports of many resources over HTTP against a plain `COPY` of the same columns, in one run: time, memory, and who asks beside.

`python -m benchmarks.export --check` fails when CSV takes more than 3 times as long as the `COPY`, Parquet more than 6 times, when
the memory of the service rises by more than 96 MiB, or when the p99 of lists beside an export is more than twice that without one.
Linux only: it reads the service's memory from /proc.
"""

import argparse
import asyncio
import http.client
import json
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg

from benchmarks.load import LOOPBACK
from benchmarks.report import exports_markdown, machine
from benchmarks.stage import Server, Stage, stage

CSV_RATIO, PARQUET_RATIO, RISE_MIB, P99_RATIO = 3.0, 6.0, 96.0, 2.0
PIECE = 256 * 1024
LISTS_A_SECOND = 50
SAME_COLUMNS = """
SELECT r.id, p.slug, r.name, r.description, r.status, r.attributes, u.username, r.created_at, r.updated_at, true, r.version
FROM resources r JOIN projects p ON p.id = r.project_id JOIN users u ON u.id = r.created_by
WHERE p.slug = $1 AND r.deleted_at IS NULL ORDER BY r.id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """One transfer: seconds, bytes, and how much more memory than `base` the service has had at any time, in MiB."""

    seconds: float
    size: int
    rise: float = 0.0


async def _copy(url: str, slug: str, path: Path) -> Took:
    """What PostgreSQL needs to write the same columns to a file, and nothing else does."""
    connection = await asyncpg.connect(url.replace("+asyncpg", "", 1))
    try:
        with path.open("wb") as file:

            async def take(data: bytes) -> None:
                file.write(data)

            began = time.perf_counter()
            await connection.copy_from_query(SAME_COLUMNS, slug, output=take, format="csv", timeout=600)
            return Took(seconds=time.perf_counter() - began, size=file.tell())
    finally:
        await connection.close()


def _download(server: Server, slug: str, kind: str, path: Path, *, base: float = 0.0) -> Took:
    began, size = time.perf_counter(), 0
    connection = http.client.HTTPConnection(LOOPBACK, server.port, timeout=600)
    connection.request("GET", f"/{slug}/export?format={kind}")
    answer = connection.getresponse()
    if answer.status != 200:
        raise SystemExit(f"benchmarks.export: {answer.status}: {answer.read()[:200]!r}")
    with path.open("wb") as file:
        while piece := answer.read(PIECE):
            size += file.write(piece)
    connection.close()
    return Took(seconds=time.perf_counter() - began, size=size, rise=_mib(server, "VmHWM") - base)


def _mib(server: Server, name: str) -> float:
    return int(Path(f"/proc/{server.pid}/status").read_text().split(f"{name}:")[1].split()[0]) / 1024


def _p99_of_lists(server: Server, slug: str, *, seconds: float, until: threading.Event | None = None) -> float:
    """In milliseconds, of so many lists a second, for so long or until told."""
    connection = http.client.HTTPConnection(LOOPBACK, server.port, timeout=60)
    took: list[float] = []
    start = time.perf_counter()
    while time.perf_counter() - start < seconds and not (until and until.is_set()):
        time.sleep(max(0.0, start + len(took) / LISTS_A_SECOND - time.perf_counter()))
        asked = time.perf_counter()
        connection.request("GET", f"/{slug}/resources?limit=100")
        connection.getresponse().read()
        took.append(time.perf_counter() - asked)
    connection.close()
    return sorted(took)[len(took) * 99 // 100] * 1e3


def _beside(here: Stage, kind: str, path: Path, *, seconds: float) -> float:
    """The p99 of lists while exports follow one another; the lists are asked by a process of their own."""
    over = threading.Event()

    def export() -> None:
        while not over.is_set():
            _download(here.servers["service"], here.target.large.slug, kind, path)

    thread = threading.Thread(target=export)
    thread.start()
    try:
        time.sleep(0.5)
        return _in_a_process(here, seconds=seconds)
    finally:
        over.set()
        thread.join()


def _in_a_process(here: Stage, *, seconds: float) -> float:
    service = here.servers["service"]
    asked = f"{service.pid},{service.port},{here.target.large.slug},{seconds}"
    program = [sys.executable, "-m", "benchmarks.export", "--lists", asked]
    return float(subprocess.run(program, capture_output=True, text=True, check=True, timeout=seconds + 120).stdout)


def main() -> None:
    """The entry of `python -m benchmarks.export`. Exit status: 0 done, 1 missed under `--check`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.export", description=__doc__)
    parser.add_argument("--resources", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4, help="how long lists are asked in a round, without and beside exports")
    parser.add_argument("--check", action="store_true", help="fail when a bound is missed")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write a page and the measurements there")
    parser.add_argument("--lists", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.lists:
        pid, port, slug, seconds = options.lists.split(",")
        print(_p99_of_lists(Server(name="service", pid=int(pid), port=int(port), start_seconds=0), slug, seconds=float(seconds)))
        return
    with (
        stage(resources=100, large=options.resources, responses=100, programs=()) as here,
        tempfile.TemporaryDirectory(prefix="complex-stories-bench-") as folder,
    ):
        document = _measure(here, Path(folder) / "export", options)
    if options.out:
        (options.out / "exports.json").write_text(json.dumps(document, indent=1) + "\n")
        (options.out / "exports.md").write_text(exports_markdown(document))
    missed = [name for name, found, bound in document["bounds"] if found > bound]
    if missed and options.check:
        raise SystemExit(f"benchmarks.export: missed: {', '.join(missed)}")


def _measure(here: Stage, path: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Each format and the `COPY` in turns, then lists beside; `bounds` are what was found and what it may be at most, by name."""
    slug, ratios, rises = here.target.large.slug, {"csv": list[float](), "parquet": list[float]()}, list[float]()
    rounds = []
    _p99_of_lists(here.servers["service"], slug, seconds=2)
    base = _mib(here.servers["service"], "VmRSS")  # before the first export: whatever they leave behind counts
    for kind in ratios:
        _download(here.servers["service"], slug, kind, path)  # so that every run finds the same caches
    for _ in range(options.rounds):
        plain = asyncio.run(_copy(here.deployment.database_url, slug, path))
        print(f"COPY     {plain.seconds:6.2f} s {plain.size / 2**20:7.1f} MiB", flush=True)
        rounds.append({"copy": asdict(plain)})
        for kind, found in ratios.items():
            took = _download(here.servers["service"], slug, kind, path, base=base)
            rounds[-1][kind] = asdict(took)
            found.append(took.seconds / plain.seconds)
            rises.append(took.rise)
            print(
                f"{kind:8} {took.seconds:6.2f} s {took.size / 2**20:7.1f} MiB, {found[-1]:.2f} times, memory +{took.rise:.0f} MiB",
                flush=True,
            )
    lists = {"none": list[float](), **{kind: list[float]() for kind in ratios}}
    for _ in range(options.rounds):
        lists["none"].append(_in_a_process(here, seconds=options.seconds))
        for kind in ratios:
            lists[kind].append(_beside(here, kind, path, seconds=options.seconds))
    bounds = [
        ("CSV, times a plain COPY", median(ratios["csv"]), CSV_RATIO),
        ("Parquet, times a plain COPY", median(ratios["parquet"]), PARQUET_RATIO),
        ("memory of the service rises by, MiB", max(rises), RISE_MIB),
        *((f"p99 of lists beside {kind}, times that without", _times(lists[kind], lists["none"]), P99_RATIO) for kind in ratios),
    ]
    for name, found_value, bound in bounds:
        print(f"{'ok  ' if found_value <= bound else 'MISS'} {name}: {found_value:.2f}, at most {bound:g}", flush=True)
    return {
        "measured_at": datetime.now(UTC).date().isoformat(),
        "machine": machine(here.postgres),
        "settings": {"resources": options.resources, "rounds": options.rounds},
        "rounds": rounds,
        "p99_ms_of_lists_beside": lists,
        "bounds": bounds,
    }


def _times(these: list[float], those: list[float]) -> float:
    """The median of the ratios, round by round."""
    return median(this / that for this, that in zip(these, those, strict=True))


if __name__ == "__main__":
    main()
