"""Projects in memory."""

from dataclasses import replace

from application.ports import Counts, Projects
from domain.errors import NotFound
from domain.project import Project, SlugTaken
from tests.fakes.store import Access


class FakeProjects(Projects):
    def __init__(self, access: Access) -> None:
        self._access = access

    async def add(self, project: Project) -> Project:
        async with self._access.write() as tables:
            if tables.live_project(project.slug):
                raise SlugTaken
            added = replace(project, id=self._access.new_id())
            tables.projects[added.id] = added
        return added

    async def get(self, slug: str) -> Project:
        found = self._access.read.live_project(slug)
        if found is None:
            raise NotFound
        return found

    async def lock(self, slug: str) -> Project:
        return await self.get(slug)

    async def save(self, project: Project) -> None:
        async with self._access.write() as tables:
            tables.projects[project.id] = project

    async def was_used(self, slug: str) -> bool:
        return any(project.slug == slug for project in self._access.read.projects.values())

    async def page(self, *, after: str, limit: int) -> list[Project]:
        live = [project for project in self._access.read.projects.values() if project.is_active and project.slug > after]
        return sorted(live, key=lambda project: project.slug)[:limit]

    async def overview(self, slug: str) -> tuple[Project, Counts]:
        project = await self.get(slug)
        tables = self._access.read
        survey = tables.surveys.get(project.id)
        resources = sum(owner == project.id and resource.is_active for owner, resource in tables.resources.values())
        files = sum(owner == project.id for owner, _ in tables.files.values())
        return project, Counts(resources=resources, files=files, survey_open=survey is not None and survey.is_open)
