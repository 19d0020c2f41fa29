"""Resources in PostgreSQL for reading: the JSON of the contract, made by PostgreSQL."""

from datetime import datetime
from functools import cache, partial
from typing import Any

from asyncpg import Record
from sqlalchemy import BigInteger, ColumnElement, FromClause, Select, Text, bindparam, cast, func, literal, literal_column, select, tuple_
from sqlalchemy.dialects.postgresql import aggregate_order_by

from adapters.postgres.database import Executor, Statement
from adapters.postgres.resource.counters import counted, counted_statement
from adapters.postgres.resource.filters import (
    LIVE,
    PROJECT_EXISTS,
    PROJECT_ID,
    count_statement,
    filtered,
    given,
    is_indexed,
    is_whole,
    shape,
)
from adapters.postgres.tables import TIME, UPDATED_ASCENDING, UPDATED_DESCENDING, resources, users
from application.ports import After, Document, NumberedPage, Page, ResourceReader
from domain.errors import NotFound
from domain.resource import Filter, SearchTooShort, Sort
from domain.text import folded

NEARBY = 5000  # how many resources are looked at before the index is asked: a few milliseconds
SCANNED = 20_000  # how many resources a search without the index may look at: some ten milliseconds


_limit = bindparam("limit", type_=BigInteger)


def rfc3339_text(column: ColumnElement[datetime], name: str) -> ColumnElement[str]:
    return func.to_char(func.timezone("UTC", column), literal('YYYY-MM-DD"T"HH24:MI:SS.US"Z"', Text)).label(name)


def _as_json(source: FromClause, *columns: ColumnElement[Any]) -> Select[Any]:
    """These columns, and as `json` the contract's text of each row of `source`, which has the columns of `resources`."""
    contract = select(
        source.c.id,
        bindparam("project", type_=Text).label("project"),
        source.c.name,
        source.c.description,
        source.c.status,
        source.c.attributes,
        select(users.c.username).where(users.c.id == source.c.created_by).correlate(source).scalar_subquery().label("created_by"),
        rfc3339_text(source.c.created_at, "created_at"),
        rfc3339_text(source.c.updated_at, "updated_at"),
        literal_column("true").label("is_active"),
        source.c.version,
    )
    row = contract.correlate(source).lateral("contract")
    json: ColumnElement[str] = cast(func.row_to_json(literal_column("contract")), Text)
    return select(*columns, json.label("json")).select_from(source.join(row, literal_column("true")))


GET = Statement(
    _as_json(resources, resources.c.version).where(
        resources.c.id == bindparam("resource_id"), resources.c.project_id == PROJECT_ID.scalar_subquery(), LIVE
    )
)


def _key(sort: Sort, source: FromClause) -> ColumnElement[Any]:
    """What a list is sorted by; `source` is named as the table is."""
    if sort.column == "updated_at":
        return UPDATED_DESCENDING if sort.descending else UPDATED_ASCENDING
    return source.c[sort.column]


def _sorted(query: Select[Any], sort: Sort, source: FromClause = resources) -> Select[Any]:
    """The query with its total order, and with the key of that order as a column: what encloses it sorts by the same."""
    key = _key(sort, source)
    return query.add_columns(key.label("sort_key")).order_by(*_total(sort, key, source.c.id))


def _order(sort: Sort, page: Any) -> list[ColumnElement[Any]]:
    return _total(sort, page.c.sort_key, page.c.id)


def _total(sort: Sort, *keys: ColumnElement[Any]) -> list[ColumnElement[Any]]:
    """By a key and the id, in the direction of the sort. Ids tell all apart: naming them twice would have what is in order sorted again."""
    return [key.desc() if sort.descending else key.asc() for key in (keys[:1] if sort.column == "id" else keys)]


def _beyond(sort: Sort) -> ColumnElement[bool]:
    after_id = bindparam("after_id", type_=BigInteger)
    if sort.column == "id":
        return resources.c.id < after_id if sort.descending else resources.c.id > after_id
    key = cast(bindparam("after_key", type_=Text), Text if sort.column == "name" else TIME)
    here, there = tuple_(_key(sort, resources), resources.c.id), tuple_(key, after_id)
    return here < there if sort.descending else here > there


def _found(sort: Sort, *, status: bool, search: bool, labels: int, after: bool = False) -> Select[Any]:
    """What is asked for, in order.

    Where a text is searched, all matches are found before they are sorted (a subquery with an offset is planned by itself): a plan
    made without knowing the text would rather walk along the order, past every resource when the text is rare.
    """
    query = filtered([resources], status=status, search=search, labels=labels)
    if after:
        query = query.where(_beyond(sort))
    if not search:
        return _sorted(query, sort)
    matches = query.offset(literal_column("0")).subquery("resources")
    return _sorted(select(matches), sort, matches)


def _found_nearby(sort: Sort, *, status: bool, labels: int, after: bool) -> Select[Any]:
    """Which of the next few resources match, in order: all that is needed when a text is frequent."""
    query = _sorted(filtered([resources], status=status, search=False, labels=labels), sort)
    if after:
        query = query.where(_beyond(sort))
    near = query.limit(literal_column(str(NEARBY))).subquery("near")
    return select(near).where(near.c.search_text.like(bindparam("pattern"))).order_by(*_order(sort, near))


