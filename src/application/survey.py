"""Surveys: publish one, show it and its versions, open and close it."""

from dataclasses import dataclass, replace
from datetime import datetime

from application.ports import Clock, Shared, Surveys, UnitOfWork, UnitOfWorkFactory, Version
from domain.access import Action, require
from domain.audit import Difference, Entry, Target, differences, entry
from domain.errors import NotFound
from domain.results import group_faults
from domain.survey import Definition, FieldChange, Survey, changes_between, counted, ever_asked, first_survey
from domain.text import refuse
from domain.user import User


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """The survey after publishing: whether a new version was made, what it changes, and the definition that stood before, if one did."""

    survey: Survey
    is_new: bool
    before: Definition | None
    changes: tuple[FieldChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishSurvey:
    """Publish a survey, or a new version of it; where nothing differs, nothing happens.

    `changes` tells what the version does to each question and how many stored answers it touches. Removing or narrowing a question
    that has such answers is refused unless its field is listed in `accept_breaking`; stored answers stay, pinned to the version they
    were given under. A question that has answers never changes its type. With `keep_identity`, readers are known as in the newest
    version, if there is one.
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
        keep_identity: bool = False,
        expected: frozenset[int] | None = None,
        by: User,
    ) -> Publication:
        async with self.unit_of_work() as work:
            publication = await publish_in(
                work,
                project=project,
                definition=definition,
                accept_breaking=accept_breaking,
                keep_identity=keep_identity,
                expected=expected,
                by=by,
                at=self.clock.now(),
            )
            await work.commit()
        self.shared.forget(project)  # results that are no longer public are gone at once
        return publication


async def publish_in(
    work: UnitOfWork,
    *,
    project: str,
    definition: Definition,
    accept_breaking: frozenset[str],
    keep_identity: bool = False,
    expected: frozenset[int] | None = None,
    by: User,
    at: datetime,
) -> Publication:
    """Publish within somebody else's unit of work."""
    require(by, Action.SURVEY_PUBLISH)
    refuse(group_faults(definition))
    surveys = work.surveys
    project_id, found = await surveys.lock(project)
    if found is None:
        survey, changes = first_survey(definition, project_id=project_id, project=project, by=by, expected=expected, at=at)
    else:
        if keep_identity:
            definition = replace(definition, identity=found.definition.identity)
        changes = await _counted_changes(surveys, found, definition)
        survey = found.publish(definition, changes, accept_breaking=accept_breaking, by=by, expected=expected, at=at)
    if survey != found:
        await surveys.save(survey, changes)
        await work.audit.add(_publish_entry(found, survey, changes, by=by))
    return Publication(survey=survey, is_new=survey != found, before=None if found is None else found.definition, changes=changes)


def _publish_entry(before: Survey | None, after: Survey, changes: tuple[FieldChange, ...], *, by: User) -> Entry:
    """What the audit trail tells of a publication: the version, and what it does to which question."""
    questions = (Difference(field=change.field, before=None, after=change.change.value) for change in changes)
    told = (*differences(before, after, "version"), *questions)
    return entry("survey.publish", _target(after), by=by, at=after.published_at, project=after.project, changes=told)


def _target(survey: Survey) -> Target:
    return Target(type="survey", id=survey.project)


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
    clock: Clock

    async def __call__(self, *, project: str, is_open: bool, by: User) -> Survey:
        require(by, Action.SURVEY_SWITCH)
        async with self.unit_of_work() as work:
            _, found = await work.surveys.lock(project)
            if found is None:
                raise NotFound
            switched = found.switch(is_open=is_open, by=by)
            if switched != found:
                await work.surveys.switch(switched)
                changes = (Difference(field="open", before=found.is_open, after=switched.is_open),)
                action = "survey.open" if is_open else "survey.close"
                await work.audit.add(entry(action, _target(found), by=by, at=self.clock.now(), project=project, changes=changes))
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
