"""Kept outcomes in PostgreSQL: one lock a key while its request is worked on, one row a key from then on."""

from datetime import datetime
from hashlib import sha256

from sqlalchemy import BigInteger, bindparam, delete, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert

from adapters.postgres.database import Executor, Statement, parameters
from adapters.postgres.tables import TIME, replays
from application.ports import Replays
from domain.idempotency import KEPT_FOR, Keyed, KeyReused, StillRunning

SWEPT = 10  # expired rows that go with each one that comes: more than come, so that they do not pile up

_at = bindparam("at", type_=TIME)
_key = (replays.c.user_id, replays.c.key)
_new = insert(replays).values(parameters(replays))

LOCK = Statement(select(func.pg_try_advisory_xact_lock(bindparam("name", type_=BigInteger))))
FIND = Statement(
    select(replays.c.fingerprint, replays.c.outcome).where(
        replays.c.user_id == bindparam("user_id"), replays.c.key == bindparam("key"), replays.c.expires_at > _at
    )
)
KEEP = Statement(
    _new.on_conflict_do_update(index_elements=_key, set_={name: _new.excluded[name] for name in ("fingerprint", "outcome", "expires_at")})
)
_expired = select(*_key).where(replays.c.expires_at <= _at).order_by(replays.c.expires_at)
# Rows that another is about to renew are left to it: who waits for nothing stands in nobody's circle.
SWEEP = Statement(delete(replays).where(tuple_(*_key).in_(_expired.limit(SWEPT).with_for_update(skip_locked=True))))
SWEEP_ALL = Statement(delete(replays).where(tuple_(*_key).in_(_expired.with_for_update(skip_locked=True))))


class PostgresReplays(Replays):
    def __init__(self, executor: Executor) -> None:
        self._run = executor

    async def begin(self, keyed: Keyed, *, at: datetime) -> bytes | None:
        if not (await self._run.one(LOCK, name=_name(keyed)))[0]:
            raise StillRunning
        row = await self._run.row(FIND, user_id=keyed.user_id, key=keyed.key, at=at)
        if row is None:
            return None
        if row["fingerprint"] != keyed.fingerprint:
            raise KeyReused
        outcome: bytes = row["outcome"]
        return outcome

    async def keep(self, keyed: Keyed, outcome: bytes, *, at: datetime) -> None:
        await self._run.row(
            KEEP,
            user_id=keyed.user_id,
            key=keyed.key,
            fingerprint=keyed.fingerprint,
            outcome=outcome,
            expires_at=at + KEPT_FOR,
        )
        await self._run.row(SWEEP, at=at)


def _name(keyed: Keyed) -> int:
    """The lock of a user's key: 64 bits, by which two keys are taken for one about never, and then one of them waits."""
    return int.from_bytes(sha256(f"idempotency {keyed.user_id} {keyed.key}".encode()).digest()[:8], signed=True)
