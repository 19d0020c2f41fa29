"""Surveys and their versions in PostgreSQL."""

from collections import OrderedDict
from dataclasses import asdict
from typing import Any

from asyncpg import Record
from sqlalchemy import bindparam, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert

from adapters.postgres.database import Executor, Statement
from adapters.postgres.tables import projects, survey_versions, surveys
from application.ports import Surveys
from domain.errors import NotFound
from domain.survey import FieldChange, Survey, definition_from

_REMEMBERED = 1000

_newest = (
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
GET = Statement(_newest)
# The project's row stands for its survey, which may not be there yet; saves hold the survey's own row, see `response`.
LOCK_PROJECT = Statement(
    select(projects.c.id).where(projects.c.slug == bindparam("project"), projects.c.deleted_at.is_(None)).with_for_update(key_share=True)
)
LOCK_SURVEY = Statement(select(surveys.c.version).where(surveys.c.project_id == bindparam("project_id")).with_for_update())
SAVE_VERSION = Statement(insert(survey_versions).values({c.name: bindparam(c.name, type_=c.type) for c in survey_versions.c}))
_survey = upsert(surveys).values({c.name: bindparam(c.name, type_=c.type) for c in surveys.c})
SAVE_SURVEY = Statement(
    _survey.on_conflict_do_update(
        index_elements=[surveys.c.project_id],
        set_={"version": _survey.excluded.version, "is_open": _survey.excluded.is_open},
    )
)


def _entity(row: Record, project: str) -> Survey:
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
        survey = _entity(row, project)
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
        return row["id"], None if found["version"] is None else _entity(found, project)

    async def save(self, survey: Survey, changes: tuple[FieldChange, ...]) -> None:
        columns: dict[str, Any] = asdict(survey) | {
            "definition": survey.definition.document(),
            "changes": [asdict(change) for change in changes],
        }
        await self._run.row(SAVE_VERSION, **columns)
        await self._run.row(SAVE_SURVEY, **columns)

    def _remember(self, survey: Survey) -> None:
        self._seen[survey.project] = survey
        self._seen.move_to_end(survey.project)
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
