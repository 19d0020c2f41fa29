"""Resources in PostgreSQL as whole tables: `COPY` writes the text, so that no row is ever made into an object."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from functools import cache
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Select, Text, any_, bindparam, case, cast, func, literal, literal_column, select

from adapters.postgres.database import Statement, Transaction
from adapters.postgres.resource import PROJECT_EXISTS, count_statement, filtered, given, rfc3339_text, shape
from adapters.postgres.snapshots import Snapshots
from adapters.postgres.tables import resources, users
from application.ports import Part, ResourceSnapshot, ResourceTables
from domain.errors import NotFound
from domain.export import FORMULA_STARTS
from domain.resource import Filter

# Controls that no text of ours may hold and that JSON escapes. The mark tells the end of a record from a line end within a cell: COPY
# ends both with \n, and RFC 4180 wants CR LF after records alone. With the others as quote and delimiter COPY writes JSON as it is.
_MARK, _QUOTE, _DELIMITER = "\x01", "\x02", "\x03"
_MARKED_END, _RECORD_END, _LINE_END = b"\x01\n", b"\r\n", b"\n"


def _unrun(column: ColumnElement[str], name: str) -> ColumnElement[str]:
    """The text as `guarded` makes it."""
    runs = func.left(column, 1) == any_(literal(list(FORMULA_STARTS), ARRAY(Text)))
    return case((runs, literal("'", Text).concat(column)), else_=column).label(name)


def _columns(*, is_guarded: bool = False) -> list[ColumnElement[Any]]:
    """Those of the contract but for the last, `version`. Slugs, usernames, statuses and objects never begin like a formula."""
    texts = {"name": resources.c.name, "description": resources.c.description}
    name, description = [_unrun(text, key) if is_guarded else text for key, text in texts.items()]
    return [
        resources.c.id,
        bindparam("project", type_=Text).label("project"),
        name,
        description,
        resources.c.status,
        resources.c.attributes,
        users.c.username.label("created_by"),
        rfc3339_text(resources.c.created_at, "created_at"),
        rfc3339_text(resources.c.updated_at, "updated_at"),
        literal_column("'true'").label("is_active"),
    ]


@cache
def _records(*, is_guarded: bool, status: bool, search: bool) -> Statement:
    version = cast(resources.c.version, Text).concat(literal_column(f"E'\\x{ord(_MARK):02x}'"))
    return Statement(_in_order([*_columns(is_guarded=is_guarded), version], status=status, search=search))


@cache
def _lines(*, status: bool, search: bool) -> Statement:
    columns = [*_columns()[:-1], literal_column("true").label("is_active"), resources.c.version]
    row = _in_order(columns, status=status, search=search).subquery("contract")
    return Statement(select(cast(func.row_to_json(literal_column("contract")), Text)).select_from(row))


def _in_order(columns: list[ColumnElement[Any]], *, status: bool, search: bool) -> Select[Any]:
    joined = filtered(columns, status=status, search=search).join_from(resources, users, users.c.id == resources.c.created_by)
    return joined.order_by(resources.c.id)


class PostgresResourceSnapshot(ResourceSnapshot):
    def __init__(self, transaction: Transaction, where: Filter) -> None:
        self._run = transaction
        self._where = where

    async def count(self) -> int:
        n: int = (await self._run.one(count_statement(**shape(self._where)), **given(self._where)))["n"]
        return n

    async def records(self, *, guarded: bool) -> AsyncGenerator[Part, None]:
        statement = _records(is_guarded=guarded, **shape(self._where))
        async with aclosing(self._run.copy(statement, **given(self._where))) as pieces:
            async for piece in pieces:
                yield Part(content=piece.replace(_MARKED_END, _RECORD_END), rows=piece.count(_MARKED_END))

    async def lines(self) -> AsyncGenerator[Part, None]:
        statement = _lines(**shape(self._where))
        async with aclosing(self._run.copy(statement, quote=_QUOTE, delimiter=_DELIMITER, **given(self._where))) as pieces:
            async for piece in pieces:
                yield Part(content=piece, rows=piece.count(_LINE_END))


class PostgresResourceTables(ResourceTables):
    def __init__(self, snapshots: Snapshots) -> None:
        self._snapshots = snapshots

    @asynccontextmanager
    async def snapshot(self, where: Filter) -> AsyncIterator[ResourceSnapshot]:
        async with self._snapshots.open() as transaction:
            if await transaction.row(PROJECT_EXISTS, project=where.project) is None:
                raise NotFound
            yield PostgresResourceSnapshot(transaction, where)
