"""Uploaded files in PostgreSQL."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from asyncpg import Record
from sqlalchemy import BigInteger, Uuid, bindparam, delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY

from adapters.postgres.database import Executor, Statement, parameters
from adapters.postgres.tables import TIME, files, projects, users
from application.ports import Files
from domain.errors import NotFound
from domain.file import File
from domain.quota import QuotaExceeded

_project = select(projects.c.id).where(projects.c.slug == bindparam("project"), projects.c.deleted_at.is_(None))
_stored = ("id", "filename", "size", "content_type", "sha256", "created_at")
_known = (
    select(*(files.c[name] for name in _stored), files.c.created_by, users.c.username, projects.c.slug)
    .join(users, users.c.id == files.c.created_by)
    .join(projects, projects.c.id == files.c.project_id)
)
_visible = _known.where(projects.c.slug == bindparam("project"), projects.c.deleted_at.is_(None))

# Locked until the transaction ends: the project stays, and files of one user are added one after the other.
LOCK_PROJECT = Statement(_project.with_for_update(read=True, key_share=False))
LOCK_USER = Statement(select(users.c.id).where(users.c.id == bindparam("user_id")).with_for_update(key_share=True))
ADD = Statement(
    insert(files).values(
        parameters(files, _stored)
        | {
            "verified_at": bindparam("created_at", type_=TIME),
            "project_id": bindparam("project_id", type_=BigInteger),
            "created_by": bindparam("created_by_id", type_=BigInteger),
        }
    )
)
USED = Statement(select(func.coalesce(func.sum(files.c.size), 0).label("bytes")).where(files.c.created_by == bindparam("user_id")))
GET = Statement(_visible.where(files.c.id == bindparam("file_id")))
PAGE = Statement(_visible.where(files.c.id > bindparam("after")).order_by(files.c.id).limit(bindparam("limit")))
EVERY = Statement(_known.where(files.c.id > bindparam("after")).order_by(files.c.id).limit(bindparam("limit")))
PROJECT_EXISTS = Statement(_project)
REMOVE = Statement(
    delete(files).where(files.c.id == bindparam("file_id"), files.c.project_id == _project.scalar_subquery()).returning(files.c.id)
)
# Waits for every transaction that is adding a file; until this one ends no other begins to.
WAIT = Statement(text("LOCK TABLE files IN SHARE MODE"))
_asked = select(func.unnest(bindparam("ids", type_=ARRAY(Uuid))).label("id")).subquery()
STRANGERS = Statement(select(_asked.c.id).where(~select(files.c.id).where(files.c.id == _asked.c.id).exists()))

_longest_ago = (
    select(files.c.id)
    .where(files.c.verified_at < bindparam("before", type_=TIME))
    .order_by(files.c.verified_at)
    .limit(1)
    .with_for_update(skip_locked=True)
    .scalar_subquery()
)
_taken = update(files).where(files.c.id == _longest_ago).values(verified_at=bindparam("at", type_=TIME)).returning(*files.c).cte("taken")
TAKE = Statement(
    select(*(_taken.c[name] for name in _stored), _taken.c.created_by, users.c.username, projects.c.slug)
    .select_from(_taken)
    .join(users, users.c.id == _taken.c.created_by)
    .join(projects, projects.c.id == _taken.c.project_id)
)


def _entity(row: Record) -> File:
    same = {name: row[name] for name in _stored if name != "sha256"}
    return File(**same, sha256=row["sha256"].hex(), project=row["slug"], created_by=row["username"], created_by_id=row["created_by"])


def _row(file: File) -> dict[str, Any]:
    return {name: getattr(file, name) for name in _stored} | {"sha256": bytes.fromhex(file.sha256), "created_by_id": file.created_by_id}


class PostgresFiles(Files):
    """`add` and `wait` belong into a unit of work: their locks end with it."""

    def __init__(self, executor: Executor) -> None:
        self._run = executor

    async def add(self, file: File, *, quota: int) -> None:
        project = await self._run.row(LOCK_PROJECT, project=file.project)
        if project is None:
            raise NotFound
        await self._run.row(LOCK_USER, user_id=file.created_by_id)
        await self._run.row(ADD, **_row(file), project_id=project["id"])
        if (await self._run.one(USED, user_id=file.created_by_id))["bytes"] > quota:
            raise QuotaExceeded("With this file, your files would come to more than you may keep: delete some first.")

    async def get(self, *, project: str, file_id: UUID) -> File:
        row = await self._run.row(GET, project=project, file_id=file_id)
        if row is None:
            raise NotFound
        return _entity(row)

    async def page(self, project: str, *, after: UUID, limit: int) -> list[File]:
        found = [_entity(row) for row in await self._run.rows(PAGE, project=project, after=after, limit=limit)]
        if not found and await self._run.row(PROJECT_EXISTS, project=project) is None:
            raise NotFound
        return found

    async def remove(self, *, project: str, file_id: UUID) -> None:
        if await self._run.row(REMOVE, project=project, file_id=file_id) is None:
            raise NotFound

    async def every(self, *, after: UUID, limit: int) -> list[File]:
        return [_entity(row) for row in await self._run.rows(EVERY, after=after, limit=limit)]

    async def strangers(self, ids: Collection[UUID]) -> set[UUID]:
        return {row["id"] for row in await self._run.rows(STRANGERS, ids=list(ids))}

    async def wait(self) -> None:
        await self._run.row(WAIT)

    async def take_unverified(self, *, before: datetime, at: datetime) -> File | None:
        row = await self._run.row(TAKE, before=before, at=at)
        return _entity(row) if row else None