@cache
def page_statement(sort: Sort, *, status: bool, search: bool, labels: int, after: bool, nearby: bool = False) -> Statement:
    found = _found_nearby if nearby else partial(_found, search=search)
    query = found(sort, status=status, labels=labels, after=after)
    page = query.limit(_limit + literal_column("1")).offset(bindparam("skip")).subquery("resources")
    place = func.row_number().over(order_by=_order(sort, page)).label("place")
    entries = _as_json(page, page.c.id, page.c[sort.column].label("key"), place).order_by(place).subquery("entries")
    is_shown, is_last = entries.c.place <= _limit, entries.c.place == _limit
    return Statement(
        select(
            func.convert_to(func.string_agg(entries.c.json, literal(",", Text)).filter(is_shown), "UTF8").label("json"),
            func.count().label("n"),
            func.max(entries.c.id).filter(is_last).label("id"),
            func.max(entries.c.key).filter(is_last).label("key"),
        ).select_from(entries)
    )


@cache
def _numbered_page(sort: Sort, *, status: bool, search: bool, labels: int) -> Statement:
    if is_whole(search=search, labels=labels):
        total = counted(status=status)
    else:
        total = filtered([func.count()], status=status, search=search, labels=labels).scalar_subquery()
    ordered = _found(sort, status=status, search=search, labels=labels)
    page = ordered.limit(bindparam("limit")).offset(bindparam("skip")).subquery("resources")
    entries = _as_json(page, page.c.id, page.c.sort_key).subquery("entries")
    joined = select(func.string_agg(entries.c.json, aggregate_order_by(literal(",", Text), *_order(sort, entries)))).scalar_subquery()
    return Statement(select(total.label("total"), joined.label("json")))


_live_in_project = select(resources.c.id).where(resources.c.project_id == PROJECT_ID.scalar_subquery(), LIVE)
COUNT_A_FEW = Statement(select(func.count().label("n")).select_from(_live_in_project.limit(literal_column(str(SCANNED + 1))).subquery()))


def _sortable(key: str | int | None, sort: Sort) -> str | None:
    """The key of a cursor as the store compares it; what was never changed comes last both ways."""
    if key is None and sort.column == "updated_at":
        return "-infinity" if sort.descending else "infinity"
    return None if key is None else str(key)


class PostgresResourceReader(ResourceReader):
    def __init__(self, executor: Executor) -> None:
        self._run = executor

    async def get(self, *, project: str, resource_id: int) -> Document:
        row = await self._run.row(GET, project=project, resource_id=resource_id)
        if row is None:
            raise NotFound
        return Document(json=row["json"].encode(), version=row["version"])

    async def page(self, where: Filter, *, sort: Sort, limit: int, skip: int = 0, after: After | None = None) -> Page:
        asked = given(where) | {"limit": limit, "skip": skip}
        if after is not None:
            asked |= {"after_id": after.id, "after_key": _sortable(after.key, sort)}
        row: Record | None = None
        if where.search and not await self._is_scanned(where):
            row = await self._run.one(page_statement(sort, **shape(where), after=after is not None, nearby=True), **asked)
        if row is None or row["n"] <= limit:
            row = await self._run.one(page_statement(sort, **shape(where), after=after is not None), **asked)
        if not row["n"]:
            await self._expect_project(where.project)
        return Page(
            json=b"[" + (row["json"] or b"") + b"]",
            next=After(key=_portable(row["key"]), id=row["id"]) if row["n"] > limit else None,
        )

    async def numbered_page(self, where: Filter, *, sort: Sort, page: int, per_page: int) -> NumberedPage:
        await self._is_scanned(where)
        statement = _numbered_page(sort, **shape(where))
        row = await self._run.one(statement, **given(where), limit=per_page, skip=(page - 1) * per_page)
        if not row["total"]:
            await self._expect_project(where.project)
        return NumberedPage(json=b"[" + (row["json"] or "").encode() + b"]", total=row["total"])

    async def count(self, where: Filter) -> int:
        await self._is_scanned(where)
        asked = shape(where)
        statement = counted_statement(status=asked["status"]) if is_whole(**asked) else count_statement(**asked)
        count: int = (await self._run.one(statement, **given(where)))["n"]
        if not count:
            await self._expect_project(where.project)
        return count

    async def _is_scanned(self, where: Filter) -> bool:
        """Whether a search has to look at every resource, since no index knows its text. Raises `SearchTooShort` where they are many."""
        if not where.search or is_indexed(folded(where.search)):
            return False
        if (await self._run.one(COUNT_A_FEW, project=where.project))["n"] > SCANNED:
            raise SearchTooShort
        return True

    async def _expect_project(self, project: str) -> None:
        if await self._run.row(PROJECT_EXISTS, project=project) is None:
            raise NotFound


def _portable(key: str | int | datetime | None) -> str | int | None:
    return key.isoformat() if isinstance(key, datetime) else key
