"""A whole story declared in one place: a project, its survey, its label sets and its resources."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from application.label_set import PublishedLabelSet, publish_label_set_in
from application.ports import Clock, UnitOfWork, UnitOfWorkFactory
from application.project import project_entry
from application.resource import resource_entry
from application.survey import publish_in
from domain.access import Action, require
from domain.errors import Fault, NotFound
from domain.label_set import Declaration
from domain.project import new_project
from domain.resource import new_resource
from domain.results import group_faults
from domain.survey import Definition, FieldChange
from domain.text import canonical, refuse
from domain.user import User


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What is declared. `resources` hold their fields, `label_sets` are by name; None where nothing is said about the survey.

    With `keep_identity` the survey's readers are known as in its newest version.
    """

    slug: str
    title: str
    description: str | None
    definition: Definition | None
    keep_identity: bool = False
    resources: tuple[dict[str, Any], ...] = ()
    label_sets: Mapping[str, Declaration] = field(default_factory=dict)


class Effect(StrEnum):
    """What applying a declaration does to a thing."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What applying a story did, or on a dry run would do. Label sets and resources are told by name."""

    project: Effect
    survey: Effect
    survey_version: int | None
    changes: tuple[FieldChange, ...]
    resources: dict[str, Effect]
    label_sets: dict[str, Effect] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyStory:
    """Bring a project, its survey, its label sets and its resources to what is declared, all or nothing; a second time changes nothing.

    Breaking changes are refused like in `PublishSurvey` and `PublishLabelSet`. Label sets and resources are known by name; what is
    not declared stays.
    Raises `Invalid`, also when two resources have one name.
    """

    unit_of_work: UnitOfWorkFactory
    clock: Clock

    async def __call__(self, story: Story, *, accept_breaking: frozenset[str] = frozenset(), dry_run: bool = False, by: User) -> Applied:
        require(by, Action.PROJECT_CREATE)
        refuse(_faults(story))
        async with self.unit_of_work() as work:
            project = await self._project(work, story, by)
            survey, version, changes = await self._survey(work, story, accept_breaking, by)
            label_sets = {
                name: await self._label_set(work, story.slug, name, each, accept_breaking, by) for name, each in story.label_sets.items()
            }
            resources = {fields["name"]: await self._resource(work, story.slug, fields, by) for fields in story.resources}
            if not dry_run:
                await work.commit()
        return Applied(
            project=project,
            survey=survey,
            survey_version=version,
            changes=(*changes, *(change for published in label_sets.values() for change in published.changes)),
            resources=resources,
            label_sets={name: _effect(published) for name, published in label_sets.items()},
        )

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
            keep_identity=story.keep_identity,
            by=by,
            at=self.clock.now(),
        )
        version = published.survey.version
        effect = Effect.CREATED if version == 1 else Effect.UPDATED
        return effect if published.is_new else Effect.UNCHANGED, version, published.changes

    async def _label_set(
        self, work: UnitOfWork, project: str, name: str, declaration: Declaration, accept_breaking: frozenset[str], by: User
    ) -> PublishedLabelSet:
        return await publish_label_set_in(
            work, project=project, name=name, declaration=declaration, accept_breaking=accept_breaking, by=by, at=self.clock.now()
        )

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


def _effect(published: PublishedLabelSet) -> Effect:
    if published.is_first:
        return Effect.CREATED
    return Effect.UPDATED if published.is_new else Effect.UNCHANGED


def _faults(story: Story) -> Iterator[Fault]:
    if story.definition is not None:
        yield from group_faults(story.definition, at="/survey/results")
    yield from _duplicates(story)


def _duplicates(story: Story) -> Iterator[Fault]:
    known: set[str] = set()
    for index, fields in enumerate(story.resources):
        name = canonical(fields["name"])
        if name in known:
            yield Fault(pointer=f"/resources/{index}/name", code="duplicate-name", detail="Another resource of the story has this name.")
        known.add(name)
