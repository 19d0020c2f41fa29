"""`python -m tests.drills.faults`: every fault, again and again under mixed load; then everything acknowledged is looked for.

For each fault it prints how often it was done, the answers by status, the longest answer, and the longest time from its end until every
kind of request was answered well again. Nothing acknowledged may be lost, nothing may be answered 500, and nothing otherwise than that
fault allows. Faults of a bucket are done to the same service as all others, those of a disk to one that keeps files on one.
"""

import argparse
import asyncio
import json
import sys
from dataclasses import asdict, dataclass
from time import perf_counter

from tests.drills.faults.faults import DISK_FAULTS, FAULTS, Fault
from tests.drills.faults.rolling import roll
from tests.drills.faults.rounds import Rounds, Row, rounds
from tests.drills.faults.stage import Stage, end, publish, set_stage
from tests.e2e.client import data_folder

ON_DISK = 2_000_000  # where the numbers of that traffic begin


@dataclass(frozen=True, slots=True, kw_only=True)
class Drilled:
    """What the drill came to."""

    parts: dict[str, Rounds]
    left_out: list[str]
    rolled: int
    rolling_statuses: dict[int, int]
    seconds: float

    @property
    def rows(self) -> list[Row]:
        return [row for part in self.parts.values() for row in part.rows]

    @property
    def lost(self) -> list[str]:
        return [line for part in self.parts.values() for line in part.lost]

    @property
    def is_good(self) -> bool:
        return all(part.is_good for part in self.parts.values()) and set(self.rolling_statuses) <= {200, 201}


async def drill(*, times: int, only: str, seed: int) -> Drilled:
    """Do each fault so often whose name holds `only`."""
    parts: dict[str, Rounds] = {}
    began = perf_counter()
    async with set_stage() as stage:
        of_disk = [fault for fault in DISK_FAULTS if only in fault.name]
        possible = [fault for fault in of_disk if fault.needs(stage.disk)]
        chosen = [fault for fault in FAULTS if only in fault.name]
        service = await stage.serve("--workers", "2")
        stage.token = await asyncio.to_thread(publish, service)
        if chosen:
            parts["bucket"] = await rounds(stage, service, chosen, times=times, seed=seed, first=1, on_disk=False)
        else:
            await asyncio.to_thread(end, service)
        if possible:
            parts["disk"] = await _on_disk(stage, possible, times=times, seed=seed)
        rolled = await roll(stage, times=times) if only in "rolling restarts" else {}
    left_out = [fault.name for fault in of_disk if fault not in possible]
    return Drilled(parts=parts, left_out=left_out, rolled=2 * times, rolling_statuses=rolled, seconds=perf_counter() - began)


async def _on_disk(stage: Stage, faults: list[Fault], *, times: int, seed: int) -> Rounds:
    with data_folder() as folder:
        service = await stage.serve_in(folder, "--workers", "2", on_disk=True)
        return await rounds(stage, service, faults, times=times, seed=seed, first=ON_DISK, on_disk=True)


def _table(done: Drilled) -> str:
    head = ("fault", "times", "answers by status (0: cut off)", "outcome unknown", "longest answer", "longest recovery")
    lines = [head]
    for row in done.rows:
        answers = ", ".join(f"{number} x {status}" for status, number in sorted(row.statuses.items()))
        lines.append((row.fault, f"{row.times}", answers, f"{row.unknown}", f"{row.longest_answer:.2f} s", f"{row.longest_recovery:.2f} s"))
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    rolling = ", ".join(f"{number} x {status}" for status, number in done.rolling_statuses.items())
    wrong = [f"  {row.fault}: {number} x {what}" for row in done.rows for what, number in row.unexpected.items()]
    return "\n".join(
        [
            *table,
            *(f"{name}: left out, since it takes a file system of its own, which only root can mount" for name in done.left_out),
            f"500s {sum(row.statuses[500] for row in done.rows)}, answers that the fault does not allow {len(wrong)}",
            *wrong,
            *(line for name, part in done.parts.items() for line in _summary(name, part)),
            f"rolling restarts of two instances {done.rolled}, answers {rolling}",
            f"took {done.seconds:.0f} s",
        ]
    )


def _summary(name: str, part: Rounds) -> list[str]:
    kept = part.kept
    return [
        f"files in a {name}: acknowledged writes {part.acknowledged}, of them uploads {part.files}; lost {len(part.lost)}",
        *(f"  {line}" for line in part.lost[:10]),
        f"  in the {name}: contents {kept.contents}, torn {kept.torn}; left to the sweep {kept.strangers}, unfinished {kept.unfinished}",
        f"  descriptors of the workers (connections aside): {part.descriptors[0]} before, {part.descriptors[1]} after",
        f"  connections to the database at rest: {part.connections[0]} before, {part.connections[1]} after",
        f"  exit status {part.exit_status}, tracebacks {len(part.tracebacks)}",
        *(f"  {line[:6000]}" for line in part.tracebacks[:3]),
    ]


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
