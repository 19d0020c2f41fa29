"""The team's own view of what readers answered."""

import asyncio
from dataclasses import dataclass

from application.ports import Clock, ResponseCounts, Surveys
from application.results.documents import encoded
from application.trace import LeaveTrace
from domain.access import Action, require
from domain.results.exact import exact, exact_by_faults
from domain.text import refuse
from domain.user import User


@dataclass(frozen=True, slots=True, kw_only=True)
class GetExactResults:
    """All counts of a survey as they are now, exact and with nothing hidden; `by` cross-tabulates them by any choice question.

    Nothing is kept: each asking counts every response anew, in one moment, which takes seconds where there are a million. One is
    counted at a time. Tests count nowhere, behind the consent gate only who consents does, and an answer that the newest question does
    not take is left out. Means and quartiles are those of the answers themselves. That somebody asked is in the audit trail
    (`results.read`), once an hour a person and project. Never show these numbers to others: published results are protected.
    """

    surveys: Surveys
    counts: ResponseCounts
    leave_trace: LeaveTrace
    clock: Clock

    async def __call__(self, *, project: str, by_field: str | None = None, by: User) -> bytes:
        """The document as JSON. Raises `NotAllowed`, `NotFound`, `Invalid`, and `Unavailable` where it takes too long."""
        require(by, Action.RESULTS_READ)
        survey = await self.surveys.get(project)
        refuse(iter(exact_by_faults(survey.definition, by_field)))
        at = self.clock.now()
        tables = await self.counts.tables(survey, by=() if by_field is None else (by_field,), spreads=True)
        await self.leave_trace("results.read", project=project, by=by)
        return await asyncio.to_thread(lambda: encoded(exact(survey, tables, by=by_field, at=at)))
