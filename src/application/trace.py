"""Putting down that somebody looks at what readers said, so that the team can see who did."""

from dataclasses import dataclass
from datetime import timedelta

from application.ports import Clock, UnitOfWorkFactory
from domain.audit import Target, entry
from domain.user import User

READ_EVERY = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveTrace:
    """Put down, once an hour a user and project, that somebody is told something; without it nobody is."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock

    async def __call__(self, action: str, *, project: str, by: User) -> None:
        """`action` is `noun.verb`, such as `response.read`. It is committed when this returns."""
        async with self.unit_of_work() as work:
            told = entry(action, Target(type="survey", id=project), by=by, at=self.clock.now(), project=project)
            if await work.audit.add_once(told, every=READ_EVERY):
                await work.commit()
