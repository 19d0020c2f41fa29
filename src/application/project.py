"""Projects: create, list, show, change, put away."""

from dataclasses import dataclass
from typing import Any

from application.ports import Clock, Counts, Projects, Shared, UnitOfWork, UnitOfWorkFactory
from domain.access import Action, require
from domain.project import Project, new_project
from domain.user import User


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateProject:
    """Make a project. Its slug is its address: free of every other project's and of the service's own."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock

    async def __call__(self, *, slug: str, title: str, description: str | None = None, by: User) -> Project:
        async with self.unit_of_work() as work:
            made = await self.within(work, slug=slug, title=title, description=description, by=by)
            await work.commit()
        return made

    async def within(self, work: UnitOfWork, *, slug: str, title: str, description: str | None = None, by: User) -> Project:
        """The same within somebody else's unit of work."""
        require(by, Action.PROJECT_CREATE)
        return await work.projects.add(new_project(slug=slug, title=title, description=description, at=self.clock.now()))


@dataclass(frozen=True, slots=True, kw_only=True)
class ListProjects:
    """Active projects, by slug."""

    projects: Projects

    async def __call__(self, *, after: str, limit: int) -> list[Project]:
        return await self.projects.page(after=after, limit=limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class GetProject:
    """One project, how much is in it, and whether its survey takes answers."""

    projects: Projects

    async def __call__(self, *, project: str) -> tuple[Project, Counts]:
        return await self.projects.overview(project)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateProject:
    """Change a project's title or description: only the fields sent change."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock

    async def __call__(self, *, project: str, changes: dict[str, Any], expected: frozenset[int] | None, by: User) -> Project:
        require(by, Action.PROJECT_UPDATE)
        async with self.unit_of_work() as work:
            found = await work.projects.lock(project)
            revised = found.revise(changes, expected=expected, at=self.clock.now())
            if revised is not found:
                await work.projects.save(revised)
            await work.commit()
        return revised


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteProject:
    """Put a project away: nothing of it is visible from then on, nothing of it is lost, and its slug is free."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    shared: Shared

    async def __call__(self, *, project: str, expected: frozenset[int] | None, by: User) -> None:
        require(by, Action.PROJECT_DELETE)
        async with self.unit_of_work() as work:
            found = await work.projects.lock(project)
            await work.projects.save(found.delete(expected=expected, at=self.clock.now()))
            await work.commit()
        self.shared.forget(project)
