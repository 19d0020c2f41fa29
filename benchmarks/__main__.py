"""Measure the service as it ships against a bare program that runs the same SQL, in turns, and print what share it reaches.

A machine is rarely quiet: trust the ratios, which come from neighbouring runs, and not the absolute figures.
"""

import argparse
import json
import secrets
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

import asyncpg

from benchmarks.agreement import check_agreement
from benchmarks.load import PATIENCE_SECONDS, Order, Result
from benchmarks.report import Measured, machine, table
from benchmarks.stage import Server, Stage, StageError, stage
from benchmarks.workloads import WORKLOADS, Target, Workload
from domain.errors import DomainError
from entrypoints.container import EmbeddedPostgresError, SchemaError
from entrypoints.settings import SettingsError

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
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the servers end with this
    try:
        with stage(resources=options.resources) as here:
            _say(f"PostgreSQL {here.postgres}, {options.resources} resources, {options.rounds} rounds of {options.seconds:g} s")
            measured = [_measure(here, WORKLOADS[name], rounds=options.rounds, seconds=options.seconds) for name in options.only]
            described = machine(here.postgres)
    except _EXPECTED as error:
        _end(str(error) or repr(error))
    except KeyboardInterrupt:
        _end("interrupted")
    print(table(measured))
    print(", ".join(f"{name} {value}" for name, value in described.items()))
    if options.json:
        settings = {"resources": options.resources, "rounds": options.rounds, "seconds": options.seconds}
        document = {"machine": described, "settings": settings, "workloads": [one.document() for one in measured]}
        options.json.write_text(json.dumps(document, indent=2) + "\n")
    missed = [one.workload.title for one in measured if not one.is_enough]
    if options.check and missed:
        _end(f"too slow: {', '.join(missed)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=_positive, default=5, help="how often each workload is measured on both programs (default 5)")
    parser.add_argument("--seconds", type=_positive, default=3, help="how long one run takes (default 3)")
    parser.add_argument("--resources", type=_positive, default=10_000, help="how many resources the project has (default 10000)")
    parser.add_argument("--only", nargs="+", choices=WORKLOADS, default=list(WORKLOADS), metavar="NAME", help=", ".join(WORKLOADS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the measurements to a file as well")
    parser.add_argument("--check", action="store_true", help="fail when a required ratio is missed")
    return parser.parse_args()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _measure(here: Stage, workload: Workload, *, rounds: int, seconds: float) -> Measured:
    check_agreement(here, workload)
    for server in (here.service, here.bare):
        _run(server, workload, here.target, seconds=WARM_UP_SECONDS)
    pairs: list[tuple[Result, Result]] = []
    for number in range(1, rounds + 1):
        service, bare = (_run(server, workload, here.target, seconds=seconds) for server in (here.service, here.bare))
        ratio = service.per_second / bare.per_second
        _say(f"{workload.title}, round {number}: {service.per_second:.0f} against {bare.per_second:.0f} requests/s, ratio {ratio:.2f}")
        pairs.append((service, bare))
    return Measured(workload=workload, service=tuple(pair[0] for pair in pairs), bare=tuple(pair[1] for pair in pairs))


def _run(server: Server, workload: Workload, target: Target, *, seconds: float) -> Result:
    order = Order(port=server.port, pid=server.pid, workload=workload.name, target=target, seed=secrets.token_hex(8), seconds=seconds)
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


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _end(line: str) -> NoReturn:
    print(f"benchmarks: {line}", file=sys.stderr)
    raise SystemExit(1)


if __name__ == "__main__":
    main()
