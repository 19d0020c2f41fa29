"""A replica that answers who may be told what is some seconds old, for as long as it is known to be no older than that.

How old it is is told without clocks: the primary's position in its log is noted each time the two are looked at, and what the replica
has replayed shows since which of those moments it lacks something.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import asyncpg
from sqlalchemy import BigInteger, ColumnClause, cast, func, literal_column, select

from adapters.postgres.database import ANSWER_SECONDS, Executor, Pool, Statement
from domain.errors import DomainError, Unavailable

SECONDS = 1.0  # then the replica gives up
REPLICA_SECONDS = 1.2  # then nothing more is expected of it: the primary has the rest of the time, and has to do
_NEVER = float("-inf")
_BEGINNING: ColumnClause[Any] = literal_column("'0/0'::pg_lsn")

WRITTEN = Statement(select(cast(func.pg_wal_lsn_diff(func.pg_current_wal_lsn(), _BEGINNING), BigInteger).label("position")))
REPLAYED = Statement(
    select(
        func.pg_is_in_recovery().label("follows"),
        cast(func.pg_wal_lsn_diff(func.pg_last_wal_replay_lsn(), _BEGINNING), BigInteger).label("position"),
    )
)


class Replica:
    """A replica's pool, and how old what it answers may be. Nothing is connected before it is looked at first."""

    def __init__(self, url: str, *, primary: Pool, size: int, lag: float) -> None:
        """`lag`: seconds that an answer may be behind the primary."""
        self.pool = Pool(url, size=size, seconds=SECONDS)
        self._primary = primary
        self._lag = lag
        self._is_open = False
        self._written: deque[tuple[float, int]] = deque()
        self._as_of = _NEVER

    @property
    def is_fresh(self) -> bool:
        """Whether it has all that was committed longer ago than it may lag."""
        return time.monotonic() - self._as_of <= self._lag

    def distrust(self) -> None:
        """Do not use it before it was looked at again."""
        self._as_of = _NEVER

    async def look(self) -> None:
        """Find out how old it is. Whatever goes wrong only means that it is not used."""
        try:
            self._note(time.monotonic(), (await self._primary.one(WRITTEN))["position"])
            if not self._is_open:
                await self.pool.__aenter__()
                self._is_open = True
            replayed = await self.pool.one(REPLAYED)
            self._as_of = self._seen(replayed["position"]) if replayed["follows"] else _NEVER
        except (DomainError, asyncpg.PostgresError):
            self._written.clear()
            self._as_of = _NEVER

    def _note(self, at: float, position: int) -> None:
        if self._written and position < self._written[-1][1]:
            self._written.clear()  # another server is the primary now
        while self._written and at - self._written[0][0] > 2 * self._lag:
            self._written.popleft()
        self._written.append((at, position))

    def _seen(self, replayed: int | None) -> float:
        """The last moment whose commits have all been replayed."""
        return max((at for at, position in self._written if replayed is not None and position <= replayed), default=_NEVER)

    async def __aenter__(self) -> Self:
        await self.look()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.distrust()
        if self._is_open:
            self._is_open = False
            await self.pool.__aexit__(kind, error, traceback)


class ReplicaFirst(Executor):
    """Statements that only read: on the replica while it is fresh and `may_lag` says that this will do.

    Otherwise, and when it fails, they run on the primary. Both together take no longer than the primary by itself might.
    """

    def __init__(self, primary: Pool, replica: Replica, *, may_lag: Callable[[], bool]) -> None:
        self._primary = primary
        self._replica = replica
        self._may_lag = may_lag

    async def rows(self, statement: Statement, due: float | None = None, /, **given: Any) -> list[asyncpg.Record]:
        found: list[asyncpg.Record] = await self._asked("rows", statement, due, given)
        return found

    async def row(self, statement: Statement, due: float | None = None, /, **given: Any) -> asyncpg.Record | None:
        found: asyncpg.Record | None = await self._asked("row", statement, due, given)
        return found

    async def _asked(self, what: str, statement: Statement, due: float | None, given: dict[str, Any]) -> Any:
        now = asyncio.get_running_loop().time()
        due = now + ANSWER_SECONDS if due is None else due
        if self._may_lag() and self._replica.is_fresh:
            try:
                return await getattr(self._replica.pool, what)(statement, min(due, now + REPLICA_SECONDS), **given)
            except (Unavailable, asyncpg.PostgresError):
                self._replica.distrust()
        return await getattr(self._primary, what)(statement, due, **given)
