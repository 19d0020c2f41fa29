"""Measure the service as it ships, a bare program that runs the same SQL, the style that people write first, and Directus, in turns.

A machine is rarely quiet: trust the ratios, which come from neighbouring runs, and not the absolute figures.
"""

import argparse
import json
import secrets
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import asyncpg

from benchmarks import directus
from benchmarks.agreement import check_agreement
from benchmarks.load import PATIENCE_SECONDS, Order, Result
from benchmarks.plot import plot_hot_paths
from benchmarks.report import Measured, machine, markdown, plain_table, rows
from benchmarks.stage import Server, Stage, StageError, stage
from benchmarks.workloads import CONNECTIONS, WORKLOADS, Target, Workload
from domain.errors import DomainError
from entrypoints.container import EmbeddedPostgresError, SchemaError
from entrypoints.settings import SettingsError

PROGRAMS = ("bare", "naive", "directus")
WARM_UP_SECONDS = 1.0


class LoadError(Exception):
    """A run did not go as it must: one sentence says why."""


_EXPECTED = (
    StageError,
    LoadError,
    SettingsError,
    EmbeddedPostgresError,
    SchemaError,
    DomainError,
    asyncpg.PostgresError,
    subprocess.TimeoutExpired,
    OSError,
)


def main() -> None:
    """The entry of `python -m benchmarks`. Exit status: 0 done, 1 failed, or a ratio was missed under `--check`, 2 bad use."""
    options = _options()
    sizes = {"resources": options.resources, "large": options.large, "responses": options.responses}
    programs = _compared(options)
    try:
        with stage(**sizes, programs=programs) as here:
            say(f"PostgreSQL {here.postgres}, {options.rounds} rounds of {options.seconds:g} s")
            measured = [_measure(here, WORKLOADS[name], rounds=options.rounds, seconds=options.seconds) for name in options.only]
            described = machine(here.postgres)
    except _EXPECTED as error:
        _end(str(error) or repr(error))
    except KeyboardInterrupt:
        _end("interrupted")
    document = {
        "measured_at": datetime.now(UTC).date().isoformat(),
        "machine": described,
        "settings": sizes | {"rounds": options.rounds, "seconds": options.seconds, "connections": CONNECTIONS},
        "directus": directus.version() if "directus" in programs else None,
        "workloads": [one.document() for one in measured],
    }
    print(plain_table(rows(document)))
    print(", ".join(f"{name} {value}" for name, value in described.items()))
    if options.out:
        _write(document, options.out)
    missed = [line for one in measured for line in one.missed]
    if options.check and missed:
        _end("; ".join(missed))


def _write(document: dict[str, Any], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "hot-paths.json").write_text(json.dumps(document, indent=1) + "\n")
    (folder / "hot-paths.md").write_text(markdown(document))
    plot_hot_paths(document, folder / "hot-paths.png")
    say(f"written: {folder}/hot-paths.md, .json and .png")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=_positive, default=5, help="how often each workload is measured on each program (default 5)")
    parser.add_argument("--seconds", type=_seconds, default=1.5, help="how long one run takes (default 1.5)")
    parser.add_argument("--resources", type=_positive, default=10_000, help="how many resources the small project has (default 10000)")
    parser.add_argument("--large", type=_positive, default=1_000_000, help="how many the large one has (default 1000000)")
    parser.add_argument("--responses", type=_positive, default=10_000, help="how many respondents there are at first (default 10000)")
    parser.add_argument("--only", nargs="+", choices=WORKLOADS, default=list(WORKLOADS), metavar="NAME", help=", ".join(WORKLOADS))
    parser.add_argument("--programs", nargs="*", choices=PROGRAMS, default=PROGRAMS, help=f"what to compare with: {', '.join(PROGRAMS)}")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write a page, a picture and the measurements there")
    parser.add_argument("--check", action="store_true", help="fail when a required ratio is missed")
    return parser.parse_args()


def _compared(options: argparse.Namespace) -> list[str]:
    """The programs that are asked for, installed, and compared with in a workload that is measured."""
    rivals = {rival.program for name in options.only for rival in WORKLOADS[name].rivals}
    programs = [name for name in options.programs if name in rivals]
    if "directus" in programs and directus.version() is None:
        say(f"Directus is not installed ({directus.SETUP}): it is left out.")
        programs.remove("directus")
    return programs


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError("must be more than 0")
    return number


def _measure(here: Stage, workload: Workload, *, rounds: int, seconds: float) -> Measured:
    """Round by round, the service and then each rival that is there."""
    check_agreement(here, workload)
    rivals = [rival for rival in workload.rivals if rival.program in here.servers]
    runs = {"service": (here.servers["service"], workload, CONNECTIONS)}
    for rival in rivals:
        asked = WORKLOADS[rival.workload or workload.name]
        runs[rival.name] = (here.servers[rival.program], asked, rival.connections or CONNECTIONS)
    for server, asked, connections in runs.values():
        measured_once(server, asked, here.target, connections=connections, seconds=WARM_UP_SECONDS)
    found: dict[str, list[Result]] = {name: [] for name in runs}
    for number in range(1, rounds + 1):
        for name, (server, asked, connections) in runs.items():
            found[name].append(measured_once(server, asked, here.target, connections=connections, seconds=seconds))
        told = ", ".join(f"{name} {results[-1].per_second:.0f}/s" for name, results in found.items())
        say(f"{workload.title}, round {number}: {told}")
    results = {name: tuple(each) for name, each in found.items()}
    return Measured(workload=workload, service=results.pop("service"), rivals=results)


def measured_once(server: Server, workload: Workload, target: Target, *, seconds: float, connections: int = CONNECTIONS) -> Result:
    """One run of a workload on a program. Raises `LoadError` when an answer is not as it must be."""
    order = Order(
        port=server.port,
        pid=server.pid,
        program=server.name,
        workload=workload.name,
        target=target,
        seed=secrets.token_hex(8),
        seconds=seconds,
        connections=connections,
    )
    done = _in_a_process_of_its_own(order)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        raise LoadError(f"{workload.title}, {server.name}: the load failed: {lines[-1] if lines else done.returncode}")
    result = Result(**json.loads(done.stdout))
    if result.errors:
        raise LoadError(
            f"{workload.title}, {server.name}: {result.errors} errors in {result.requests} requests, first: {result.first_error}"
        )
    return result


def _in_a_process_of_its_own(order: Order) -> "subprocess.CompletedProcess[str]":
    program: Sequence[str] = (sys.executable, "-m", "benchmarks.load")
    return subprocess.run(
        program,
        input=json.dumps(asdict(order)),
        capture_output=True,
        text=True,
        check=False,
        timeout=order.seconds + 2 * PATIENCE_SECONDS,
    )


def say(line: str) -> None:
    """Progress, for people."""
    print(line, file=sys.stderr, flush=True)


def _end(line: str) -> NoReturn:
    print(f"benchmarks: {line}", file=sys.stderr)
    raise SystemExit(1)


if __name__ == "__main__":
    main()
