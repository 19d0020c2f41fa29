"""Accounts and their one-time set-up tokens in PostgreSQL."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

from asyncpg import Record
from sqlalchemy import Text, any_, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert

from adapters.postgres.database import Executor, Statement, parameters
from adapters.postgres.tables import TIME, setup_tokens, users
from application.ports import SetupTokens, Users
from domain.access import Role
from domain.errors import NotFound
from domain.text import folded
from domain.user import User

_by_id = select(users).where(users.c.id == bindparam("user_id"))

ADD = Statement(insert(users).values(parameters(users, but=["id"])).returning(users.c.id))
_given = [c for c in users.c if c.name != "id"]
# unnest makes one row of the entries that stand at the same place in each array.
ADD_FREE = Statement(
    upsert(users)
    .from_select(_given, select(*(func.unnest(bindparam(c.name, type_=ARRAY(c.type))) for c in _given)))
    .on_conflict_do_nothing(index_elements=[users.c.username])
    .returning(users)
)
GET = Statement(_by_id)
LOCK = Statement(_by_id.with_for_update(key_share=True))
BY_USERNAME = Statement(select(users).where(users.c.username == bindparam("username")))
NAMED = Statement(select(users).where(users.c.username == any_(bindparam("usernames", type_=ARRAY(Text)))))
LOCK_ACTIVE_ADMINS = Statement(
    select(users.c.id).where(users.c.role == "admin", users.c.is_active).order_by(users.c.id).with_for_update(key_share=True)
)
SAVE = Statement(update(users).where(users.c.id == bindparam("id")).values(parameters(users, but=["id", "username", "created_at"])))
PAGE = Statement(
    select(users)
    .where(
        users.c.id > bindparam("after"),
        func.strpos(users.c.search_text, bindparam("search")) > 0,
    )
    .order_by(users.c.id)
    .limit(bindparam("limit"))
)


def entity(row: Record) -> User:
    """The user of a row that holds all columns of `users`."""
    return User(**{field.name: row[field.name] for field in fields(User)} | {"role": Role(row["role"])})


def _row(user: User) -> dict[str, Any]:
    return {c.name: getattr(user, c.name) for c in users.c} | {"role": user.role.value}


class PostgresUsers(Users):
    def __init__(self, executor: Executor) -> None:
        self._run = executor

    async def add(self, user: User) -> User:
        return replace(user, id=(await self._run.one(ADD, **_row(user)))["id"])

    async def add_free(self, users: Sequence[User]) -> list[User]:
        # Always in one order, so that two who add the same names at once wait for each other and never in a circle.
        rows = sorted(map(_row, users), key=lambda row: str(row["username"]))
        added = await self._run.rows(ADD_FREE, **{c.name: [row[c.name] for row in rows] for c in _given})
        return [entity(row) for row in added]

    async def get(self, user_id: int) -> User:
        return await self._found(GET, user_id)

    async def lock(self, user_id: int) -> User:
        return await self._found(LOCK, user_id)

    async def by_username(self, username: str) -> User | None:
        row = await self._run.row(BY_USERNAME, username=username)
        return entity(row) if row else None

    async def named(self, usernames: Sequence[str]) -> list[User]:
        return [entity(row) for row in await self._run.rows(NAMED, usernames=list(usernames))]

    async def lock_active_admins(self) -> frozenset[int]:
        return frozenset(row["id"] for row in await self._run.rows(LOCK_ACTIVE_ADMINS))

    async def save(self, user: User) -> None:
        await self._run.row(SAVE, **_row(user))

    async def page(self, *, search: str | None, after: int, limit: int) -> list[User]:
        rows = await self._run.rows(PAGE, search=folded(search or ""), after=after, limit=limit)
        return [entity(row) for row in rows]

    async def _found(self, statement: Statement, user_id: int) -> User:
        row = await self._run.row(statement, user_id=user_id)
        if row is None:
            raise NotFound
        return entity(row)


_new_tokens = upsert(setup_tokens).from_select(
    [setup_tokens.c.token_hash, setup_tokens.c.user_id, setup_tokens.c.expires_at],
    select(
        func.unnest(bindparam("token_hashes", type_=ARRAY(setup_tokens.c.token_hash.type))),
        func.unnest(bindparam("user_ids", type_=ARRAY(users.c.id.type))),
        bindparam("expires_at", type_=TIME),
    ),
)
ADD_TOKENS = Statement(
    _new_tokens.on_conflict_do_update(
        index_elements=[setup_tokens.c.user_id],
        set_={"token_hash": _new_tokens.excluded.token_hash, "expires_at": _new_tokens.excluded.expires_at},
    )
)
# The user first, as everybody locks who ends tokens: who waited here finds the token gone.
_holder = (
    select(users.c.id)
    .where(users.c.id == select(setup_tokens.c.user_id).where(setup_tokens.c.token_hash == bindparam("token_hash")).scalar_subquery())
    .with_for_update(key_share=True)
    .cte("holder")
)
REDEEM_TOKEN = Statement(
    delete(setup_tokens)
    .where(setup_tokens.c.token_hash == bindparam("token_hash"), setup_tokens.c.user_id == _holder.c.id)
    .returning(setup_tokens.c.user_id, setup_tokens.c.expires_at)
)
END_TOKENS = Statement(delete(setup_tokens).where(setup_tokens.c.user_id == bindparam("user_id")))


class PostgresSetupTokens(SetupTokens):
    def __init__(self, executor: Executor) -> None:
        self._run = executor

    async def add(self, *, token: str, user_id: int, expires_at: datetime) -> None:
        await self.add_all({user_id: token}, expires_at=expires_at)

    async def add_all(self, tokens: Mapping[int, str], *, expires_at: datetime) -> None:
        ids = sorted(tokens)
        await self._run.rows(ADD_TOKENS, token_hashes=[_hash(tokens[id]) for id in ids], user_ids=ids, expires_at=expires_at)

    async def redeem(self, token: str, *, at: datetime) -> int | None:
        row = await self._run.row(REDEEM_TOKEN, token_hash=_hash(token))
        return row["user_id"] if row and at < row["expires_at"] else None

    async def end(self, user_id: int) -> None:
        await self._run.row(END_TOKENS, user_id=user_id)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
