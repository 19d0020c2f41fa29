"""Resources in PostgreSQL, as entities for changing them and as JSON for reading them."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache, partial
from typing import Any

from asyncpg import Record
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Select,
    Text,
    any_,
    bindparam,
    cast,
    func,
    insert,
    literal,
    literal_column,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by

from adapters.postgres.database import Executor, Statement, parameters
from adapters.postgres.tables import (
    LABEL_KEY,
    TIME,
    UPDATED_ASCENDING,
    UPDATED_DESCENDING,
    annotation_items,
    label_sets,
    projects,
    resources,
    users,
)
from application.ports import After, Document, NumberedPage, Page, ResourceReader, Resources
from domain.errors import NotFound
from domain.resource import Filter, Resource, SearchTooShort, Sort, Status
from domain.text import canonical, folded

PROJECT_ID = select(projects.c.id).where(projects.c.slug == bindparam("project"), projects.c.deleted_at.is_(None))
NEARBY = 5000  # how many resources are looked at before the index is asked: a few milliseconds
SCANNED = 20_000  # how many resources a search without the index may look at: some ten milliseconds

_live = resources.c.deleted_at.is_(None)
_stored = ("name", "name_key", "search_text", "description", "status", "attributes", "updated_at", "deleted_at", "version")

ADD = Statement(
    insert(resources)
    .from_select(
        ["project_id", "created_by", "created_at", *_stored],
        PROJECT_ID.add_columns(
            bindparam("created_by_id", type_=BigInteger),
            bindparam("created_at", type_=TIME),
            *parameters(resources, _stored).values(),
        ),
    )
    .returning(resources.c.id)
)
_in_project = (
    select(resources, users.c.username)
    .join(users, users.c.id == resources.c.created_by)
    .where(resources.c.project_id == PROJECT_ID.scalar_subquery())
)
_locking = _in_project.with_for_update(key_share=True, of=resources)
_this = resources.c.id == bindparam("resource_id")
GET_ANY = Statement(_in_project.where(_this))
LOCK = Statement(_locking.where(_this, _live))
LOCK_ANY = Statement(_locking.where(_this))
IDS = Statement(
    select(resources.c.id, resources.c.name_key).where(
        resources.c.project_id == PROJECT_ID.scalar_subquery(), _live, resources.c.name_key == any_(bindparam("names", type_=ARRAY(Text)))
    )
)
LOCK_BY_NAME = Statement(_locking.where(_live, resources.c.name_key == bindparam("name_key")))
SAVE = Statement(
    update(resources)
    .where(resources.c.project_id == PROJECT_ID.scalar_subquery(), resources.c.id == bindparam("id"))
    .values(parameters(resources, _stored))
)


def _row(resource: Resource) -> dict[str, Any]:
    names = ("id", "project", "created_by_id", "created_at", *_stored)
    return {name: getattr(resource, name) for name in names} | {"status": resource.status.value}


def _entity(row: Record, project: str) -> Resource:
    same = ("id", "name", "description", "attributes", "created_at", "updated_at", "deleted_at", "version")
    return Resource(
        project=project,
        status=Status(row["status"]),
        created_by=row["username"],
        created_by_id=row["created_by"],
        **{name: row[name] for name in same},
    )


class PostgresResources(Resources):
    def __init__(self, executor: Executor) -> None:
        self._run = executor

    async def add(self, resource: Resource) -> Resource:
        row = await self._run.row(ADD, **_row(resource))
        if row is None:
            raise NotFound
        return replace(resource, id=row["id"])

    async def get(self, *, project: str, resource_id: int) -> Resource:
        return await self._found(GET_ANY, project, resource_id)

    async def lock(self, *, project: str, resource_id: int, deleted: bool = False) -> Resource:
        return await self._found(LOCK_ANY if deleted else LOCK, project, resource_id)

    async def ids(self, *, project: str, names: Sequence[str]) -> dict[str, int]:
        return {row["name_key"]: row["id"] for row in await self._run.rows(IDS, project=project, names=list(names))}

    async def lock_by_name(self, *, project: str, name: str) -> Resource | None:
        row = await self._run.row(LOCK_BY_NAME, project=project, name_key=canonical(name))
        return None if row is None else _entity(row, project)

    async def save(self, resource: Resource) -> None:
        await self._run.row(SAVE, **_row(resource))

    async def _found(self, statement: Statement, project: str, resource_id: int) -> Resource:
        row = await self._run.row(statement, project=project, resource_id=resource_id)
        if row is None:
            raise NotFound
        return _entity(row, project)


# --- reading: the JSON of the contract, made by PostgreSQL --------------------------------------------------------------------


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
        resources.c.id == bindparam("resource_id"), resources.c.project_id == PROJECT_ID.scalar_subquery(), _live
    )
)
PROJECT_EXISTS = Statement(PROJECT_ID)


def _labelled(number: int) -> ColumnElement[bool]:
    """Whether most annotators gave this label in this set: once it has as many annotations as it should, and as long."""
    items, label = annotation_items.c, bindparam(f"label_{number}", type_=Text)
    labelled = (
        select(items.resource_id)
        .join(label_sets, label_sets.c.id == items.label_set_id)
        .where(
            label_sets.c.project_id == PROJECT_ID.scalar_subquery(),
            label_sets.c.name == bindparam(f"label_set_{number}", type_=Text),
            func.left(label, literal_column("255")) == LABEL_KEY,
            items.label == label,
            items.annotations >= label_sets.c.copies,
        )
    )
    return resources.c.id.in_(labelled)


def filtered(columns: Sequence[Any], *, status: bool, search: bool, labels: int = 0) -> Select[Any]:
    query = select(*columns).where(resources.c.project_id == PROJECT_ID.scalar_subquery(), _live)
    if status:
        query = query.where(resources.c.status == bindparam("status"))
    if search:
        query = query.where(resources.c.search_text.like(bindparam("pattern")))
    return query.where(*(_labelled(number) for number in range(labels)))


def _key(sort: Sort, source: FromClause) -> ColumnElement[Any]:
    """What a list is sorted by; `source` is named as the table is."""
    if sort.column == "updated_at":
        return UPDATED_DESCENDING if sort.descending else UPDATED_ASCENDING
    return source.c[sort.column]


def _sorted(query: Select[Any], sort: Sort, source: FromClause = resources) -> Select[Any]:
    """The query with its total order, and with the key of that order as a column: what encloses it sorts by the same."""
    key = _key(sort, source)
    return query.add_columns(key.label("sort_key")).order_by(*_directed(sort, key, source.c.id))


def _order(sort: Sort, page: Any) -> list[ColumnElement[Any]]:
    return _directed(sort, page.c.sort_key, page.c.id)


def _directed(sort: Sort, *keys: ColumnElement[Any]) -> list[ColumnElement[Any]]:
    return [key.desc() if sort.descending else key.asc() for key in keys]


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
def _page(sort: Sort, *, status: bool, search: bool, labels: int, after: bool, nearby: bool = False) -> Statement:
    found = _found_nearby if nearby else partial(_found, search=search)
    query = found(sort, status=status, labels=labels, after=after)
    page = query.limit(bindparam("limit")).offset(bindparam("skip")).subquery("resources")
    return Statement(_as_json(page, page.c.id, page.c[sort.column].label("key")).order_by(*_order(sort, page)))


@cache
def _numbered_page(sort: Sort, *, status: bool, search: bool, labels: int) -> Statement:
    total = filtered([func.count()], status=status, search=search, labels=labels).scalar_subquery()
    ordered = _found(sort, status=status, search=search, labels=labels)
    page = ordered.limit(bindparam("limit")).offset(bindparam("skip")).subquery("resources")
    entries = _as_json(page, page.c.id, page.c.sort_key).subquery("entries")
    joined = select(func.string_agg(entries.c.json, aggregate_order_by(literal(",", Text), *_order(sort, entries)))).scalar_subquery()
    return Statement(select(total.label("total"), joined.label("json")))


@cache
def count_statement(*, status: bool, search: bool, labels: int) -> Statement:
    return Statement(filtered([func.count().label("n")], status=status, search=search, labels=labels))


_live_in_project = select(resources.c.id).where(resources.c.project_id == PROJECT_ID.scalar_subquery(), _live)
COUNT_A_FEW = Statement(select(func.count().label("n")).select_from(_live_in_project.limit(literal_column(str(SCANNED + 1))).subquery()))


def shape(where: Filter) -> dict[str, Any]:
    """Which conditions a filter has: what its statement is chosen by."""
    return {"status": where.status is not None, "search": bool(where.search), "labels": len(where.labels)}


def given(where: Filter) -> dict[str, Any]:
    """The parameters of a filter's conditions."""
    parts = {"project": where.project, "status": where.status and where.status.value, "pattern": _pattern(where.search or "")}
    for number, (label_set, label) in enumerate(where.labels):
        parts |= {f"label_set_{number}": label_set, f"label_{number}": label}
    return parts


