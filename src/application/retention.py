"""Letting go of what is kept no longer than needed."""

from dataclasses import dataclass
from datetime import timedelta

from application.ports import Clock, UnitOfWorkFactory
from domain.audit import Difference, Target, entry
from domain.text import rfc3339


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeOld:
    """Remove, for good, what was deleted longer ago than `age`, and responses of closed surveys that did not change since then.

    Ended sessions, used-up tokens and outcomes that had expired by then go as well. A dry run counts the same and removes nothing.
    """

    unit_of_work: UnitOfWorkFactory
    clock: Clock

    async def __call__(self, *, age: timedelta, dry_run: bool) -> dict[str, int]:
        now = self.clock.now()
        before = now - age
        async with self.unit_of_work() as work:
            counts = await work.archive.purge(before=before)
            removed = tuple(Difference(field=kind, before=number, after=0) for kind, number in counts.items() if number)
            if removed:
                target = Target(type="archive", id=rfc3339(before))
                await work.audit.add(entry("archive.purge", target, by=None, at=now, changes=removed))
            if not dry_run:
                await work.commit()
        return counts
