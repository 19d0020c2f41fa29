"""Label sets and their versions in PostgreSQL."""

from dataclasses import asdict, replace
from typing import Any

from asyncpg import Record
from sqlalchemy import Text, bindparam, func, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert

from adapters.postgres.database import Executor, Statement, parameters
from adapters.postgres.project import GET as GET_PROJECT
from adapters.postgres.survey import LOCK_PROJECT
from adapters.postgres.tables import annotations, label_set_versions, label_sets, projects
from application.ports import LabelSets
from domain.errors import NotFound
from domain.label_set import LabelSet, declaration_from
from domain.survey import FieldChange, Question

_versions = label_set_versions.c
_newest = (
    select(label_sets, _versions.declaration, _versions.published_at, _versions.published_by)
    .select_from(
        projects.join(label_sets, label_sets.c.project_id == projects.c.id).join(
            label_set_versions, (_versions.label_set_id == label_sets.c.id) & (_versions.version == label_sets.c.version)
        )
    )
    .where(projects.c.slug == bindparam("project"), projects.c.deleted_at.is_(None))
)
_name = bindparam("name", type_=Text)
GET = Statement(_newest.where(label_sets.c.name == _name))
PAGE = Statement(_newest.where(label_sets.c.name > bindparam("after", type_=Text)).order_by(label_sets.c.name).limit(bindparam("limit")))
# Two statements each, since a row that was waited for would be joined with the version that stood before the wait.
_this = (
    select(label_sets.c.id)
    .join(projects, projects.c.id == label_sets.c.project_id)
    .where(projects.c.slug == bindparam("project"), projects.c.deleted_at.is_(None), label_sets.c.name == _name)
)
HOLD = Statement(_this.with_for_update(key_share=True, read=True, of=label_sets))
LOCK = Statement(_this.with_for_update(of=label_sets))
_set = upsert(label_sets).values(parameters(label_sets, but=["id"]))
SAVE = Statement(
    _set.on_conflict_do_update(
        index_elements=[label_sets.c.project_id, label_sets.c.name],
        set_={name: _set.excluded[name] for name in ("version", "blind", "copies")},
    ).returning(label_sets.c.id)
)
COUNT = Statement(select(func.count().label("n")).where(label_sets.c.project_id == bindparam("project_id")))
SAVE_VERSION = Statement(insert(label_set_versions).values(parameters(label_set_versions)))
QUESTIONS = Statement(select(_versions.declaration).where(_versions.label_set_id == bindparam("id")).order_by(_versions.version))
LABELS = Statement(
    select(annotations.c.value, func.count().label("number"))
    .where(annotations.c.label_set_id == bindparam("id"))
    .group_by(annotations.c.value)
)


def _entity(row: Record, project: str) -> LabelSet:
    same = ("id", "project_id", "name", "version", "published_at", "published_by")
    return LabelSet(project=project, declaration=declaration_from(row["declaration"]), **{name: row[name] for name in same})


class PostgresLabelSets(LabelSets):
    def __init__(self, executor: Executor) -> None:
        self._run = executor

    async def get(self, project: str, name: str) -> LabelSet:
        row = await self._run.row(GET, project=project, name=name)
        if row is None:
            raise NotFound
        return _entity(row, project)

    async def hold(self, project: str, name: str) -> LabelSet:
        await self._run.row(HOLD, project=project, name=name)
        return await self.get(project, name)

    async def lock(self, project: str, name: str) -> tuple[int, LabelSet | None]:
        found = await self._run.row(LOCK_PROJECT, project=project)
        if found is None:
            raise NotFound
        await self._run.row(LOCK, project=project, name=name)
        row = await self._run.row(GET, project=project, name=name)
        return found["id"], None if row is None else _entity(row, project)

    async def count(self, project_id: int) -> int:
        count: int = (await self._run.one(COUNT, project_id=project_id))["n"]
        return count

    async def save(self, label_set: LabelSet, changes: tuple[FieldChange, ...]) -> LabelSet:
        declaration = label_set.declaration
        columns: dict[str, Any] = {name: getattr(label_set, name) for name in ("project_id", "name", "version")}
        row = await self._run.one(SAVE, **columns, blind=declaration.blind, copies=declaration.copies)
        await self._run.row(
            SAVE_VERSION,
            label_set_id=row["id"],
            version=label_set.version,
            declaration=declaration.document(),
            changes=[asdict(change) for change in changes],
            published_at=label_set.published_at,
            published_by=label_set.published_by,
        )
        return replace(label_set, id=row["id"])

    async def questions(self, label_set_id: int) -> list[Question]:
        rows = await self._run.rows(QUESTIONS, id=label_set_id)
        return [declaration_from(row["declaration"]).question for row in rows]

    async def labels(self, label_set_id: int) -> list[tuple[Any, int]]:
        return [(row["value"], row["number"]) for row in await self._run.rows(LABELS, id=label_set_id)]

    async def page(self, project: str, *, after: str, limit: int) -> list[LabelSet]:
        rows = await self._run.rows(PAGE, project=project, after=after, limit=limit)
        if not rows and await self._run.row(GET_PROJECT, slug=project) is None:
            raise NotFound
        return [_entity(row, project) for row in rows]
