"""Whether what a request costs grows with what is stored, what a second worker gives, and what a worker needs.

`python -m benchmarks.growth`: the hot paths at 10 000, 100 000 and 1 000 000 resources and respondents, round by round in turns, then one
worker against two in turns (both without limits, which several count in a Redis: it would have the cores that they are to show they use),
the memory of idle workers, and the time from `serve` to ready with its embedded cluster, which is there already.
"""

import argparse
import json
import resource
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

from benchmarks.__main__ import measured_once, say
from benchmarks.load import Result, family
from benchmarks.plot import plot_growth
from benchmarks.report import growth_markdown, growth_rows, machine, medians, plain_table, workers_lines
from benchmarks.stage import WORKERS, Stage, stage, starts
from benchmarks.workloads import WORKLOADS

STARTS = 5
SIZES = (10_000, 100_000, 1_000_000)
PATHS = ("read-one", "list", "list-apart", "first-page", "deep-page", "search", "edit", "save", "results")
ALONE_OR_NOT = ("results", "read-one", "save")
PAGE_BYTES = resource.getpagesize()

Key = TypeVar("Key", int, str)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="how many resources and respondents (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=2, help="how long one run takes (default %(default)s)")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write a page, a picture and the measurements there")
    options = parser.parse_args()
    document = measured(options.sizes, rounds=options.rounds, seconds=options.seconds)
    print(plain_table(growth_rows(document)))
    print("\n".join(workers_lines(document)))
    if options.out:
        (options.out / "growth.json").write_text(json.dumps(document, indent=1) + "\n")
        (options.out / "growth.md").write_text(growth_markdown(document))
        plot_growth(document, options.out / "growth.png")


def measured(sizes: Sequence[int], *, rounds: int, seconds: float) -> dict[str, Any]:
    """All of it, as plain data."""
    return {
        "measured_at": datetime.now(UTC).date().isoformat(),
        "settings": {"sizes": list(sizes), "rounds": rounds, "seconds": seconds},
        **_workers(rounds=rounds, seconds=seconds),
        "paths": _growth(sizes, rounds=rounds, seconds=seconds),
    }


def _growth(sizes: Sequence[int], *, rounds: int, seconds: float) -> dict[str, list[dict[str, float]]]:
    with ExitStack() as stack:
        stages = {}
        for size in sizes:
            say(f"{size:,} resources and respondents are made")
            stages[size] = stack.enter_context(stage(resources=size, large=size, responses=size, programs=()))
        return {path: _by_size(stages, path, rounds=rounds, seconds=seconds) for path in PATHS}


def _workers(*, rounds: int, seconds: float) -> dict[str, Any]:
    """The machine, and what there is to say of workers: what two do, what they need when idle, how long a start takes."""
    with stage(resources=10_000, large=100, responses=100, programs=tuple(WORKERS)) as here:
        idle = {name: [_resident(pid) for pid in family(here.servers[name].pid)] for name in WORKERS}
        return {
            "machine": machine(here.postgres),
            "workers": {path: _one_and_two(here, path, rounds=rounds, seconds=seconds) for path in ALONE_OR_NOT},
            "idle_mib": idle,
            "start_seconds": median(starts(STARTS)),
        }


def _by_size(stages: dict[int, Stage], path: str, *, rounds: int, seconds: float) -> list[dict[str, float]]:
    """A path at each size: the medians, and `ratio`, its requests a second over those at the first size in the same round."""
    asked = {size: _asking(here, "service", path, seconds=seconds) for size, here in stages.items()}
    return [{"size": size, **figures} for size, figures in _in_turns(WORKLOADS[path].title, asked, rounds=rounds).items()]


def _one_and_two(here: Stage, path: str, *, rounds: int, seconds: float) -> dict[str, dict[str, float]]:
    """One worker and two, the same figures; `ratio` is over one worker."""
    asked = {name: _asking(here, name, path, seconds=seconds) for name in WORKERS}
    return _in_turns(f"{WORKLOADS[path].title}, workers", asked, rounds=rounds)


def _asking(here: Stage, server: str, path: str, *, seconds: float) -> Callable[[], Result]:
    return lambda: measured_once(here.servers[server], WORKLOADS[path], here.target, seconds=seconds)


def _in_turns(title: str, asked: dict[Key, Callable[[], Result]], *, rounds: int) -> dict[Key, dict[str, float]]:
    """Each once to warm up, then in turns: the medians of each, and its `ratio` to the first in the same round."""
    for ask in asked.values():
        ask()
    found: dict[Key, list[Result]] = {key: [] for key in asked}
    for number in range(1, rounds + 1):
        for key, ask in asked.items():
            found[key].append(ask())
        told = ", ".join(f"{key}: {results[-1].per_second:.0f}/s" for key, results in found.items())
        say(f"{title}, round {number}: {told}")
    first = next(iter(found.values()))
    return {
        key: medians(results) | {"ratio": median(each.per_second / base.per_second for each, base in zip(results, first, strict=True))}
        for key, results in found.items()
    }


def _resident(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES / 2**20


if __name__ == "__main__":
    main()
