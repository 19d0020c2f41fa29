"""Stored exports in PostgreSQL. A claim is a row of which `content` is still the claim's: every claim gives it a new one."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from asyncpg import Record
from sqlalchemy import ARRAY, BigInteger, Text, Uuid, any_, bindparam, cast, delete, func, insert, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from adapters.postgres.database import Executor, Statement, parameters
from adapters.postgres.tables import TIME, export_turns, exports, projects, users
from application.ports import Claim, Exports
from domain.errors import NotFound
from domain.export import Column, ColumnType, Export, Format, Manifest, Progress, Quota, Subject

_project_id = select(projects.c.id).where(projects.c.slug == bindparam("project"), projects.c.deleted_at.is_(None))
_given = ("id", "what", "format", "filters", "created_at")

ADD = Statement(
    insert(exports)
    .from_select(
        ["project_id", "created_by", "status", "percent", "attempts", "verified_at", *_given],
        _project_id.add_columns(
            bindparam("created_by_id", type_=BigInteger),
            literal(Progress.QUEUED.value, Text),
            literal(0),
            literal(0),
            bindparam("created_at", type_=TIME),
            *parameters(exports, _given).values(),
        ),
    )
    .returning(exports.c.id)
)
# Of the exports of one person only one is added or done at a time: so each sees all others.
LOCK_USER = Statement(select(users.c.id).where(users.c.id == bindparam("user_id")).with_for_update(key_share=True))
_of_user = (exports.c.created_by == bindparam("user_id", type_=BigInteger), projects.c.deleted_at.is_(None))
USED = Statement(
    select(func.count().label("live"), cast(func.coalesce(func.sum(exports.c.bytes), 0), BigInteger).label("bytes"))
    .select_from(exports.join(projects, projects.c.id == exports.c.project_id))
    .where(*_of_user, exports.c.status != Progress.FAILED.value)
)
PROJECT_EXISTS = Statement(_project_id)
_in_project = (
    select(exports, users.c.username)
    .join(users, users.c.id == exports.c.created_by)
    .where(exports.c.project_id == _project_id.scalar_subquery())
)
_this = _in_project.where(exports.c.id == bindparam("id", type_=Uuid))
GET = Statement(_this)
LOCK = Statement(_this.with_for_update(of=exports))
REMOVE = Statement(delete(exports).where(exports.c.id == bindparam("id", type_=Uuid)))
PAGE = Statement(
    _in_project.where(exports.c.id > bindparam("after", type_=Uuid), exports.c.what == any_(bindparam("of", type_=ARRAY(Text))))
    .order_by(exports.c.id)
    .limit(bindparam("limit"))
)

_is_left = (exports.c.status == Progress.RUNNING.value) & (exports.c.claimed_until < bindparam("at", type_=TIME))
_last_turn = select(export_turns.c.taken_at).where(export_turns.c.user_id == exports.c.created_by).scalar_subquery()
_next = (
    select(exports.c.id)
    .where(or_(exports.c.status == Progress.QUEUED.value, _is_left))
    .order_by(_last_turn.asc().nulls_first(), exports.c.id)
    .limit(1)
    .with_for_update(skip_locked=True)
)
_claimed = (
    update(exports)
    .where(exports.c.id == _next.scalar_subquery())
    .values(
        status=Progress.RUNNING.value,
        percent=0,
        attempts=exports.c.attempts + 1,
        content=func.gen_random_uuid(),
        claimed_until=bindparam("until", type_=TIME),
    )
    .returning(exports)
    .cte("claimed")
)
_turn = upsert(export_turns).from_select(["user_id", "taken_at"], select(_claimed.c.created_by, bindparam("at", type_=TIME)))
_taken_turn = _turn.on_conflict_do_update(index_elements=[export_turns.c.user_id], set_={"taken_at": _turn.excluded.taken_at}).cte("turn")
CLAIM = Statement(
    select(_claimed, users.c.username, projects.c.slug, projects.c.title, projects.c.description)
    .join(users, users.c.id == _claimed.c.created_by)
    .join(projects, projects.c.id == _claimed.c.project_id)
    .add_cte(_taken_turn)
)
_held = (
    update(exports)
    .where(exports.c.id == bindparam("id", type_=Uuid), exports.c.content == bindparam("claimed_as", type_=Uuid))
    .where(exports.c.status == Progress.RUNNING.value)
    .returning(exports.c.id)
)
RENEW = Statement(_held.values(percent=bindparam("percent"), claimed_until=bindparam("until", type_=TIME)))
_manifest = ("rows", "bytes", "sha256", "columns", "survey_version", "package")
FINISH = Statement(_held.values({"status": Progress.DONE.value, "percent": 100, "claimed_until": None} | parameters(exports, _manifest)))
FAIL = Statement(_held.values(status=Progress.FAILED.value, content=None, claimed_until=None))
RELEASE = Statement(
    _held.values(status=Progress.QUEUED.value, content=None, claimed_until=None, percent=0, attempts=exports.c.attempts - 1)
)
_asked = func.unnest(bindparam("contents", type_=ARRAY(Uuid))).column_valued("asked")
UNKNOWN = Statement(select(_asked.label("content")).where(~select(exports.c.id).where(exports.c.content == _asked).exists()))

_is_done = exports.c.status == Progress.DONE.value
EVERY = Statement(
    select(exports, users.c.username, projects.c.slug)
    .join(users, users.c.id == exports.c.created_by)
    .join(projects, projects.c.id == exports.c.project_id)
    .where(_is_done, exports.c.id > bindparam("after", type_=Uuid))
    .order_by(exports.c.id)
    .limit(bindparam("limit"))
)
_longest_ago = (
    select(exports.c.id)
    .where(_is_done, exports.c.verified_at < bindparam("before", type_=TIME))
    .order_by(exports.c.verified_at)
    .limit(1)
    .with_for_update(skip_locked=True)
    .scalar_subquery()
)
_taken = update(exports).where(exports.c.id == _longest_ago).values(verified_at=bindparam("at", type_=TIME)).returning(exports).cte("taken")
TAKE = Statement(
    select(_taken, users.c.username, projects.c.slug)
    .join(users, users.c.id == _taken.c.created_by)
    .join(projects, projects.c.id == _taken.c.project_id)
)


def _entity(row: Record, project: str) -> Export:
    is_done = row["status"] == Progress.DONE.value
    return Export(
        id=row["id"],
        project=project,
        what=Subject(row["what"]),
        format=Format(row["format"]),
        filters=row["filters"],
        status=Progress(row["status"]),
        percent=row["percent"],
        manifest=_manifest_of(row) if is_done else None,
        content=row["content"] if is_done else None,
        created_by=row["username"],
        created_by_id=row["created_by"],
        created_at=row["created_at"],
    )


def _manifest_of(row: Record) -> Manifest:
    same = ("rows", "sha256", "survey_version")
    columns = tuple(Column(name=name, type=ColumnType[type]) for name, type in row["columns"])
    return Manifest(size=row["bytes"], columns=columns, package=row["package"].encode(), **{name: row[name] for name in same})


class PostgresExports(Exports):
    def __init__(self, executor: Executor) -> None:
        self._run = executor

    async def add(self, export: Export, *, quota: Quota) -> None:
        names = ("id", "project", "filters", "created_by_id", "created_at")
        given = {name: getattr(export, name) for name in names} | {"what": export.what.value, "format": export.format.value}
        await self._run.row(LOCK_USER, user_id=export.created_by_id)
        if await self._run.row(ADD, **given) is None:
            raise NotFound
        used = await self._used(export)
        quota.expect_room(live=used["live"], bytes=used["bytes"] + 1)

    async def get(self, *, project: str, export_id: UUID) -> Export:
        row = await self._run.row(GET, project=project, id=export_id)
        if row is None:
            raise NotFound
        return _entity(row, project)

    async def lock(self, *, project: str, export_id: UUID) -> Export:
        row = await self._run.row(LOCK, project=project, id=export_id)
        if row is None:
            raise NotFound
        return _entity(row, project)

    async def remove(self, export: Export) -> None:
        await self._run.row(REMOVE, id=export.id)

    async def page(self, project: str, *, of: Collection[Subject], after: UUID, limit: int) -> list[Export]:
        rows = await self._run.rows(PAGE, project=project, of=[each.value for each in of], after=after, limit=limit)
        if not rows and await self._run.row(PROJECT_EXISTS, project=project) is None:
            raise NotFound
        return [_entity(row, project) for row in rows]

    async def claim(self, *, at: datetime, until: datetime) -> Claim | None:
        row = await self._run.row(CLAIM, at=at, until=until)
        if row is None:
            return None
        return Claim(
            export=_entity(row, row["slug"]),
            attempts=row["attempts"],
            content=row["content"],
            title=row["title"],
            description=row["description"],
        )

    async def renew(self, claim: Claim, *, percent: int, until: datetime) -> bool:
        return await self._run.row(RENEW, **_key(claim), percent=percent, until=until) is not None

    async def finish(self, claim: Claim, manifest: Manifest, *, quota: Quota) -> bool:
        same = {name: getattr(manifest, name) for name in ("rows", "sha256", "survey_version")}
        columns = [[column.name, column.type.name] for column in manifest.columns]
        told = same | {"bytes": manifest.size, "columns": columns, "package": manifest.package.decode()}
        await self._run.row(LOCK_USER, user_id=claim.export.created_by_id)
        if await self._run.row(FINISH, **_key(claim), **told) is None:
            return False
        quota.expect_room(live=0, bytes=(await self._used(claim.export))["bytes"])
        return True

    async def fail(self, claim: Claim) -> None:
        await self._run.row(FAIL, **_key(claim))

    async def release(self, claim: Claim) -> None:
        await self._run.row(RELEASE, **_key(claim))

    async def unknown(self, contents: Sequence[UUID]) -> set[UUID]:
        return {row["content"] for row in await self._run.rows(UNKNOWN, contents=list(contents))}

    async def every(self, *, after: UUID, limit: int) -> list[Export]:
        return [_entity(row, row["slug"]) for row in await self._run.rows(EVERY, after=after, limit=limit)]

    async def take_unverified(self, *, before: datetime, at: datetime) -> Export | None:
        row = await self._run.row(TAKE, before=before, at=at)
        return None if row is None else _entity(row, row["slug"])

    async def _used(self, export: Export) -> dict[str, int]:
        """What the exports of its maker come to."""
        return dict(await self._run.one(USED, user_id=export.created_by_id))


def _key(claim: Claim) -> dict[str, UUID]:
    return {"id": claim.export.id, "claimed_as": claim.content}
