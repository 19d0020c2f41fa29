"""What resources were. Each statement that changes one keeps what it finds, and of many versions lets the oldest go."""

from datetime import datetime
from typing import Any

from asyncpg import Record
from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal_column,
    or_,
    select,
    union_all,
)

from adapters.postgres.database import Executor, Statement
from adapters.postgres.resource.filters import PROJECT_ID
from adapters.postgres.tables import TIME, resource_versions, resources, users
from application.ports import ResourceVersions
from domain.errors import NotFound
from domain.resource import VERSIONS_MAX, Resource, ResourceVersion, Status

_kept, _is = resource_versions.c, resources.c
_same = ("version", "name", "description", "status", "attributes", "deleted_at", "owner_id")
# Who made the first version is who made the resource; of later ones from before there were versions nobody knows it.
_made = [
    case((_is.version == 1, _is.created_by), else_=_is.updated_by).label("made_by"),
    func.coalesce(_is.updated_at, _is.created_at).label("made_at"),
]


def keeping(saved: CTE) -> tuple[CTE, CTE]:
    """Parts of the statement whose part `saved` has changed a resource at `updated_at`: keep what it was, and of many the newest.

    `saved` has the key of the resource and its new `version`. All parts of a statement see the same moment: this one still finds the
    row as it was. The old are looked for only once there can be some: each edit would pay for it.
    """
    was = select(_is.project_id, _is.id, *(_is[name] for name in _same), *_made, bindparam("updated_at", type_=TIME)).join_from(
        saved, resources, (_is.project_id == saved.c.project_id) & (_is.id == saved.c.id)
    )
    most: ColumnElement[int] = literal_column(str(VERSIONS_MAX))
    thinned = delete(resource_versions).where(
        bindparam("version", type_=Integer) > most,
        _kept.project_id == saved.c.project_id,
        _kept.resource_id == saved.c.id,
        _kept.version <= saved.c.version - most,
    )
    columns = ["project_id", "resource_id", *_same, "made_by", "made_at", "replaced_at"]
    return insert(resource_versions).from_select(columns, was).cte("kept"), thinned.cte("thinned")


_project_id, _resource_id = PROJECT_ID.scalar_subquery(), bindparam("resource_id", type_=BigInteger)
_before = bindparam("before", type_=BigInteger)
_all = union_all(
    select(*(_is[name] for name in _same), *_made).where(_is.project_id == _project_id, _is.id == _resource_id),
    select(*(_kept[name] for name in _same), _kept.made_by, _kept.made_at).where(
        _kept.project_id == _project_id, _kept.resource_id == _resource_id
    ),
).subquery("versions")
_owners, _makers = users.alias("owners"), users.alias("makers")
_told = (
    select(*_all.c, _owners.c.username.label("owner"), _makers.c.username.label("maker"))
    .select_from(_all)
    .join(_owners, _owners.c.id == _all.c.owner_id)
    .outerjoin(_makers, _makers.c.id == _all.c.made_by)
)
GET = Statement(_told.where(_all.c.version == bindparam("version", type_=BigInteger)))
PAGE = Statement(_told.where(or_(_before.is_(None), _all.c.version < _before)).order_by(_all.c.version.desc()).limit(bindparam("limit")))
_old: Select[Any] = (
    select(literal_column("ctid"))
    .select_from(resource_versions)
    .where(_kept.replaced_at < bindparam("before", type_=TIME))
    .limit(bindparam("limit"))
)
_gone = delete(resource_versions).where(literal_column("ctid").in_(_old)).returning(_kept.version).cte("gone")
FORGET = Statement(select(func.count().label("n")).select_from(_gone), patient=True)


def _version(row: Record) -> ResourceVersion:
    same = {name: row[name] for name in ("version", "made_at", "owner", "name", "description", "attributes")}
    return ResourceVersion(**same, made_by=row["maker"], status=Status(row["status"]), is_active=row["deleted_at"] is None)


class PostgresResourceVersions(ResourceVersions):
    def __init__(self, executor: Executor) -> None:
        self._run = executor

    async def get(self, resource: Resource, version: int) -> ResourceVersion:
        row = await self._run.row(GET, **_of(resource), version=version)
        if row is None:
            raise NotFound
        return _version(row)

    async def page(self, resource: Resource, *, before: int | None, limit: int) -> list[ResourceVersion]:
        return [_version(row) for row in await self._run.rows(PAGE, **_of(resource), before=before, limit=limit)]

    async def forget(self, *, before: datetime, limit: int) -> int:
        count: int = (await self._run.one(FORGET, before=before, limit=limit))["n"]
        return count


def _of(resource: Resource) -> dict[str, Any]:
    return {"project": resource.project, "resource_id": resource.id}
