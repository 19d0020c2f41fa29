"""A whole story declared in one place: a project, its survey and its resources."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from application.ports import Clock, UnitOfWork, UnitOfWorkFactory
from application.project import project_entry
from application.resource import resource_entry
from application.survey import publish_in
from domain.access import Action, require
from domain.errors import Fault, NotFound
from domain.project import new_project
from domain.resource import new_resource
from domain.survey import Definition, FieldChange
from domain.text import canonical, refuse
from domain.user import User


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What is declared. `resources` hold their fields; None where nothing is said about the survey."""

    slug: str
    title: str
    description: str | None
    definition: Definition | None
    resources: tuple[dict[str, Any], ...] = ()


class Effect(StrEnum):
    """What applying a declaration does to a thing."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What applying a story did, or on a dry run would do. `resources` are told by name."""

    project: Effect
    survey: Effect
    survey_version: int | None
    changes: tuple[FieldChange, ...]
    resources: dict[str, Effect]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyStory:
    """Bring a project, its survey and its resources to what is declared, all or nothing; a second time changes nothing.

    A survey's breaking changes are refused like in `PublishSurvey`. Resources are known by name; what is not declared stays.
    Raises `Invalid`, also when two resources have one name.
    """

    unit_of_work: UnitOfWorkFactory
    clock: Clock

    async def __call__(self, story: Story, *, accept_breaking: frozenset[str] = frozenset(), dry_run: bool = False, by: User) -> Applied:
        require(by, Action.PROJECT_CREATE)
        refuse(_duplicates(story))
        async with self.unit_of_work() as work:
            project = await self._project(work, story, by)
            survey, version, changes = await self._survey(work, story, accept_breaking, by)
            resources = {fields["name"]: await self._resource(work, story.slug, fields, by) for fields in story.resources}
            if not dry_run:
                await work.commit()
        return Applied(project=project, survey=survey, survey_version=version, changes=changes, resources=resources)

    async def _project(self, work: UnitOfWork, story: Story, by: User) -> Effect:
        at = self.clock.now()
        try:
            found = await work.projects.lock(story.slug)
        except NotFound:
            added = await work.projects.add(new_project(slug=story.slug, title=story.title, description=story.description, at=at))
            await work.audit.add(project_entry("project.create", None, added, by=by))
            return Effect.CREATED
        revised = found.revise({"title": story.title, "description": story.description}, at=at)
        if revised == found:
            return Effect.UNCHANGED
        await work.projects.save(revised)
        await work.audit.add(project_entry("project.update", found, revised, by=by))
        return Effect.UPDATED

    async def _survey(
        self, work: UnitOfWork, story: Story, accept_breaking: frozenset[str], by: User
    ) -> tuple[Effect, int | None, tuple[FieldChange, ...]]:
        if story.definition is None:
            return Effect.UNCHANGED, None, ()
        published = await publish_in(
            work,
            project=story.slug,
            definition=story.definition,
            accept_breaking=accept_breaking,
            by=by,
            at=self.clock.now(),
        )
        version = published.survey.version
        effect = Effect.CREATED if version == 1 else Effect.UPDATED
        return effect if published.is_new else Effect.UNCHANGED, version, published.changes

    async def _resource(self, work: UnitOfWork, project: str, fields: dict[str, Any], by: User) -> Effect:
        at = self.clock.now()
        declared = new_resource(project=project, by=by, at=at, **fields)
        found = await work.resources.lock_by_name(project=project, name=declared.name)
        if found is None:
            added = await work.resources.add(declared)
            await work.audit.add(resource_entry("resource.create", None, added, by=by))
            return Effect.CREATED
        revised = found.revise(fields, by=by, at=at)
        if revised == found:
            return Effect.UNCHANGED
        await work.resources.save(revised)
        await work.audit.add(resource_entry("resource.update", found, revised, by=by))
        return Effect.UPDATED


def _duplicates(story: Story) -> Iterator[Fault]:
    known: set[str] = set()
    for index, fields in enumerate(story.resources):
        name = canonical(fields["name"])
        if name in known:
            yield Fault(pointer=f"/resources/{index}/name", code="duplicate-name", detail="Another resource of the story has this name.")
        known.add(name)
