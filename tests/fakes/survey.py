"""Surveys in memory."""

import json
from collections import Counter
from dataclasses import replace
from typing import Any

from application.ports import Surveys, Version
from domain.errors import NotFound
from domain.survey import Definition, FieldChange, Survey
from tests.fakes.store import Access, PublishedVersion


class FakeSurveys(Surveys):
    def __init__(self, access: Access) -> None:
        self._access = access
        self._seen: dict[str, Survey] = {}

    async def get(self, project: str) -> Survey:
        _, survey = self._now(project)
        if survey is None:
            self._seen.pop(project, None)
            raise NotFound
        self._seen[project] = survey
        return survey

    def remembered(self, project: str) -> Survey | None:
        return self._seen.get(project)

    async def lock(self, project: str) -> tuple[int, Survey | None]:
        project_id, survey = self._now(project)
        if project_id is None:
            raise NotFound
        return project_id, survey

    async def save(self, survey: Survey, changes: tuple[FieldChange, ...]) -> None:
        async with self._access.write() as tables:
            tables.surveys[survey.project_id] = survey
            tables.survey_versions[survey.project_id, survey.version] = PublishedVersion(survey=survey, changes=changes)

    async def switch(self, survey: Survey) -> None:
        async with self._access.write() as tables:
            found = tables.surveys[survey.project_id]
            tables.surveys[survey.project_id] = replace(found, is_open=survey.is_open)

    async def definitions(self, project_id: int) -> list[Definition]:
        return [each.survey.definition for each in self._access.read.versions_of(project_id)]

    async def answered(self, project_id: int, field: str) -> list[tuple[Any, int]]:
        mine = [each for each in self._access.read.responses.values() if each.project_id == project_id]
        given = [each.answers[field] for each in mine if field in each.answers]
        given += [each.withheld[field]["value"] for each in mine if each.withheld and field in each.withheld and field not in each.answers]
        return [(json.loads(answer), number) for answer, number in Counter(map(json.dumps, given)).items()]

    async def versions(self, project: str, *, before: int | None, limit: int) -> list[Version]:
        survey, tables = await self.get(project), self._access.read
        return [
            Version(
                version=each.survey.version,
                published_at=each.survey.published_at,
                published_by=tables.users[each.survey.published_by].username,
                changes=each.changes,
            )
            for each in reversed(tables.versions_of(survey.project_id))
            if before is None or each.survey.version < before
        ][:limit]

    def _now(self, slug: str) -> tuple[int | None, Survey | None]:
        tables = self._access.read
        project = tables.live_project(slug)
        if project is None:
            return None, None
        survey = tables.surveys.get(project.id)
        return project.id, survey and replace(survey, project=slug)
