"""Measure the service as it is beside the service as it was: `python -m benchmarks.before REVISION`, run by run in turns.

Each has a database of its own, data and load of its own revision, and one worker. A ratio is that of the time of a request now to that
before, by neighbouring runs; the median of them counts.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.__main__ import WARM_UP_SECONDS, LoadError, say
from benchmarks.load import PATIENCE_SECONDS, Order, Result
from benchmarks.report import plain_table
from benchmarks.workloads import CONNECTIONS, WORKLOADS, Project, Target

HERE = Path(__file__).parents[1]
MOST = 1.05  # times the time that a request took before
# Run with the working folder and the modules of a revision: sets its stage, tells what is there, and waits to be ended.
_HOLD = """
import dataclasses, json, sys
from benchmarks.stage import stage
sizes = json.loads(sys.argv[1])
with stage(**sizes, programs=()) as here:
    server = here.servers["service"]
    print(json.dumps({"pid": server.pid, "port": server.port, "target": dataclasses.asdict(here.target)}), flush=True)
    sys.stdin.read()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """One revision, serving."""

    folder: Path
    pid: int
    port: int
    target: Target

    def measure(self, workload: str, *, seconds: float, seed: str) -> Result:
        """One run. Raises `LoadError` when an answer is not as it must be."""
        order = Order(
            port=self.port,
            pid=self.pid,
            program="service",
            workload=workload,
            target=self.target,
            seed=seed,
            seconds=seconds,
            connections=CONNECTIONS,
        )
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.load"],
            input=json.dumps(asdict(order)),
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds + 2 * PATIENCE_SECONDS,
            cwd=self.folder,
            env=_environment(self.folder),
        )
        if done.returncode != 0:
            raise LoadError(f"{workload}: the load failed: {done.stderr.strip().splitlines()[-1:]}")
        result = Result(**json.loads(done.stdout))
        if result.errors:
            raise LoadError(f"{workload} in {self.folder.name}: {result.errors} errors, first: {result.first_error}")
        return result


def _environment(folder: Path) -> dict[str, str]:
    """That of this process, with the modules of this folder before those that are installed."""
    return os.environ | {"PYTHONPATH": f"{folder / 'src'}{os.pathsep}{folder}"}


@contextmanager
def checkout(revision: str) -> Iterator[Path]:
    """The files of a revision, in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="complex-stories-before-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        archive = subprocess.run(["git", "archive", revision], cwd=HERE, check=True, capture_output=True)
        subprocess.run(["tar", "-x"], input=archive.stdout, cwd=folder, check=True)
        yield folder


@contextmanager
def serving(folder: Path, sizes: dict[str, int]) -> Iterator[Build]:
    """The service of these files, with data in it."""
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, json.dumps(sizes)],
        cwd=folder,
        env=_environment(folder),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        line = holder.stdout.readline()
        if not line:
            raise LoadError(f"the service in {folder} did not start")
        told: dict[str, Any] = json.loads(line)
        target = told["target"]
        projects = {name: Project(**target[name]) for name in ("small", "large")}
        yield Build(folder=folder, pid=told["pid"], port=told["port"], target=Target(**target | projects))
    finally:
        holder.stdin.close()
        holder.wait(timeout=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A workload on both builds, run by run."""

    workload: str
    before: Sequence[Result]
    now: Sequence[Result]

    @property
    def ratio(self) -> float:
        """How many times as long a request takes now."""
        return median(was.per_second / now.per_second for was, now in zip(self.before, self.now, strict=True))

    @property
    def cpu(self) -> float:
        """How many times as much processor time of the service."""
        return median(now.cpu_us / was.cpu_us for was, now in zip(self.before, self.now, strict=True))

    def row(self) -> list[str]:
        rates = [f"{median(one.per_second for one in runs):.0f}" for runs in (self.before, self.now)]
        slow = [f"{median(one.p99_ms for one in runs):.1f}" for runs in (self.before, self.now)]
        mark = " slower" if self.ratio > MOST else ""
        return [WORKLOADS[self.workload].title, *rates, f"{self.ratio:.2f}{mark}", f"{self.cpu:.2f}", *slow]


def compare(before: Build, now: Build, workload: str, *, rounds: int, seconds: float) -> Compared:
    """So many runs on each, in turns; who goes first changes from round to round."""
    for build in (before, now):
        build.measure(workload, seconds=WARM_UP_SECONDS, seed="warm")
    found: dict[int, list[Result]] = {id(before): [], id(now): []}
    for number in range(rounds):
        for build in (before, now) if number % 2 else (now, before):
            found[id(build)].append(build.measure(workload, seconds=seconds, seed=str(number)))
    compared = Compared(workload=workload, before=found[id(before)], now=found[id(now)])
    say(f"{WORKLOADS[workload].title}: {compared.ratio:.2f} times the time of before")
    return compared


def main() -> int:
    """Print the table; 1 when a request of a workload takes more than 1.05 times as long as before."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.before", description=__doc__)
    parser.add_argument("revision")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--resources", type=int, default=10_000)
    parser.add_argument("--large", type=int, default=200_000)
    parser.add_argument("--responses", type=int, default=10_000)
    parser.add_argument("--only", nargs="+", choices=WORKLOADS, default=list(WORKLOADS))
    options = parser.parse_args()
    sizes = {name: getattr(options, name) for name in ("resources", "large", "responses")}
    with ExitStack() as stack:
        before = stack.enter_context(serving(stack.enter_context(checkout(options.revision)), sizes))
        now = stack.enter_context(serving(HERE, sizes))
        found = [compare(before, now, name, rounds=options.rounds, seconds=options.seconds) for name in options.only]
    head = ["workload", "a second before", "now", "time, now to before", "CPU, now to before", "p99 ms before", "now"]
    print(plain_table([head, *(one.row() for one in found)]))
    return any(one.ratio > MOST for one in found)


if __name__ == "__main__":
    sys.exit(main())
