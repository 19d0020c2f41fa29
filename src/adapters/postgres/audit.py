"""The audit trail in PostgreSQL: added to within a transaction, and read."""

from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import Any

from asyncpg import Record
from sqlalchemy import BigInteger, ColumnElement, Insert, Text, bindparam, column, func, insert, literal_column, select, true
from sqlalchemy.dialects.postgresql import JSONB

from adapters.postgres.database import Executor, Statement
from adapters.postgres.tables import TIME, audit_entries, users
from application.ports import AuditReader, AuditTrail
from domain.audit import AuditFilter, Difference, Entry, Recorded, Target, Told
from domain.text import rfc3339

_given = [column(c.name, c.type) for c in audit_entries.c if c.name not in ("id", "request_id")]
# All entries are one parameter, and one statement, be it one entry or a thousand: ids rise in their order.
_rows = func.jsonb_to_recordset(bindparam("entries", type_=JSONB)).table_valued(*_given, name="entries").render_derived(with_types=True)


def adding(where: ColumnElement[bool] = true()) -> Insert:  # noqa: B008 - true never changes
    """The statement that adds `entries` under a `request_id`, where this holds."""
    return insert(audit_entries).from_select(
        [*(c.name for c in _given), "request_id"], select(*_rows.c, bindparam("request_id", type_=Text)).where(where)
    )


ADD = Statement(adding())
_what = {
    "actor_id": bindparam("actor_id", type_=BigInteger),
    "action": bindparam("action", type_=Text),
    "project": bindparam("project", type_=Text),
}
_same = [audit_entries.c[name].is_not_distinct_from(value) for name, value in _what.items()]
_lately = select(audit_entries.c.id).where(*_same, audit_entries.c.at > bindparam("since", type_=TIME)).exists()
ADD_ONCE = Statement(adding(~_lately).returning(audit_entries.c.id))
# In a statement of its own: what it waited for is seen by the next one alone.
ONE_AT_A_TIME = Statement(
    select(func.pg_advisory_xact_lock(func.hashtextextended(func.concat_ws("/", "once", *_what.values()), literal_column("0"))))
)


def entry_row(entry: Entry) -> dict[str, Any]:
    """One of the `entries` that `adding` takes."""
    return {
        "at": rfc3339(entry.at),
        "actor_id": entry.actor_id,
        "action": entry.action,
        "project": entry.project,
        "target_type": entry.target.type,
        "target_id": entry.target.id,
        "changes": [{"field": each.field, "from": each.before, "to": each.after} for each in entry.changes],
    }


def recorded(row: Record) -> Recorded:
    """The entry of a row that holds all columns of `audit_entries`."""
    changes = (Difference(field=each["field"], before=each["from"], after=each["to"]) for each in row["changes"])
    return Recorded(
        id=row["id"],
        entry=Entry(
            at=row["at"],
            actor_id=row["actor_id"],
            action=row["action"],
            project=row["project"],
            target=Target(type=row["target_type"], id=row["target_id"]),
            changes=tuple(changes),
        ),
        request_id=row["request_id"],
    )


class PostgresAuditTrail(AuditTrail):
    def __init__(self, executor: Executor, *, request_id: Callable[[], str | None]) -> None:
        self._run = executor
        self._request_id = request_id

    async def add(self, *entries: Entry) -> None:
        if entries:
            await self._run.row(ADD, entries=[entry_row(entry) for entry in entries], request_id=self._request_id())

    async def add_once(self, entry: Entry, *, every: timedelta) -> bool:
        what = {"actor_id": entry.actor_id, "action": entry.action, "project": entry.project}
        await self._run.row(ONE_AT_A_TIME, **what)
        given = {"entries": [entry_row(entry)], "request_id": self._request_id(), "since": entry.at - every}
        return await self._run.row(ADD_ONCE, **what, **given) is not None


@cache
def _page(*, action: bool, project: bool, actor: bool, target: bool, before: bool) -> Statement:
    query = select(audit_entries, users.c.username).outerjoin(users, users.c.id == audit_entries.c.actor_id)
    if action:
        query = query.where(audit_entries.c.action == bindparam("action", type_=Text))
    if project:
        query = query.where(audit_entries.c.project == bindparam("project", type_=Text))
    if actor:
        actor_id = select(users.c.id).where(users.c.username == bindparam("actor", type_=Text)).scalar_subquery()
        query = query.where(audit_entries.c.actor_id == actor_id)
    if target:
        query = query.where(
            audit_entries.c.target_type == bindparam("target_type", type_=Text),
            audit_entries.c.target_id == bindparam("target_id", type_=JSONB),
        )
    if before:
        query = query.where(audit_entries.c.id < bindparam("before", type_=BigInteger))
    return Statement(query.order_by(audit_entries.c.id.desc()).limit(bindparam("limit")))


class PostgresAuditReader(AuditReader):
    def __init__(self, executor: Executor) -> None:
        self._run = executor

    async def page(self, where: AuditFilter, *, before: int | None, limit: int) -> list[Told]:
        asked = {name: getattr(where, name) for name in ("action", "project", "actor", "target")} | {"before": before}
        target = where.target and {"target_type": where.target.type, "target_id": where.target.id}
        statement = _page(**{name: value is not None for name, value in asked.items()})
        rows = await self._run.rows(statement, **asked | (target or {}), limit=limit)
        return [Told(record=recorded(row), actor=row["username"]) for row in rows]
