"""Whether what a request costs grows with what is stored, what a second worker gives, and what a worker needs.

`python -m benchmarks.growth`: the hot paths at 10 000, 100 000 and 1 000 000 resources and respondents, then one worker against two
in turns, then the memory of an idle worker and the time of a start on a cluster that is there.
"""

import argparse
import json
import resource
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.__main__ import measured_once, say
from benchmarks.load import family
from benchmarks.plot import plot_growth
from benchmarks.report import machine, plain_table
from benchmarks.stage import WORKERS, Stage, stage
from benchmarks.workloads import WORKLOADS

SIZES = (10_000, 100_000, 1_000_000)
PATHS = ("read-one", "list", "deep-page", "search", "edit", "save")
ALONE_OR_NOT = ("read-one", "results")
PAGE_BYTES = resource.getpagesize()


def growth(sizes: tuple[int, ...], *, rounds: int, seconds: float) -> dict[str, Any]:
    """The median requests a second, latency and CPU time of each hot path at each size; `machine` too."""
    found: dict[str, list[dict[str, float]]] = {path: [] for path in PATHS}
    described: dict[str, Any] = {}
    for size in sizes:
        with stage(resources=size, large=size, responses=size, programs=()) as here:
            described = machine(here.postgres)
            for path in PATHS:
                results = [measured_once(here.servers["service"], WORKLOADS[path], here.target, seconds=seconds) for _ in range(rounds)]
                figures = {name: median(getattr(each, name) for each in results) for name in ("per_second", "cpu_us", "p50_ms")}
                found[path].append({"size": size, **figures})
                say(f"{WORKLOADS[path].title}, {size} stored: {figures['per_second']:.0f}/s, {figures['cpu_us']:.0f} µs of CPU")
    return {"measured_at": datetime.now(UTC).date().isoformat(), "machine": described, "paths": found}


def workers(*, rounds: int, seconds: float) -> dict[str, Any]:
    """Two workers against one, in turns, with the database and without; the memory of each idle worker in MiB."""
    with stage(resources=10_000, large=100, responses=100, programs=tuple(WORKERS)) as here:
        memory = {name: [_resident(pid) for pid in family(here.servers[name].pid)] for name in WORKERS}
        return {
            "paths": {path: _two_over_one(here, path, rounds=rounds, seconds=seconds) for path in ALONE_OR_NOT},
            "memory_mib": memory,
            "start_seconds": {name: here.servers[name].start_seconds for name in WORKERS},
        }


def _two_over_one(here: Stage, path: str, *, rounds: int, seconds: float) -> dict[str, float]:
    """Requests a second of two workers over those of one, and how many cores each of the two used."""
    ratios, cpu = [], []
    for number in range(rounds + 1):
        one, two = (measured_once(here.servers[name], WORKLOADS[path], here.target, seconds=seconds, connections=32) for name in WORKERS)
        if number:  # the first is to warm up
            ratios.append(two.per_second / one.per_second)
            cpu.append((one.cpu_us * one.per_second / 1e6, two.cpu_us * two.per_second / 1e6))
    return {
        "two_over_one": median(ratios),
        "cores_used_by_one": median(one for one, _ in cpu),
        "cores_used_by_two": median(two for _, two in cpu),
    }


def _resident(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write the measurements and a picture there")
    options = parser.parse_args()
    grown = growth(tuple(options.sizes), rounds=options.rounds, seconds=options.seconds)
    scaled = workers(rounds=options.rounds, seconds=options.seconds)
    head = ["requests a second (CPU µs)", *(f"{size:,} stored" for size in options.sizes), "last of first"]
    print(plain_table([head, *(_row(path, figures) for path, figures in grown["paths"].items())]))
    for path, told in scaled["paths"].items():
        print(
            f"two workers of one, {WORKLOADS[path].title}: {told['two_over_one']:.2f} (cores used: {told['cores_used_by_one']:.2f} by one,"
            f" {told['cores_used_by_two']:.2f} by two, of {grown['machine']['cores']}; the rest is the load and PostgreSQL)"
        )
    print(f"memory when idle, MiB a process: {', '.join(f'{each:.0f}' for each in scaled['memory_mib']['one-worker'])}")
    print(f"start to healthy: {scaled['start_seconds']['one-worker']:.1f} s")
    if options.out:
        (options.out / "growth.json").write_text(json.dumps(grown | {"workers": scaled}, indent=1) + "\n")
        plot_growth(grown, options.out / "growth.png")


def _row(path: str, figures: list[dict[str, float]]) -> list[str]:
    cells = [f"{each['per_second']:.0f} ({each['cpu_us']:.0f})" for each in figures]
    return [WORKLOADS[path].title, *cells, f"{figures[-1]['per_second'] / figures[0]['per_second']:.2f}"]


if __name__ == "__main__":
    main()
