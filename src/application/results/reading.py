"""Published results as readers get them: from what is stored, in the words of the newest version."""

import json
from dataclasses import dataclass
from functools import partial

from application.ports import PublishedResults, Shared
from application.results.documents import encoded
from domain.errors import Fault, Invalid, NotFound
from domain.results import OVERALL, may_show, nothing_yet, shown


@dataclass(frozen=True, slots=True, kw_only=True)
class GetResults:
    """Aggregates of a survey's answers, where the team publishes them; `by` cross-tabulates them by a field that makes groups.

    Under `noise`, results come in releases: the first with `results.start` responses, the next whenever there are a quarter more than
    at the last. Every count carries noise (`accuracy` is the half-width of a 95 % interval, without groups and within), whole numbers
    that add up are made of it, and means and quartiles from those. Under `suppression`, a count below `minimum_cell` is null, and so
    is another that would give it away. Before anything is published, `n` is null.
    """

    results: PublishedResults
    shared: Shared

    async def __call__(self, *, project: str, by: str | None = None) -> bytes:
        """The results as JSON. Raises `NotFound`, also where they are not public, and `Invalid` when `by` does not fit."""
        name = "results" if by is None else f"results by {by}"
        return await self.shared.get(project, name, partial(self._present, project, by))

    async def _present(self, project: str, by: str | None) -> bytes:
        found = await self.results.document(project, by or OVERALL)
        survey, settings = found.survey, found.survey.definition.results
        if not settings.public:
            raise NotFound
        if by is not None and by not in settings.by:
            raise Invalid(Fault(pointer="/by", code="no-groups", detail="Choose a field that the results of this survey make groups by."))
        if found.document is None or found.published_at is None or not may_show(survey, minimum_cell=found.minimum_cell or 0):
            return encoded(nothing_yet(survey, by or OVERALL, responses=found.responses))
        return encoded(shown(json.loads(found.document), survey, published_at=found.published_at))
