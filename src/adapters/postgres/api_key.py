"""API keys in PostgreSQL: found by the hash of their secret, which is all that is kept of it."""

import hashlib
from dataclasses import asdict, replace
from datetime import datetime

from asyncpg import Record
from sqlalchemy import bindparam, func, insert, or_, select, update

from adapters.postgres.database import Executor, Statement, parameters
from adapters.postgres.tables import TIME, api_keys, users
from adapters.postgres.user import entity as user_entity
from application.ports import ApiKeys
from domain.api_key import USE_NOTED_EVERY, ApiKey, Scope
from domain.errors import NotFound
from domain.user import User

_at = bindparam("at", type_=TIME)
_KEY = [column for column in api_keys.c if column.name != "key_hash"]
_AS = "key_"  # before the names of a key's columns, where a user's stand beside them
_live = (api_keys.c.revoked_at.is_(None), api_keys.c.expires_at > _at)
_own = api_keys.c.user_id == bindparam("user_id")

ADD = Statement(insert(api_keys).values(parameters(api_keys, but=["id"])).returning(api_keys.c.id))
COUNT = Statement(select(func.count()).select_from(api_keys).where(_own, *_live))
PAGE = Statement(select(*_KEY).where(_own, *_live, api_keys.c.id > bindparam("after")).order_by(api_keys.c.id).limit(bindparam("limit")))
HOLDER = Statement(
    select(users, *(column.label(_AS + column.name) for column in _KEY))
    .join(api_keys, api_keys.c.user_id == users.c.id)
    .where(api_keys.c.key_hash == bindparam("key_hash"), *_live, users.c.is_active)
)
NOTE_USE = Statement(
    update(api_keys)
    .where(
        api_keys.c.id == bindparam("id"),
        or_(api_keys.c.last_used_at.is_(None), api_keys.c.last_used_at <= bindparam("due_since", type_=TIME)),
    )
    .values(last_used_at=_at)
)
REVOKE = Statement(
    update(api_keys).where(api_keys.c.id == bindparam("key_id"), _own, *_live).values(revoked_at=_at).returning(api_keys.c.id)
)
REVOKE_ALL = Statement(update(api_keys).where(_own, *_live).values(revoked_at=_at).returning(api_keys.c.id))


def _entity(row: Record, prefix: str = "") -> ApiKey:
    stored = {column.name: row[prefix + column.name] for column in _KEY}
    return ApiKey(**stored | {"scopes": frozenset(map(Scope, stored["scopes"]))})


class PostgresApiKeys(ApiKeys):
    def __init__(self, executor: Executor) -> None:
        self._run = executor

    async def add(self, key: ApiKey, *, secret: str) -> ApiKey:
        scopes = sorted(scope.value for scope in key.scopes)
        added = await self._run.one(ADD, **asdict(key) | {"scopes": scopes, "key_hash": _hash(secret)})
        return replace(key, id=added["id"])

    async def count(self, user_id: int, *, at: datetime) -> int:
        found: int = (await self._run.one(COUNT, user_id=user_id, at=at))[0]
        return found

    async def page(self, user_id: int, *, at: datetime, after: int, limit: int) -> list[ApiKey]:
        return [_entity(row) for row in await self._run.rows(PAGE, user_id=user_id, at=at, after=after, limit=limit)]

    async def holder(self, secret: str, *, at: datetime) -> tuple[User, ApiKey] | None:
        row = await self._run.row(HOLDER, key_hash=_hash(secret), at=at)
        return (user_entity(row), _entity(row, _AS)) if row else None

    async def note_use(self, key_id: int, *, at: datetime) -> None:
        await self._run.row(NOTE_USE, id=key_id, at=at, due_since=at - USE_NOTED_EVERY)

    async def revoke(self, key_id: int, *, user_id: int, at: datetime) -> None:
        if await self._run.row(REVOKE, key_id=key_id, user_id=user_id, at=at) is None:
            raise NotFound

    async def revoke_all(self, user_id: int, *, at: datetime) -> list[int]:
        return sorted(row["id"] for row in await self._run.rows(REVOKE_ALL, user_id=user_id, at=at))


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
