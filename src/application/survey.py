"""Surveys: publish one, show it and its versions, open and close it."""

from dataclasses import dataclass
from datetime import datetime

from application.ports import Clock, Shared, Surveys, UnitOfWorkFactory, Version
from domain.access import Action, require
from domain.errors import NotFound
from domain.survey import Definition, FieldChange, Survey, changes_between, counted, ever_asked, first_survey
from domain.user import User


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """The survey after publishing: whether a new version was made, and what it changes."""

    survey: Survey
    is_new: bool
    changes: tuple[FieldChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishSurvey:
    """Publish a survey, or a new version of it; where nothing differs, nothing happens.

    `changes` tells what the version does to each question and how many stored answers it touches. Removing or narrowing a question
    that has such answers is refused unless its field is listed in `accept_breaking`; stored answers stay, pinned to the version they
    were given under. A question that has answers never changes its type.
    """

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    shared: Shared

    async def __call__(
        self,
        *,
        project: str,
        definition: Definition,
        accept_breaking: frozenset[str] = frozenset(),
        expected: frozenset[int] | None = None,
        by: User,
    ) -> Publication:
        async with self.unit_of_work() as work:
            publication = await publish_in(
                work.surveys,
                project=project,
                definition=definition,
                accept_breaking=accept_breaking,
                expected=expected,
                by=by,
                at=self.clock.now(),
            )
            await work.commit()
        self.shared.forget(project)  # results that are no longer public are gone at once
        return publication


async def publish_in(
    surveys: Surveys,
    *,
    project: str,
    definition: Definition,
    accept_breaking: frozenset[str],
    expected: frozenset[int] | None = None,
    by: User,
    at: datetime,
) -> Publication:
    """Publish within somebody else's unit of work."""
    require(by, Action.SURVEY_PUBLISH)
    project_id, found = await surveys.lock(project)
    if found is None:
        survey, changes = first_survey(definition, project_id=project_id, project=project, by=by, expected=expected, at=at)
    else:
        changes = await _counted_changes(surveys, found, definition)
        survey = found.publish(definition, changes, accept_breaking=accept_breaking, by=by, expected=expected, at=at)
    if survey != found:
        await surveys.save(survey, changes)
    return Publication(survey=survey, is_new=survey != found, changes=changes)


async def _counted_changes(surveys: Surveys, found: Survey, definition: Definition) -> tuple[FieldChange, ...]:
    asked = ever_asked(await surveys.definitions(found.project_id))
    changes = []
    for change in changes_between(found.definition, definition, asked):
        answers = await surveys.answered(found.project_id, change.field)
        before, after = asked.get(change.field), definition.question(change.field)
        changes.append(counted(change, answers, before=before, after=after))
    return tuple(changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchSurvey:
    """Open a survey for answers, or close it; one that is so already stays so."""

    unit_of_work: UnitOfWorkFactory

    async def __call__(self, *, project: str, is_open: bool, by: User) -> Survey:
        require(by, Action.SURVEY_SWITCH)
        async with self.unit_of_work() as work:
            _, found = await work.surveys.lock(project)
            if found is None:
                raise NotFound
            switched = found.switch(is_open=is_open, by=by)
            await work.surveys.switch(switched)
            await work.commit()
        return switched


@dataclass(frozen=True, slots=True, kw_only=True)
class ListVersions:
    """The versions of a survey, newest first, and what each changed."""

    surveys: Surveys

    async def __call__(self, *, project: str, before: int | None, limit: int, by: User) -> list[Version]:
        require(by, Action.SURVEY_VERSIONS)
        return await self.surveys.versions(project, before=before, limit=limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class GetSurvey:
    """The newest version of a project's survey, also while it is closed."""

    surveys: Surveys

    async def __call__(self, *, project: str) -> Survey:
        return await self.surveys.get(project)
