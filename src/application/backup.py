"""What bringing a back-up back leaves in the audit trail."""

from dataclasses import dataclass

from application.ports import Clock, Settled, UnitOfWorkFactory
from domain.audit import Difference, Target, entry


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteRestore:
    """Put down that everything was brought back to a moment, and how much of that was left out."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock

    async def __call__(self, *, made_at: str, settled: Settled) -> None:
        counts = {"responses": settled.responses_erased, "files": settled.files_deleted, "sessions": settled.sessions_ended}
        removed = tuple(Difference(field=kind, before=number, after=0) for kind, number in counts.items() if number)
        async with self.unit_of_work() as work:
            target = Target(type="archive", id=made_at)
            await work.audit.add(entry("archive.restore", target, by=None, at=self.clock.now(), changes=removed))
            await work.commit()