_WORD = re.compile(r"[^\W_]+")


def is_indexed(search: str) -> bool:
    """Whether the index knows the text: it holds three characters of each word in a row, the blank before and after a word among them."""
    for word in _WORD.finditer(search):
        length = word.end() - word.start()
        if length >= 3 or (length == 2 and (word.start() > 0 or word.end() < len(search))):
            return True
    return False


def _pattern(search: str) -> str:
    """A LIKE pattern that finds exactly this text: wildcards lose their meaning."""
    literal_text = folded(search).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{literal_text}%"


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
        place = {"after_id": after and after.id, "after_key": after and _sortable(after.key, sort)}
        asked = given(where) | place | {"limit": limit + 1, "skip": skip}
        rows: list[Record] = []
        if where.search and not await self._is_scanned(where):
            rows = await self._run.rows(_page(sort, **shape(where), after=after is not None, nearby=True), **asked)
        if len(rows) <= limit:
            rows = await self._run.rows(_page(sort, **shape(where), after=after is not None), **asked)
        if not rows:
            await self._expect_project(where.project)
        more, rows = len(rows) > limit, rows[:limit]
        return Page(
            json=b"[" + ",".join([row["json"] for row in rows]).encode() + b"]",
            next=After(key=_portable(rows[-1]["key"]), id=rows[-1]["id"]) if more else None,
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
        count: int = (await self._run.one(count_statement(**shape(where)), **given(where)))["n"]
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
