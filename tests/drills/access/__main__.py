"""`python -m tests.drills.access --rounds 1000`: the races, then the time of a failed sign-in; 1 when anything got through or is told."""

import argparse
import asyncio
import sys
import time

from tests.drills.access.quick import QuickService, service_for_races
from tests.drills.access.races import Race, run
from tests.drills.access.sign_in import Told, measure
from tests.e2e.client import Service

MIDDLE, TOLERANCE = 0.5, 0.05


def report_races(races: list[Race], *, hashing: str, seconds: float) -> bool:
    """Print the races; whether nothing got through."""
    print(f"Races, over the socket, passwords hashed {hashing}: {seconds:.0f} s")
    print(f"{'race':32}{'rounds':>8}{'accepted before':>17}{'asked after':>13}{'stale':>8}{'survivors':>11}")
    for race in races:
        print(f"{race.name:32}{race.rounds:8}{race.meanwhile:17}{race.after:13}{race.stale:8}{race.survivors:11}")
    return not any(race.stale or race.survivors for race in races)


def report_time(told: Told) -> bool:
    """Print what time and bytes tell; whether that is nothing."""
    print(f"Failed sign-ins, one at a time, {told.names} known and {told.names} unknown names, passwords hashed as shipped:")
    print(f"  median {told.known_ms:.1f} ms known, {told.unknown_ms:.1f} ms unknown; distinct bodies {told.bodies}")
    is_even = abs(told.area - MIDDLE) <= TOLERANCE
    print(f"  area under the ROC curve of time: {told.area:.3f}, {'within' if is_even else 'outside'} {MIDDLE} ± {TOLERANCE}")
    return is_even and told.bodies == 1


def main() -> int:
    """The exit status of a drill as the command line asks for it."""
    parser = argparse.ArgumentParser(prog="python -m tests.drills.access", description=__doc__)
    parser.add_argument("--rounds", type=int, default=1000, help="of each race; 0 leaves the races out")
    parser.add_argument("--names", type=int, default=500, help="known, and as many unknown; 0 leaves the time out")
    parser.add_argument("--hashing", choices=["cheap", "shipped"], default="cheap", help="in the races; shipped takes many minutes")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    good = True
    if asked.rounds:
        began = time.monotonic()
        with service_for_races(QuickService if asked.hashing == "cheap" else Service) as service:
            races = asyncio.run(run(service, rounds=asked.rounds, seed=asked.seed))
        how = "cheaply for this drill" if asked.hashing == "cheap" else "as shipped"
        good = report_races(races, hashing=how, seconds=time.monotonic() - began)
    if asked.names:
        with service_for_races(Service) as service:
            good = report_time(measure(service, names=asked.names, seed=asked.seed)) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
