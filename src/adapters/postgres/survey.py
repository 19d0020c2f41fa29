"""Surveys and their versions in PostgreSQL."""

from collections import OrderedDict
from dataclasses import asdict
from typing import Any

from asyncpg import Record
from sqlalchemy import Integer, Text, bindparam, func, insert, literal_column, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from adapters.postgres.database import Executor, Statement, parameters
from adapters.postgres.tables import projects, responses, survey_versions, surveys, users
from application.ports import Surveys, Version
from domain.errors import NotFound
from domain.survey import Definition, FieldChange, Kind, Survey, definition_from

_REMEMBERED = 1000

NEWEST = (
    select(
        projects.c.id.label("project_id"),
        surveys.c.version,
        surveys.c.is_open,
        survey_versions.c.definition,
        survey_versions.c.published_at,
        survey_versions.c.published_by,
    )
    .select_from(
        projects.outerjoin(surveys, surveys.c.project_id == projects.c.id).outerjoin(
            survey_versions,
            (survey_versions.c.project_id == projects.c.id) & (survey_versions.c.version == surveys.c.version),
        )
    )
    .where(projects.c.slug == bindparam("project"), projects.c.deleted_at.is_(None))
)
GET = Statement(NEWEST)
# The project's row stands for its survey, which may not be there yet; saves hold the survey's own row, see `response`.
LOCK_PROJECT = Statement(
    select(projects.c.id).where(projects.c.slug == bindparam("project"), projects.c.deleted_at.is_(None)).with_for_update(key_share=True)
)
LOCK_SURVEY = Statement(select(surveys.c.version).where(surveys.c.project_id == bindparam("project_id")).with_for_update())
SAVE_VERSION = Statement(insert(survey_versions).values(parameters(survey_versions)))
_survey = upsert(surveys).values(parameters(surveys))
SAVE_SURVEY = Statement(
    _survey.on_conflict_do_update(
        index_elements=[surveys.c.project_id],
        set_={"version": _survey.excluded.version, "is_open": _survey.excluded.is_open},
    )
)
SWITCH = Statement(update(surveys).where(surveys.c.project_id == bindparam("project_id")).values(is_open=bindparam("is_open")))
DEFINITIONS = Statement(
    select(survey_versions.c.definition).where(survey_versions.c.project_id == bindparam("project_id")).order_by(survey_versions.c.version)
)
_field = bindparam("field", type_=Text)
# What is withheld may come back, and counts as stored: hence it keeps a question from changing its type.
_value = func.coalesce(responses.c.answers.op("->")(_field), responses.c.withheld.op("->")(_field).op("->")(literal_column("'value'")))
ANSWERED = Statement(
    select(_value.label("value"), func.count().label("number"))
    .where(
        responses.c.project_id == bindparam("project_id"),
        or_(responses.c.answers.op("?")(_field), responses.c.withheld.op("?")(_field)),
    )
    .group_by(literal_column("value"))
)
VERSIONS = Statement(
    select(survey_versions.c.version, survey_versions.c.published_at, survey_versions.c.changes, users.c.username)
    .select_from(
        projects.join(survey_versions, survey_versions.c.project_id == projects.c.id).join(
            users, users.c.id == survey_versions.c.published_by
        )
    )
    .where(
        projects.c.slug == bindparam("project"),
        projects.c.deleted_at.is_(None),
        or_(bindparam("before", type_=Integer).is_(None), survey_versions.c.version < bindparam("before", type_=Integer)),
    )
    .order_by(survey_versions.c.version.desc())
    .limit(bindparam("limit"))
)


def survey_of(row: Record, project: str) -> Survey:
    """The survey in a row of `NEWEST` whose version is not null."""
    return Survey(
        project=project,
        definition=definition_from(row["definition"]),
        **{name: row[name] for name in ("project_id", "version", "is_open", "published_at", "published_by")},
    )


class PostgresSurveys(Surveys):
    def __init__(self, executor: Executor) -> None:
        self._run = executor
        self._seen: OrderedDict[str, Survey] = OrderedDict()

    async def get(self, project: str) -> Survey:
        row = await self._run.row(GET, project=project)
        if row is None or row["version"] is None:
            self._seen.pop(project, None)
            raise NotFound
        survey = survey_of(row, project)
        self._remember(survey)
        return survey

    def remembered(self, project: str) -> Survey | None:
        return self._seen.get(project)

    async def lock(self, project: str) -> tuple[int, Survey | None]:
        row = await self._run.row(LOCK_PROJECT, project=project)
        if row is None:
            raise NotFound
        await self._run.row(LOCK_SURVEY, project_id=row["id"])
        found = await self._run.one(GET, project=project)
        return row["id"], None if found["version"] is None else survey_of(found, project)

    async def save(self, survey: Survey, changes: tuple[FieldChange, ...]) -> None:
        columns: dict[str, Any] = asdict(survey) | {
            "definition": survey.definition.document(),
            "changes": [asdict(change) for change in changes],
        }
        await self._run.row(SAVE_VERSION, **columns)
        await self._run.row(SAVE_SURVEY, **columns)

    async def switch(self, survey: Survey) -> None:
        await self._run.row(SWITCH, project_id=survey.project_id, is_open=survey.is_open)

    async def definitions(self, project_id: int) -> list[Definition]:
        return [definition_from(row["definition"]) for row in await self._run.rows(DEFINITIONS, project_id=project_id)]

    async def answered(self, project_id: int, field: str) -> list[tuple[Any, int]]:
        rows = await self._run.rows(ANSWERED, project_id=project_id, field=field)
        return [(row["value"], row["number"]) for row in rows]

    async def versions(self, project: str, *, before: int | None, limit: int) -> list[Version]:
        rows = await self._run.rows(VERSIONS, project=project, before=before, limit=limit)
        if not rows:
            await self.get(project)  # tells an empty page from a survey that is not there
        return [
            Version(
                version=row["version"],
                published_at=row["published_at"],
                published_by=row["username"],
                changes=tuple(FieldChange(**change | {"change": Kind(change["change"])}) for change in row["changes"]),
            )
            for row in rows
        ]

    def _remember(self, survey: Survey) -> None:
        self._seen[survey.project] = survey
        self._seen.move_to_end(survey.project)
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
