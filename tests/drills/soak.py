"""A soak: `python -m tests.drills.soak` serves mixed load for 20 minutes, does one fault a minute, and watches memory and descriptors.

The slope is that of a line through the resident memory of the workers, measured every few seconds once they are warm; a worker that was
killed starts anew and would hide it, so that fault is left out.

The C library keeps what large uploads gave back, in no order, and takes it again: 20 to 29 MiB of two workers, reached after 20 to 60 of
them (of 6 MB; there are few in a minute of this load) and not exceeded by 190. That is no leak and would hide one, so here it is told to
give large buffers back at once (`MALLOC_MMAP_THRESHOLD_`); what the service itself holds on to is seen all the same, large or small.
"""

import argparse
import asyncio
import json
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from itertools import cycle
from statistics import linear_regression, median
from time import monotonic
from typing import NamedTuple

from tests.drills.faults.faults import FAULTS
from tests.drills.faults.stage import descriptors, end, memory, publish, set_stage, workers
from tests.drills.faults.store import variables
from tests.drills.faults.traffic import Traffic
from tests.drills.load import Web

SAMPLE_SECONDS = 2.0
WARM = 0.25  # of the time; what is filled then (caches, pools) is no leak
GIVEN_BACK = {"MALLOC_MMAP_THRESHOLD_": str(256 * 1024)}  # by the C library, from that many bytes on
DESCRIPTORS_MORE = 16  # in the last quarter than in the second, once all is warm: what connections of clients come and go by
SLOPE_MOST = 1.0  # MiB a minute, of all workers: what cannot be told from zero in so short a time


class Sample(NamedTuple):
    """Minutes since the start; memory in MiB and descriptors of all workers."""

    at: float
    memory: float
    descriptors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Soaked:
    """What the soak came to; memory in MiB, and `slope` in MiB a minute. `course` is the median of each quarter."""

    minutes: float
    faults: int
    statuses: dict[int, int]
    lost: list[str]
    first: float
    last: float
    slope: float
    course: list[Sample]
    exit_status: int

    @property
    def is_good(self) -> bool:
        return not self.lost and not self.exit_status and 500 not in self.statuses and self.slope <= SLOPE_MOST and not self._is_leaking

    @property
    def _is_leaking(self) -> bool:
        _, second, _, last = self.course
        return last.descriptors > second.descriptors + DESCRIPTORS_MORE


async def soak(*, minutes: float, every: float) -> Soaked:
    faults = cycle([fault for fault in FAULTS if "worker" not in fault.name])
    samples: list[Sample] = []
    async with set_stage() as stage:
        with variables(GIVEN_BACK):
            service = await stage.serve("--workers", "2")
        try:
            web = Web(service.port)
            stage.token = await asyncio.to_thread(publish, service)
            traffic = Traffic(web.ask, stage.token)
            load = asyncio.create_task(traffic.run())
            began, done = monotonic(), 0
            due = began + every
            while (now := monotonic()) < began + 60 * minutes:
                pids = workers(service)
                samples.append(Sample((now - began) / 60, memory(pids) / 2**20, descriptors(pids)))
                if now >= due:
                    fault = next(faults)
                    print(f"\r{(now - began) / 60:.1f} min: {fault.name:40}", end="", file=sys.stderr, flush=True)
                    await fault.begin(stage, service)
                    await asyncio.sleep(fault.seconds)
                    await fault.mend(stage, service)
                    due, done = due + every, done + 1
                await asyncio.sleep(SAMPLE_SECONDS)
            print(file=sys.stderr)
            traffic.end()
            await load
            lost = await traffic.lost() + await traffic.lost_files()
        finally:
            status = await asyncio.to_thread(end, service)
    warm = [sample for sample in samples if sample.at >= WARM * minutes]
    quarters = [[sample for sample in samples if number <= 4 * sample.at / minutes < number + 1] for number in range(4)]
    return Soaked(
        minutes=minutes,
        faults=done,
        statuses=dict(sorted(Counter(answer.status for answer in traffic.ledger.answers).items())),
        lost=lost,
        first=warm[0].memory,
        last=warm[-1].memory,
        slope=linear_regression([sample.at for sample in warm], [sample.memory for sample in warm]).slope,
        course=[Sample(*map(median, zip(*quarter, strict=True))) for quarter in quarters],
        exit_status=status,
    )


def main() -> int:
    """Run the soak; 1 when something was lost, was answered 500, or memory or descriptors grow."""
    parser = argparse.ArgumentParser(prog="python -m tests.drills.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--every", type=float, default=60, help="seconds from one fault to the next")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    done = asyncio.run(soak(minutes=options.minutes, every=options.every))
    if options.json:
        print(json.dumps(asdict(done)))
    else:
        print(f"minutes {done.minutes:.0f}, faults {done.faults}, exit status {done.exit_status}")
        print("answers " + ", ".join(f"{number} x {status}" for status, number in done.statuses.items()) + " (0: cut off)")
        print(f"acknowledged and lost: {len(done.lost)}")
        print(f"memory of the workers: {done.first:.1f} MiB once warm, {done.last:.1f} MiB at last, slope {done.slope:+.2f} MiB a minute")
        print("by quarters: " + ", ".join(f"{quarter.memory:.1f} MiB and {quarter.descriptors} descriptors" for quarter in done.course))
    return 0 if done.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
