"""Attacks on a service as it is delivered: `python -m tests.drills.abuse` runs each as a program, and tells what the attacker got.

Two workers with default limits, a real Valkey and a real PostgreSQL. Nobody who attacks knows a reader's token or an admin's password.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from functools import partial

from tests.drills.abuse.crowding import searches, slow_downloads, wrong_passwords
from tests.drills.abuse.reading import lock_out, read_by_fingerprint, watch_the_limit
from tests.drills.abuse.taking import erased_in_an_export, large_edits, stolen_key, unfolding_table
from tests.drills.abuse.town import Loot, Town, town, watched
from tests.e2e.client import ADMIN_PASSWORD

Attack = Callable[[Town], Awaitable[Loot]]


def _attacks(*, seconds: float) -> list[Attack]:
    return [
        read_by_fingerprint,
        watch_the_limit,
        lock_out,
        erased_in_an_export,
        stolen_key,
        partial(wrong_passwords, password=ADMIN_PASSWORD),
        slow_downloads,
        partial(searches, seconds=seconds),
        large_edits,
        unfolding_table,
    ]


async def drill(*, readers: int, resources: int, seconds: float) -> list[Loot]:
    found: list[Loot] = []
    async with town(readers=readers, resources=resources) as place:
        for attack in _attacks(seconds=seconds):
            with watched(place.service) as peak:
                loot = await attack(place)
            found.append(loot)
            print(_line(loot, peak.bytes), file=sys.stderr, flush=True)
    return found


def _line(loot: Loot, peak: int) -> str:
    got = "nothing" if loot.is_nothing else f"READ {loot.read}, LOCKED OUT {loot.locked_out}, REFUSED {loot.refused}, OPENED {loot.opened}"
    return f"{loot.attack:46} {loot.tries:5} tries: {got}; {peak / 2**20:.0f} MiB{'; ' if loot.note else ''}{loot.note}"


def main() -> int:
    """Run every attack; 1 when one of them got something."""
    parser = argparse.ArgumentParser(prog="python -m tests.drills.abuse", description=__doc__)
    parser.add_argument("--readers", type=int, default=10, help="of each kind")
    parser.add_argument("--resources", type=int, default=200_000)
    parser.add_argument("--seconds", type=float, default=20, help="of searches")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = asyncio.run(drill(readers=options.readers, resources=options.resources, seconds=options.seconds))
    if options.json:
        print(json.dumps([asdict(loot) for loot in found]))
    else:
        print(f"values read                          {sum(loot.read for loot in found)}")
        print(f"readers locked out                   {sum(loot.locked_out for loot in found)}")
        print(f"requests of others refused           {sum(loot.refused for loot in found)}")
        print(f"opened by a stolen key               {sum(loot.opened for loot in found)}")
        print(f"kept beyond the bound                {sum(loot.kept for loot in found) / 1e6:.1f} MB")
        print(f"highest memory, importing a bomb     {max(loot.memory for loot in found) / 2**20:.0f} MiB, all processes")
    return 0 if all(loot.is_nothing for loot in found) else 1


if __name__ == "__main__":
    sys.exit(main())
