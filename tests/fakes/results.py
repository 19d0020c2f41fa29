"""Published results in memory: a mark is a copy of all responses, and what differs from it has changed."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from application.ports import PublishedResults, Shared, Standing, T
from domain.errors import NotFound
from domain.results import Tally
from domain.survey import Survey
from tests.fakes.store import Access

Revisions = dict[bytes, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    mark: str
    minimum_cell: int
    documents: Mapping[str, bytes]


class FakePublishedResults(PublishedResults):
    def __init__(self, access: Access) -> None:
        self._access = access
        self._published: dict[int, Publication] = {}
        self._moments: dict[str, Revisions] = {}

    async def standing(self, project: str, by: str) -> Standing:
        tables = self._access.read
        found = tables.live_project(project)
        survey = tables.surveys.get(found.id) if found else None
        if survey is None:
            raise NotFound
        published = self._published.get(survey.project_id)
        now, then = self._revisions(survey), self._moments[published.mark] if published else {}
        changed = sum(now.get(who) != then.get(who) for who in now.keys() | then.keys())
        results = survey.definition.results
        return Standing(
            survey=survey,
            changed=min(changed, results.minimum_cell) if results.public else 0,
            mark=published.mark if published else None,
            minimum_cell=published.minimum_cell if published else None,
            document=published.documents.get(by) if published else None,
        )

    async def count(self, survey: Survey, tally: Tally) -> str:
        tally.add([each.answers for each in self._access.read.responses.values() if each.project_id == survey.project_id])
        mark = f"moment {len(self._moments)}"
        self._moments[mark] = self._revisions(survey)
        return mark

    async def publish(self, survey: Survey, documents: Mapping[str, bytes], *, mark: str, instead_of: str | None, at: datetime) -> bool:
        published = self._published.get(survey.project_id)
        if (published and published.mark) != instead_of:
            return False
        minimum = survey.definition.results.minimum_cell
        self._published[survey.project_id] = Publication(mark=mark, minimum_cell=minimum, documents=documents)
        return True

    def _revisions(self, survey: Survey) -> Revisions:
        rows = self._access.read.responses
        return {each.pseudonym: each.revision for each in rows.values() if each.project_id == survey.project_id}


class FakeShared(Shared):
    """Nothing is kept: everybody works it out anew."""

    async def get(self, project: str, name: str, make: Callable[[], Awaitable[T]]) -> T:
        return await make()

    def forget(self, project: str) -> None:
        pass
