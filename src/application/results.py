"""Published results of surveys."""

import asyncio
import json
from dataclasses import dataclass
from functools import partial
from typing import Any

from application.ports import Clock, PublishedResults, Shared, Standing
from domain.errors import Fault, Invalid, NotFound
from domain.results import OVERALL, Tally, crossed_by, may_advance, may_show, nothing_yet, publish
from domain.survey import Survey

_QUICKLY_COUNTED = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvanceResults:
    """Publish results anew, of everybody who has answered by now.

    Whoever publishes first of those who try at the same time is heard, and the others' work is dropped unseen: between two
    publications there are always as many changed respondents as the minimum cell asks for.
    """

    results: PublishedResults
    clock: Clock

    async def __call__(self, standing: Standing) -> bool:
        """Whether something was published, by this call or by another that was first."""
        survey, tally = standing.survey, Tally(standing.survey.definition)
        mark = await self.results.count(survey, tally)
        if standing.mark is None and not may_advance(survey, changed=tally.n) and tally.seen <= _QUICKLY_COUNTED:
            # To publish that there are too few would put off the first results that tell anything. It is done only where many whose
            # answers no longer count would be counted again for every reader.
            return False
        documents = await asyncio.to_thread(_documents, survey, tally)
        await self.results.publish(survey, documents, mark=mark, instead_of=standing.mark, at=self.clock.now())
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class GetResults:
    """Aggregates of a survey's answers, where the team publishes them; `by` cross-tabulates them by a choice question.

    A count below `minimum_cell` is null, and so is another that would give it away. Below that many respondents there is nothing but
    a null `n`. Results advance in steps: only when at least `minimum_cell` respondents were added, changed or erased since they last
    did, and then within 5 s. A mean is given to two significant digits, and quartiles from four times `minimum_cell` on, where no
    count of the question is null.
    """

    results: PublishedResults
    advance: AdvanceResults
    shared: Shared

    async def __call__(self, *, project: str, by: str | None = None) -> bytes:
        """The results as JSON. Raises `NotFound`, also where they are not public, and `Invalid` when `by` does not fit."""
        name = "results" if by is None else f"results by {by}"
        return await self.shared.get(project, name, partial(self._present, project, by))

    async def _present(self, project: str, by: str | None) -> bytes:
        standing = await self._standing(project, by)
        if may_advance(standing.survey, changed=standing.changed) and await self.shared.get(
            project, "advance", partial(self.advance, standing)
        ):
            standing = await self._standing(project, by)
        if standing.document is None or not may_show(standing.survey, minimum_cell=standing.minimum_cell or 0):
            return _json(nothing_yet(standing.survey, by or OVERALL))
        return standing.document

    async def _standing(self, project: str, by: str | None) -> Standing:
        standing = await self.results.standing(project, by or OVERALL)
        if not standing.survey.definition.results.public:
            raise NotFound
        if by is not None and by not in crossed_by(standing.survey.definition):
            raise Invalid(Fault(pointer="/by", code="not-a-choice", detail="Choose a choice question of the survey."))
        return standing


def _documents(survey: Survey, tally: Tally) -> dict[str, bytes]:
    return {by: _json(document) for by, document in publish(survey, tally).items()}


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
