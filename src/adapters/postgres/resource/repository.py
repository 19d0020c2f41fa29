"""Resources in PostgreSQL, as entities for changing them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from asyncpg import Record
from sqlalchemy import BigInteger, Text, any_, bindparam, exists, insert, select, update
from sqlalchemy.dialects.postgresql import ARRAY

from adapters.postgres.audit import adding, entry_row
from adapters.postgres.database import Executor, Statement, parameters
from adapters.postgres.resource.filters import LIVE, PROJECT_ID
from adapters.postgres.resource.versions import keeping
from adapters.postgres.tables import TIME, audit_entries, resources, users
from application.ports import ResourceEdits, Resources
from domain.audit import Entry
from domain.errors import NotFound
from domain.resource import Resource, Status
from domain.text import canonical

_contents = ("name", "name_key", "search_text", "description", "status", "attributes")
_stored = (*_contents, "owner_id", "updated_at", "updated_by", "deleted_at", "version")

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
LOCK = Statement(_locking.where(_this, LIVE))
LOCK_ANY = Statement(_locking.where(_this))
IDS = Statement(
    select(resources.c.id, resources.c.name_key).where(
        resources.c.project_id == PROJECT_ID.scalar_subquery(), LIVE, resources.c.name_key == any_(bindparam("names", type_=ARRAY(Text)))
    )
)
LOCK_BY_NAME = Statement(_locking.where(LIVE, resources.c.name_key == bindparam("name_key")))
_saving = (
    update(resources)
    .where(resources.c.project_id == PROJECT_ID.scalar_subquery(), resources.c.id == bindparam("id"))
    .values(parameters(resources, _stored))
    .returning(resources.c.project_id, resources.c.id, resources.c.version)
)
_saved = _saving.cte("saved")
_swapped = _saving.where(resources.c.version == bindparam("version_before"), LIVE).cte("saved")
SAVE = Statement(select(_saved.c.id).add_cte(*keeping(_saved)))
SWAP = Statement(adding(exists(select(_swapped.c.id))).returning(audit_entries.c.id).add_cte(*keeping(_swapped)))
LIVE_ONE = Statement(_in_project.where(_this, LIVE))


def _row(resource: Resource) -> dict[str, Any]:
    names = ("id", "project", "created_by_id", "created_at", *_contents, "owner_id", "updated_at", "deleted_at", "version")
    return {name: getattr(resource, name) for name in names} | {"status": resource.status.value, "updated_by": resource.updated_by_id}


def _entity(row: Record, project: str) -> Resource:
    same = ("id", "name", "description", "attributes", "created_at", "owner_id", "updated_at", "deleted_at", "version")
    return Resource(
        project=project,
        status=Status(row["status"]),
        created_by=row["username"],
        created_by_id=row["created_by"],
        updated_by_id=row["updated_by"],
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
        return await _found(self._run, GET_ANY, project, resource_id)

    async def lock(self, *, project: str, resource_id: int, deleted: bool = False) -> Resource:
        return await _found(self._run, LOCK_ANY if deleted else LOCK, project, resource_id)

    async def ids(self, *, project: str, names: Sequence[str]) -> dict[str, int]:
        return {row["name_key"]: row["id"] for row in await self._run.rows(IDS, project=project, names=list(names))}

    async def lock_by_name(self, *, project: str, name: str) -> Resource | None:
        row = await self._run.row(LOCK_BY_NAME, project=project, name_key=canonical(name))
        return None if row is None else _entity(row, project)

    async def save(self, resource: Resource) -> None:
        await self._run.row(SAVE, **_row(resource))


class PostgresResourceEdits(ResourceEdits):
    def __init__(self, executor: Executor, *, request_id: Callable[[], str | None]) -> None:
        self._run = executor
        self._request_id = request_id

    async def get(self, *, project: str, resource_id: int) -> Resource:
        return await _found(self._run, LIVE_ONE, project, resource_id)

    async def swap(self, before: Resource, after: Resource, *, entry: Entry) -> bool:
        told = {"entries": [entry_row(entry)], "request_id": self._request_id()}
        return await self._run.row(SWAP, **_row(after), version_before=before.version, **told) is not None


async def _found(run: Executor, statement: Statement, project: str, resource_id: int) -> Resource:
    row = await run.row(statement, project=project, resource_id=resource_id)
    if row is None:
        raise NotFound
    return _entity(row, project)
