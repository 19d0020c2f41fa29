"""Letting go of what is kept no longer than needed."""

from dataclasses import dataclass
from datetime import timedelta

from application.ports import Archive, Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeOld:
    """Remove, for good, what was deleted longer ago than `age`, and responses of closed surveys that did not change since then.

    Ended sessions, used-up tokens and outcomes that had expired by then go as well. A dry run counts the same and removes nothing.
    """

    archive: Archive
    clock: Clock

    async def __call__(self, *, age: timedelta, dry_run: bool) -> dict[str, int]:
        return await self.archive.purge(before=self.clock.now() - age, dry_run=dry_run)
