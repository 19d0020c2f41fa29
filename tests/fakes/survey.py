"""Surveys in memory."""

from dataclasses import replace

from application.ports import Surveys
from domain.errors import NotFound
from domain.survey import FieldChange, Survey
from tests.fakes.store import Access


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
            tables.survey_versions[survey.project_id, survey.version] = changes

    def _now(self, slug: str) -> tuple[int | None, Survey | None]:
        tables = self._access.read
        project = tables.live_project(slug)
        if project is None:
            return None, None
        survey = tables.surveys.get(project.id)
        return project.id, survey and replace(survey, project=slug)
