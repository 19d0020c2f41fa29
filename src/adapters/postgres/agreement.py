"""The labels of a set in PostgreSQL, in groups and as bytes: one row, so that nothing is decoded label by label."""

import sys
from array import array

from asyncpg import Record
from sqlalchemy import BigInteger, Column, ColumnElement, Text, and_, bindparam, case, cast, func, literal, select, true
from sqlalchemy.dialects.postgresql import BYTEA

from adapters.postgres.database import Pool, Statement, Transaction
from adapters.postgres.tables import annotations, resources, users
from application.ports import LabelReader
from domain.agreement import Gathered
from domain.label_set import LabelSet

REST_SECONDS = 0.0005  # PostgreSQL sleeps for whole milliseconds: one
# Some three tenths of a millisecond of its work each, so that nobody who wants that core waits longer.
ANNOTATIONS_AT_ONCE = 512
RESOURCES_AT_ONCE = 4096


def _resting(id: "Column[int]", *, rows: int) -> ColumnElement[bool]:
    """True of each row; the process that reads them sleeps for a moment after so many."""
    return case((id % rows == 0, func.pg_sleep(REST_SECONDS).is_not(None)), else_=true())


_given = annotations.c
_live = (
    select(_given.id, _given.version, _given.resource_id, _given.annotator_id, _given.value)
    .join(resources, and_(resources.c.project_id == bindparam("project_id", type_=BigInteger), resources.c.id == _given.resource_id))
    .where(
        _given.label_set_id == bindparam("label_set_id", type_=BigInteger),
        resources.c.deleted_at.is_(None),
        _resting(_given.id, rows=ANNOTATIONS_AT_ONCE),
        _resting(resources.c.id, rows=RESOURCES_AT_ONCE),
    )
    .subquery("live")
)
# Whoever asks has time, and others do not: one process, not one on every core, which saves little here. A statement that could change
# a setting is never run by several, and this one ends with it.
_alone = func.set_config("max_parallel_workers_per_gather", "0", true())
# A sum of hashes: of two different sets of annotations and versions, one in 2^64 has the same.
MARK = Statement(
    select(
        _alone,
        func.count().label("number"),
        cast(func.coalesce(func.sum(func.hashint8extended(_live.c.id, _live.c.version)), 0), Text).label("hashes"),
    ).select_from(_live)
)

_NOTHING = literal(b"", BYTEA)
_group = (
    select(
        _live.c.annotator_id,
        _live.c.value,
        func.count().label("times"),
        func.string_agg(func.int8send(_live.c.resource_id), _NOTHING, type_=BYTEA).label("resources"),
    )
    .group_by(_live.c.annotator_id, _live.c.value)
    .subquery("label")
)
GATHER = Statement(
    select(
        _alone,
        func.string_agg(_group.c.resources, _NOTHING, type_=BYTEA).label("resources"),
        func.string_agg(func.int8send(_group.c.annotator_id), _NOTHING, type_=BYTEA).label("annotators"),
        func.string_agg(func.int8send(_group.c.times), _NOTHING, type_=BYTEA).label("times"),
        func.jsonb_agg(_group.c.value).label("labels"),
        func.jsonb_object_agg(cast(users.c.id, Text), users.c.username).label("names"),
    ).select_from(_group.join(users, users.c.id == _group.c.annotator_id))
)


class PostgresLabelReader(LabelReader):
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def mark(self, label_set: LabelSet) -> str:
        row = await self._one(MARK, label_set)
        return f"{row['number']} {row['hashes']}"

    async def gather(self, label_set: LabelSet) -> Gathered:
        row = await self._one(GATHER, label_set)
        return Gathered(
            resources=row["resources"] or b"",
            annotators=_numbers(row["annotators"]),
            labels=row["labels"] or (),
            times=_numbers(row["times"]),
            names={int(annotator): name for annotator, name in (row["names"] or {}).items()},
        )

    async def _one(self, statement: Statement, label_set: LabelSet) -> Record:
        """In a transaction, where what rests may take its time."""
        async with Transaction(self._pool, snapshot=True) as transaction:
            return await transaction.one(statement, label_set_id=label_set.id, project_id=label_set.project_id)


def _numbers(sent: bytes | None) -> "array[int]":
    numbers = array("q", sent or b"")
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers
