"""Surveys: publish one, show it."""

from dataclasses import dataclass

from application.ports import Clock, Surveys, UnitOfWorkFactory
from domain.access import Action, require
from domain.survey import Definition, FieldChange, Survey, first_survey
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

    Questions and choices may be added, ranges widened and labels reworded; anything that answers rest on stays.
    """

    unit_of_work: UnitOfWorkFactory
    clock: Clock

    async def __call__(self, *, project: str, definition: Definition, expected: frozenset[int] | None, by: User) -> Publication:
        require(by, Action.SURVEY_PUBLISH)
        now = self.clock.now()
        async with self.unit_of_work() as work:
            project_id, found = await work.surveys.lock(project)
            if found is None:
                survey, changes = first_survey(definition, project_id=project_id, project=project, by=by, expected=expected, at=now)
            else:
                survey, changes = found.publish(definition, by=by, expected=expected, at=now)
            if survey != found:
                await work.surveys.save(survey, changes)
            await work.commit()
        return Publication(survey=survey, is_new=survey != found, changes=changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class GetSurvey:
    """The newest version of a project's survey, also while it is closed."""

    surveys: Surveys

    async def __call__(self, *, project: str) -> Survey:
        return await self.surveys.get(project)
