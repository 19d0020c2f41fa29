"""Projects in PostgreSQL."""

from dataclasses import replace
from typing import Any

from asyncpg import Record
from sqlalchemy import bindparam, func, insert, literal_column, select, update

from adapters.postgres.database import Executor, Statement, parameters
from adapters.postgres.tables import files, projects, resources, surveys
from application.ports import Counts, Projects
from domain.errors import NotFound
from domain.project import Project

_live = projects.c.deleted_at.is_(None)
_by_slug = select(projects).where(projects.c.slug == bindparam("slug"), _live)

ADD = Statement(insert(projects).values(parameters(projects, but=["id"])).returning(projects.c.id))
GET = Statement(_by_slug)
LOCK = Statement(_by_slug.with_for_update(key_share=True))
SAVE = Statement(
    update(projects)
    .where(projects.c.id == bindparam("id"))
    .values(parameters(projects, ["title", "description", "updated_at", "deleted_at", "version"]))
)
PAGE = Statement(select(projects).where(_live, projects.c.slug > bindparam("after")).order_by(projects.c.slug).limit(bindparam("limit")))
WAS_USED = Statement(select(projects.c.id).where(projects.c.slug == bindparam("slug")))
_survey_open = select(surveys.c.is_open).where(surveys.c.project_id == projects.c.id)
OVERVIEW = Statement(
    _by_slug.add_columns(
        select(func.count())
        .select_from(resources)
        .where(resources.c.project_id == projects.c.id, resources.c.deleted_at.is_(None))
        .scalar_subquery()
        .label("resources"),
        select(func.count()).select_from(files).where(files.c.project_id == projects.c.id).scalar_subquery().label("files"),
        func.coalesce(_survey_open.scalar_subquery(), literal_column("false")).label("survey_open"),
    )
)


def _entity(row: Record) -> Project:
    return Project(**{c.name: row[c.name] for c in projects.c})


def _row(project: Project) -> dict[str, Any]:
    return {c.name: getattr(project, c.name) for c in projects.c}


class PostgresProjects(Projects):
    def __init__(self, executor: Executor) -> None:
        self._run = executor

    async def add(self, project: Project) -> Project:
        return replace(project, id=(await self._run.one(ADD, **_row(project)))["id"])

    async def get(self, slug: str) -> Project:
        return _entity(await self._found(GET, slug))

    async def lock(self, slug: str) -> Project:
        return _entity(await self._found(LOCK, slug))

    async def save(self, project: Project) -> None:
        await self._run.row(SAVE, **_row(project))

    async def was_used(self, slug: str) -> bool:
        return await self._run.row(WAS_USED, slug=slug) is not None

    async def page(self, *, after: str, limit: int) -> list[Project]:
        return [_entity(row) for row in await self._run.rows(PAGE, after=after, limit=limit)]

    async def overview(self, slug: str) -> tuple[Project, Counts]:
        row = await self._found(OVERVIEW, slug)
        return _entity(row), Counts(resources=row["resources"], files=row["files"], survey_open=row["survey_open"])

    async def _found(self, statement: Statement, slug: str) -> Record:
        row = await self._run.row(statement, slug=slug)
        if row is None:
            raise NotFound
        return row
