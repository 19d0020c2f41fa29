"""The chain over the audit trail in PostgreSQL.

Entries come to wait for their link by a trigger, in the transaction that adds them: so one that is not committed is not seen here, and
none is passed over, in whatever order they commit.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import accumulate

from asyncpg import Record
from sqlalchemy import BigInteger, LargeBinary, bindparam, delete, exists, func, insert, select
from sqlalchemy.dialects.postgresql import ARRAY

from adapters.postgres.audit import recorded
from adapters.postgres.database import Pool, Statement, Transaction
from adapters.postgres.tables import audit_entries, audit_links, audit_waiting
from application.ports import AuditChain, ChainSnapshot, Stretch
from domain.audit import Recorded
from domain.audit_chain import BEGINNING, Head, Link

_LOCK = 0x41756469  # any constant: one chainer at a time over all processes
_BATCH = 1_000
_STRETCH = 20_000

_ids = bindparam("ids", type_=ARRAY(BigInteger))

ANY_WAITING = Statement(select(exists(select(audit_waiting.c.entry_id))))
TAKE_TURN = Statement(select(func.pg_try_advisory_xact_lock(_LOCK)))
HEAD = Statement(select(audit_links.c.position, audit_links.c.hash).order_by(audit_links.c.position.desc()).limit(1))
# One that is gone stays waiting, for `lost` to tell of it.
WAITING = Statement(
    select(audit_entries)
    .join(audit_waiting, audit_waiting.c.entry_id == audit_entries.c.id)
    .order_by(audit_waiting.c.entry_id)
    .limit(bindparam("limit"))
)
LINK = Statement(
    insert(audit_links).from_select(
        ["position", "entry_id", "hash"],
        select(
            func.unnest(bindparam("positions", type_=ARRAY(BigInteger))),
            func.unnest(_ids),
            func.unnest(bindparam("hashes", type_=ARRAY(LargeBinary))),
        ),
    )
)
DONE = Statement(delete(audit_waiting).where(audit_waiting.c.entry_id == func.any(_ids)))

LINKS = Statement(
    select(audit_links.c.position, audit_links.c.entry_id, audit_links.c.hash, audit_entries)
    .outerjoin(audit_entries, audit_entries.c.id == audit_links.c.entry_id)
    .where(audit_links.c.position > bindparam("after", type_=BigInteger))
    .order_by(audit_links.c.position)
    .limit(_BATCH)
)
_some = (
    select(audit_entries.c.id)
    .where(audit_entries.c.id > bindparam("after", type_=BigInteger))
    .order_by(audit_entries.c.id)
    .limit(_STRETCH)
    .subquery()
)
_waits = audit_waiting.c.entry_id.is_not(None)
STRETCH = Statement(
    select(
        func.count().label("entries"),
        func.count().filter(_waits).label("waiting"),
        func.min(_some.c.id).filter(~_waits, audit_links.c.position.is_(None)).label("unchained"),
        func.max(_some.c.id).label("last"),
    ).select_from(
        _some.outerjoin(audit_links, audit_links.c.entry_id == _some.c.id).outerjoin(audit_waiting, audit_waiting.c.entry_id == _some.c.id)
    )
)
LOST = Statement(select(func.min(audit_waiting.c.entry_id)).where(~exists().where(audit_entries.c.id == audit_waiting.c.entry_id)))


class PostgresAuditChain(AuditChain):
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def extend(self, link: Callable[[Head, Recorded], Head], *, limit: int) -> int:
        if not (await self._pool.one(ANY_WAITING))[0]:
            return 0
        async with Transaction(self._pool) as work:
            if not (await work.one(TAKE_TURN))[0]:
                return 0
            rows = await work.rows(WAITING, limit=limit)
            # On a thread: hashing a batch must not hold up anybody's answer.
            heads = await asyncio.to_thread(_heads, await _head(work), rows, link)
            ids = [row["id"] for row in rows]
            await work.row(LINK, positions=[head.position for head in heads], ids=ids, hashes=[head.hash for head in heads])
            await work.row(DONE, ids=ids)
            await work.commit()
        return len(rows)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[ChainSnapshot]:
        async with Transaction(self._pool, snapshot=True) as moment:
            yield _Snapshot(moment)


class _Snapshot(ChainSnapshot):
    def __init__(self, moment: Transaction) -> None:
        self._moment = moment

    async def head(self) -> Head:
        return await _head(self._moment)

    async def links(self) -> AsyncIterator[list[Link]]:
        after = 0
        while rows := await self._moment.rows(LINKS, after=after):
            yield [_link(row) for row in rows]
            after = rows[-1]["position"]

    async def stretches(self) -> AsyncIterator[Stretch]:
        after = 0
        while (row := await self._moment.one(STRETCH, after=after))["entries"]:
            yield Stretch(entries=row["entries"], waiting=row["waiting"], unchained=row["unchained"])
            after = row["last"]

    async def lost(self) -> int | None:
        lost: int | None = (await self._moment.one(LOST))[0]
        return lost


async def _head(work: Transaction) -> Head:
    row = await work.row(HEAD)
    return Head(position=row["position"], hash=row["hash"]) if row else BEGINNING


def _heads(head: Head, rows: Sequence[Record], link: Callable[[Head, Recorded], Head]) -> list[Head]:
    """The head after each of these entries."""
    return list(accumulate(map(recorded, rows), link, initial=head))[1:]


def _link(row: Record) -> Link:
    record = None if row["id"] is None else recorded(row)
    return Link(position=row["position"], entry_id=row["entry_id"], hash=row["hash"], record=record)
