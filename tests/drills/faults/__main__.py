"""`python -m tests.drills.faults`: every fault, again and again under mixed load; then everything acknowledged is looked for.

For each fault it prints how often it was done, the answers by status, the longest answer, and the longest time from its end until every
kind of request was answered well again. Nothing acknowledged may be lost, and nothing may be answered 500.
"""

import argparse
import asyncio
import json
import sys
from collections import Counter
from dataclasses import asdict, dataclass, field
from time import perf_counter

from tests.drills.faults.faults import FAULTS, Fault
from tests.drills.faults.rolling import roll
from tests.drills.faults.stage import Stage, descriptors, end, publish, set_stage, workers
from tests.drills.faults.traffic import Answer, Traffic
from tests.drills.load import Web
from tests.e2e.client import Service

KINDS = {"save", "read", "make", "change"}
CALM_SECONDS = 0.4
PATIENCE_SECONDS = 15.0
ANSWER_SECONDS = 3.0
RECOVERY_SECONDS = 5.0


@dataclass(slots=True, kw_only=True)
class Row:
    """What one fault came to, over all its times."""

    fault: str
    times: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    unknown: int = 0
    longest_answer: float = 0.0
    longest_recovery: float = 0.0

    @property
    def is_good(self) -> bool:
        return 500 not in self.statuses and self.longest_answer <= ANSWER_SECONDS and self.longest_recovery <= RECOVERY_SECONDS

    def add(self, answers: list[Answer], recovery: float) -> None:
        self.times += 1
        self.statuses.update(answer.status for answer in answers)
        self.unknown += sum(answer.code == "outcome-unknown" for answer in answers)
        self.longest_answer = max([self.longest_answer, *(answer.ended - answer.began for answer in answers)])
        self.longest_recovery = max(self.longest_recovery, recovery)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drilled:
    """What the drill came to."""

    rows: list[Row]
    acknowledged: int
    lost: list[str]
    descriptors: tuple[int, int]
    connections: tuple[int, int]
    tracebacks: list[str]
    exit_status: int
    rolled: int
    rolling_statuses: dict[int, int]

    @property
    def is_good(self) -> bool:
        leaks = self.descriptors[1] > self.descriptors[0] + 4
        rolling = set(self.rolling_statuses) <= {200, 201}
        return (
            all(row.is_good for row in self.rows)
            and not self.lost
            and not leaks
            and not self.tracebacks
            and not self.exit_status
            and rolling
        )


async def _recovered(traffic: Traffic, since: float) -> float:
    """Seconds until each kind of request, asked from `since` on, was answered well; the patience where that never came."""
    while perf_counter() - since < PATIENCE_SECONDS:
        answers = [answer for answer in traffic.ledger.answers if answer.began >= since]
        well = {kind: min((a.ended for a in answers if a.kind == kind and 200 <= a.status < 300), default=None) for kind in KINDS}
        if all(well.values()):
            return max(ended for ended in well.values() if ended is not None) - since
        await asyncio.sleep(0.05)
    return PATIENCE_SECONDS


async def _do(fault: Fault, stage: Stage, service: Service, traffic: Traffic, row: Row) -> None:
    first = len(traffic.ledger.answers)
    await fault.begin(stage, service)
    await asyncio.sleep(fault.seconds)
    await fault.mend(stage, service)
    recovery = await _recovered(traffic, perf_counter())
    row.add(traffic.ledger.answers[first:], recovery)
    await asyncio.sleep(CALM_SECONDS)


async def drill(*, times: int, only: str, seed: int) -> Drilled:
    """Do each fault so often whose name holds `only`."""
    async with set_stage() as stage:
        service = await stage.serve("--workers", "2")
        try:
            web = Web(service.port)
            token = await asyncio.to_thread(publish, service)
            before = await _at_rest(stage, service, web)
            traffic = Traffic(web.ask, token, seed=seed)
            load = asyncio.create_task(traffic.run())
            rows = {fault.name: Row(fault=fault.name) for fault in FAULTS if only in fault.name}
            await asyncio.sleep(1)
            for number in range(times):
                for fault in FAULTS:
                    if fault.name in rows:
                        print(f"\r{number + 1}: {fault.name:60}", end="", file=sys.stderr, flush=True)
                        await _do(fault, stage, service, traffic, rows[fault.name])
            print(file=sys.stderr)
            traffic.end()
            await load
            lost = await traffic.lost()
            after = await _at_rest(stage, service, web)
        finally:
            status = await asyncio.to_thread(end, service)
        rolled = await roll(stage, token, times=times) if only in "rolling restarts" else {}
        return Drilled(
            rows=list(rows.values()),
            acknowledged=sum(200 <= answer.status < 300 and answer.kind != "read" for answer in traffic.ledger.answers),
            lost=lost,
            descriptors=(before[0], after[0]),
            connections=(before[1], after[1]),
            tracebacks=[line for line in service.err.splitlines() if "Traceback" in line or "unexpected error" in line],
            exit_status=status,
            rolled=2 * times,
            rolling_statuses=rolled,
        )


async def _at_rest(stage: Stage, service: Service, web: Web) -> tuple[int, int]:
    """The descriptors of all workers but those of connections to the database, and these."""
    web.close()
    await asyncio.sleep(2)
    connections = stage.proxy.connections
    return descriptors(workers(service)) - connections, connections


def _table(done: Drilled) -> str:
    head = ("fault", "times", "answers by status (0: cut off)", "outcome unknown", "longest answer", "longest recovery")
    lines = [head]
    for row in done.rows:
        answers = ", ".join(f"{number} x {status}" for status, number in sorted(row.statuses.items()))
        lines.append((row.fault, f"{row.times}", answers, f"{row.unknown}", f"{row.longest_answer:.2f} s", f"{row.longest_recovery:.2f} s"))
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    rolling = ", ".join(f"{number} x {status}" for status, number in done.rolling_statuses.items())
    return "\n".join(
        [
            *table,
            f"acknowledged writes {done.acknowledged}, lost {len(done.lost)}",
            *(f"  {line}" for line in done.lost[:10]),
            f"descriptors of the workers (connections to the database aside): {done.descriptors[0]} before, {done.descriptors[1]} after",
            f"connections to the database at rest: {done.connections[0]} before, {done.connections[1]} after",
            f"500s {sum(row.statuses[500] for row in done.rows)}, exit status {done.exit_status}, tracebacks {len(done.tracebacks)}",
            *(f"  {line[:6000]}" for line in done.tracebacks[:3]),
            f"rolling restarts of two instances {done.rolled}, answers {rolling}",
        ]
    )


def main() -> int:
    """Run the drill; 1 when something was lost, answered 500, answered or recovered too late, or leaked."""
    parser = argparse.ArgumentParser(prog="python -m tests.drills.faults", description=__doc__)
    parser.add_argument("--times", type=int, default=5, help="for each fault")
    parser.add_argument("--only", default="", help="only faults whose name holds this")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    done = asyncio.run(drill(times=options.times, only=options.only, seed=options.seed))
    print(json.dumps(asdict(done)) if options.json else _table(done))
    return 0 if done.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
