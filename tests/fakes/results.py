"""Published results in memory: a mark is a copy of all responses, and what differs from it has changed."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from application.ports import (
    PublicSurvey,
    PublishedDocument,
    PublishedResults,
    ResultsLedger,
    Shared,
    Standing,
    T,
)
from domain.errors import NotFound
from domain.results import OVERALL, NotedSpending, Spending, Spent, Tally
from domain.results.published import step_of
from domain.survey import Protection, Survey
from tests.fakes.store import Access

Revisions = dict[bytes, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    mark: str | None
    minimum_cell: int
    documents: Mapping[str, bytes]
    at: datetime


class FakePublishedResults(PublishedResults):
    """`published` holds what was published last, by project."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self.published: dict[int, Publication] = {}
        self._moments: dict[str, Revisions] = {}

    async def document(self, project: str, by: str) -> PublishedDocument:
        survey = self._survey(project)
        published, settings = self.published.get(survey.project_id), survey.definition.results
        waits = published is None and settings.public and settings.protection is Protection.NOISE
        return PublishedDocument(
            survey=survey,
            document=published.documents.get(by) if published else None,
            published_at=published.at if published else None,
            minimum_cell=published.minimum_cell if published else None,
            responses=made(self._access, survey.project_id) if waits else None,
        )

    async def standing(self, project: str) -> Standing:
        survey = self._survey(project)
        mark = self.published[survey.project_id].mark if survey.project_id in self.published else None
        now, then = self._revisions(survey), {} if mark is None else self._moments[mark]
        changed = sum(now[who] != then.get(who) for who in now)
        n = None if mark is None else json.loads(self.published[survey.project_id].documents[OVERALL])["n"]
        counted_to = step_of(survey, n)
        return Standing(survey=survey, changed=min(changed, counted_to) if survey.definition.results.public else 0, mark=mark, n=n)

    async def count(self, survey: Survey, tally: Tally) -> str:
        tally.add(counted(self._access, survey.project_id))
        mark = f"moment {len(self._moments)}"
        self._moments[mark] = self._revisions(survey)
        return mark

    async def publish(self, survey: Survey, documents: Mapping[str, bytes], *, mark: str, instead_of: str | None, at: datetime) -> bool:
        published = self.published.get(survey.project_id)
        if (published and published.mark) != instead_of:
            return False
        minimum = survey.definition.results.minimum_cell
        self.published[survey.project_id] = Publication(mark=mark, minimum_cell=minimum, documents=documents, at=at)
        return True

    def _survey(self, project: str) -> Survey:
        tables = self._access.read
        found = tables.live_project(project)
        survey = tables.surveys.get(found.id) if found else None
        if survey is None:
            raise NotFound
        return survey

    def _revisions(self, survey: Survey) -> Revisions:
        rows = self._access.read.responses
        return {each.pseudonym: each.revision for each in rows.values() if each.project_id == survey.project_id and not each.is_test}


class FakeResultsLedger(ResultsLedger):
    def __init__(self, access: Access, results: FakePublishedResults) -> None:
        self._access = access
        self._results = results
        self._is_taken = False

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[bool]:
        is_ours, self._is_taken = not self._is_taken, True
        try:
            yield is_ours
        finally:
            self._is_taken = self._is_taken and not is_ours

    async def public_surveys(self) -> list[PublicSurvey]:
        tables = self._access.read
        return [
            PublicSurvey(
                project=project.slug,
                project_id=id,
                project_made_at=project.created_at,
                is_open=survey.is_open,
                results=survey.definition.results,
                spent=self._spent(id),
            )
            for id, project in sorted(tables.projects.items())
            if project.is_active and (survey := tables.surveys.get(id)) is not None and survey.definition.results.public
        ]

    async def made(self, project_id: int, *, at_least: int) -> int | None:
        number = made(self._access, project_id)
        return number if number >= at_least else None

    async def release(self, survey: Survey, spending: Spending, documents: Mapping[str, bytes], *, at: datetime) -> bool:
        async with self._access.write() as tables:
            key = survey.project_id, spending.number
            if key in tables.spendings or tables.surveys[survey.project_id].version != survey.version:
                return False
            tables.spendings[key] = spending
        minimum = survey.definition.results.minimum_cell
        self._results.published[survey.project_id] = Publication(mark=None, minimum_cell=minimum, documents=documents, at=at)
        return True

    async def add_noted(self, noted: Iterable[NotedSpending]) -> int:
        added = 0
        async with self._access.write() as tables:
            for each in noted:
                project, key = tables.projects.get(each.project_id), (each.project_id, each.spending.number)
                if project is not None and project.created_at == each.project_made_at and key not in tables.spendings:
                    tables.spendings[key] = each.spending
                    added += 1
        return added

    def _spent(self, project_id: int) -> Spent:
        spent = Spent()
        for _, spending in sorted((key, each) for key, each in self._access.read.spendings.items() if key[0] == project_id):
            spent = spent.after(spending)
        return spent


class FakeShared(Shared):
    """Nothing is kept: everybody works it out anew."""

    async def get(self, project: str, name: str, make: Callable[[], Awaitable[T]]) -> T:
        return await make()

    def forget(self, project: str) -> None:
        pass


def counted(access: Access, project_id: int) -> list[dict[str, Any]]:
    """The answers of every response that is no test."""
    return [each.answers for each in access.read.responses.values() if each.project_id == project_id and not each.is_test]


def made(access: Access, project_id: int) -> int:
    """How many responses of a project were ever made, tests left out."""
    tables = access.read
    return tables.deleted_responses[project_id] + len(counted(access, project_id))
