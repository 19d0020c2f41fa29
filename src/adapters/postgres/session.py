"""Sign-ins and failed sign-ins in PostgreSQL."""

import hashlib
from dataclasses import asdict, fields
from datetime import datetime
from uuid import UUID

from asyncpg import Record
from sqlalchemy import BigInteger, and_, bindparam, delete, func, insert, select, update

from adapters.postgres.database import Executor, Pool, Statement, Transaction, parameters
from adapters.postgres.tables import TIME, sessions, sign_in_failures, users
from adapters.postgres.user import entity as user_entity
from application.ports import Sessions, SignInFailures
from domain.errors import NotFound
from domain.session import FAILED_SIGN_INS, FAILURE_WINDOW, IDLE_LIFETIME, Session
from domain.user import User

_at = bindparam("at", type_=TIME)

ADD = Statement(insert(sessions).values(parameters(sessions)))
LOCK = Statement(select(sessions).where(sessions.c.id == bindparam("session_id")).with_for_update(key_share=True))
SAVE = Statement(
    update(sessions).where(sessions.c.id == bindparam("id")).values(parameters(sessions, ["generation", "rotated_at", "ended_at"]))
)
_one = sessions.c.id == bindparam("session_id")
_live_of_user = (
    sessions.c.user_id == bindparam("user_id"),
    sessions.c.ended_at.is_(None),
    sessions.c.expires_at > _at,
    sessions.c.rotated_at > bindparam("idle_since", type_=TIME),
)
USER_OF = Statement(select(users).join(sessions, sessions.c.user_id == users.c.id).where(_one, *_live_of_user, users.c.is_active))
PAGE = Statement(
    select(sessions)
    .where(*_live_of_user, sessions.c.id > bindparam("after", type_=sessions.c.id.type))
    .order_by(sessions.c.id)
    .limit(bindparam("limit"))
)
END_OWN = Statement(update(sessions).where(_one, *_live_of_user).values(ended_at=_at).returning(sessions.c.id))
END = Statement(update(sessions).where(_one, sessions.c.ended_at.is_(None)).values(ended_at=_at).returning(sessions.c.user_id))
_newest_first = select(sessions.c.id).where(*_live_of_user).order_by(sessions.c.created_at.desc(), sessions.c.id.desc())
END_OLDEST = Statement(
    update(sessions)
    .where(sessions.c.id.in_(_newest_first.offset(bindparam("keep"))), sessions.c.ended_at.is_(None))
    .values(ended_at=_at)
    .returning(sessions.c.id)
)
END_ALL = Statement(
    update(sessions)
    .where(*_live_of_user, sessions.c.id.is_distinct_from(bindparam("but", type_=sessions.c.id.type)))
    .values(ended_at=_at)
    .returning(sessions.c.id)
)


def _entity(row: Record) -> Session:
    return Session(**{field.name: row[field.name] for field in fields(Session)})


class PostgresSessions(Sessions):
    def __init__(self, executor: Executor) -> None:
        self._run = executor

    async def add(self, session: Session) -> None:
        await self._run.row(ADD, **asdict(session))

    async def lock(self, session_id: UUID) -> Session | None:
        row = await self._run.row(LOCK, session_id=session_id)
        return _entity(row) if row else None

    async def save(self, session: Session) -> None:
        await self._run.row(SAVE, **asdict(session))

    async def user_of(self, *, session_id: UUID, user_id: int, at: datetime) -> User | None:
        row = await self._run.row(USER_OF, session_id=session_id, user_id=user_id, at=at, idle_since=at - IDLE_LIFETIME)
        return user_entity(row) if row else None

    async def page(self, user_id: int, *, at: datetime, after: UUID, limit: int) -> list[Session]:
        rows = await self._run.rows(PAGE, user_id=user_id, at=at, idle_since=at - IDLE_LIFETIME, after=after, limit=limit)
        return [_entity(row) for row in rows]

    async def end(self, session_id: UUID, *, at: datetime) -> int | None:
        row = await self._run.row(END, session_id=session_id, at=at)
        return row["user_id"] if row else None

    async def end_own(self, session_id: UUID, *, user_id: int, at: datetime) -> None:
        if await self._run.row(END_OWN, session_id=session_id, user_id=user_id, at=at, idle_since=at - IDLE_LIFETIME) is None:
            raise NotFound

    async def end_oldest(self, user_id: int, *, keep: int, at: datetime) -> list[UUID]:
        rows = await self._run.rows(END_OLDEST, user_id=user_id, keep=keep, at=at, idle_since=at - IDLE_LIFETIME)
        return sorted(row["id"] for row in rows)

    async def end_all(self, user_id: int, *, at: datetime, but: UUID | None = None) -> list[UUID]:
        rows = await self._run.rows(END_ALL, user_id=user_id, at=at, idle_since=at - IDLE_LIFETIME, but=but)
        return sorted(row["id"] for row in rows)


# So that a try sees every earlier one of its name, also those that were being counted at the same time.
ONE_AT_A_TIME = Statement(select(func.pg_advisory_xact_lock(bindparam("name", type_=BigInteger))))
BEGIN = Statement(
    insert(sign_in_failures)
    .values(username_hash=bindparam("username_hash"), network=bindparam("network"), failed_at=_at)
    .returning(sign_in_failures.c.id)
)
_earlier = (
    sign_in_failures.c.username_hash == bindparam("username_hash"),
    sign_in_failures.c.failed_at > bindparam("since", type_=TIME),
    sign_in_failures.c.id < bindparam("number"),
)
# The failures before this try that still count, newest first; the one numbered FAILED_SIGN_INS is the one to outlive.
_ranked = (
    select(
        sign_in_failures.c.failed_at,
        func.row_number().over(order_by=sign_in_failures.c.id.desc()).label("place"),
        func.bool_or(sign_in_failures.c.network == bindparam("network")).over().label("from_here"),
    )
    .where(*_earlier)
    .subquery()
)
BLOCKING = Statement(select(_ranked.c.failed_at).where(and_(_ranked.c.place == FAILED_SIGN_INS, _ranked.c.from_here)))
FORGIVE = Statement(delete(sign_in_failures).where(sign_in_failures.c.id == bindparam("number")))
FORGET = Statement(delete(sign_in_failures).where(sign_in_failures.c.failed_at <= bindparam("since", type_=TIME)))


class PostgresSignInFailures(SignInFailures):
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def begin(self, *, username: str, network: str, at: datetime) -> tuple[int, datetime | None]:
        await self._pool.row(FORGET, since=at - FAILURE_WINDOW)
        async with Transaction(self._pool) as work:
            counted = await count_try(work, username=username, network=network, at=at)
            await work.commit()
        return counted

    async def forgive(self, number: int) -> None:
        await self._pool.row(FORGIVE, number=number)


async def count_try(work: Transaction, *, username: str, network: str, at: datetime) -> tuple[int, datetime | None]:
    """Count a try within a transaction; what the port says of `begin` holds once that is committed."""
    name = hashlib.sha256(username.encode("utf-8", "surrogatepass")).digest()
    await work.row(ONE_AT_A_TIME, name=int.from_bytes(name[:8], signed=True))
    number: int = (await work.one(BEGIN, username_hash=name, network=network, at=at))["id"]
    blocking = await work.row(BLOCKING, username_hash=name, network=network, number=number, since=at - FAILURE_WINDOW)
    return number, blocking["failed_at"] + FAILURE_WINDOW if blocking else None
