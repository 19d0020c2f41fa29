"""A long run: `python -m tests.fuzz --requests 10000 --seed 1`. Prints what came of it; exit status 1 when anything broke."""

import argparse
import sys
import time

from tests.e2e.client import ADMIN_PASSWORD, serving
from tests.fuzz.run import ROLES, Tally, fuzz

ENOUGH_ROUNDS = 1000
EXAMPLES = 40


def main() -> int:
    """The exit status of a run as the command line asks for it."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000, help="how many to send")
    parser.add_argument("--seed", type=int, default=1, help="the same seed sends the same requests")
    asked = parser.parse_args()
    started = time.monotonic()
    total = Tally()
    with serving("--demo", ADMIN_PASSWORD=ADMIN_PASSWORD, REGISTRATION="open", RATE_LIMITS="off") as service:
        for number in range(ENOUGH_ROUNDS):
            _add(total, fuzz(service, examples=EXAMPLES, seed=asked.seed + number, at_most=asked.requests - total.sent))
            if total.sent >= asked.requests:
                break
            print(f"{total.sent} requests so far", file=sys.stderr, flush=True)
    _report(total, seconds=time.monotonic() - started, seed=asked.seed)
    return 1 if total.broken else 0


def _add(total: Tally, more: Tally) -> None:
    total.sent += more.sent
    total.by_role.update(more.by_role)
    total.broken += more.broken


def _report(total: Tally, *, seconds: float, seed: int) -> None:
    classes = sorted({status for _, status in total.by_role})
    print(f"{total.sent} requests in {seconds:.0f} s, seed {seed}")
    print(f"{'':12}" + "".join(f"{f'{status}xx':>8}" for status in classes))
    for role in ROLES:
        print(f"{role:12}" + "".join(f"{total.by_role[role, status]:8}" for status in classes))
    for broken in total.broken[:50]:
        print(broken)
    print(f"{len(total.broken)} answers that no request may get")


if __name__ == "__main__":
    sys.exit(main())
