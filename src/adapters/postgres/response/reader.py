"""Responses in PostgreSQL for researchers: pages and whole tables, each from one snapshot."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from asyncpg import Record
from sqlalchemy import BigInteger, Boolean, Integer, bindparam, cast, func, literal_column, or_, select
from sqlalchemy.dialects.postgresql import JSONB

from adapters.postgres.database import Statement, Transaction
from adapters.postgres.snapshots import Snapshots
from adapters.postgres.survey import DEFINITIONS
from adapters.postgres.tables import TIME, projects, responses, surveys
from application.ports import ResponseReader, ResponseSnapshot
from domain.errors import NotFound
from domain.survey import AskedTests, Definition, ResponseFilter, ResponseRow, definition_from

BATCH = 1000

SURVEY = Statement(
    select(surveys.c.project_id)
    .join(projects, projects.c.id == surveys.c.project_id)
    .where(projects.c.slug == bindparam("project"), projects.c.deleted_at.is_(None))
)
_answer = bindparam("answer", type_=JSONB(none_as_null=True))
_version = bindparam("version", type_=Integer)
_since, _until = bindparam("since", type_=TIME), bindparam("until", type_=TIME)
_is_test = bindparam("is_test", type_=Boolean)
_changed_at = func.coalesce(responses.c.updated_at, responses.c.created_at)
_under = func.jsonb_each_text(responses.c.versions).table_valued("key", "value")
_matching = (
    responses.c.project_id == bindparam("project_id"),
    or_(_answer.is_(None), responses.c.answers.op("@>")(_answer)),
    or_(_version.is_(None), select(literal_column("1")).where(cast(_under.c.value, Integer) == _version).exists()),
    or_(_since.is_(None), _changed_at >= _since),
    or_(_until.is_(None), _changed_at < _until),
    or_(_is_test.is_(None), responses.c.is_test == _is_test),
)
_columns = ("id", "pseudonym", "created_at", "updated_at", "revision", "answers", "versions")
_rows = select(*(responses.c[name] for name in _columns)).where(*_matching).order_by(responses.c.id)
COUNT = Statement(select(func.count().label("n")).select_from(responses).where(*_matching))
ALL = Statement(_rows)
PAGE = Statement(_rows.where(responses.c.id > bindparam("after", type_=BigInteger)).limit(bindparam("limit")))


class PostgresResponseSnapshot(ResponseSnapshot):
    def __init__(self, transaction: Transaction, project_id: int, definitions: list[Definition]) -> None:
        self._run = transaction
        self._project_id = project_id
        self._definitions = definitions

    @property
    def definitions(self) -> list[Definition]:
        return self._definitions

    async def page(self, where: ResponseFilter, *, after: int, limit: int) -> list[ResponseRow]:
        return [_row(row) for row in await self._run.rows(PAGE, **self._given(where), after=after, limit=limit)]

    async def count(self, where: ResponseFilter) -> int:
        n: int = (await self._run.one(COUNT, **self._given(where)))["n"]
        return n

    async def batches(self, where: ResponseFilter) -> AsyncIterator[list[ResponseRow]]:
        async for rows in self._run.batches(ALL, size=BATCH, **self._given(where)):
            yield [_row(row) for row in rows]

    def _given(self, where: ResponseFilter) -> dict[str, Any]:
        names = ("answer", "version", "since", "until")
        is_test = None if where.tests is AskedTests.INCLUDE else where.tests is AskedTests.ONLY
        return {"project_id": self._project_id, "is_test": is_test} | {name: getattr(where, name) for name in names}


class PostgresResponseReader(ResponseReader):
    def __init__(self, snapshots: Snapshots) -> None:
        self._snapshots = snapshots

    @asynccontextmanager
    async def snapshot(self, project: str) -> AsyncIterator[ResponseSnapshot]:
        async with self._snapshots.open() as transaction:
            row = await transaction.row(SURVEY, project=project)
            if row is None:
                raise NotFound
            rows = await transaction.rows(DEFINITIONS, project_id=row["project_id"])
            definitions = [definition_from(version["definition"]) for version in rows]
            yield PostgresResponseSnapshot(transaction, row["project_id"], definitions)


def _row(row: Record) -> ResponseRow:
    return ResponseRow(**row)
