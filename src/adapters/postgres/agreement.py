"""The labels of a set in PostgreSQL, as columns: one row of bytes, so that nothing is decoded label by label."""

import sys
from array import array

from sqlalchemy import BigInteger, Text, bindparam, cast, func, literal, select
from sqlalchemy.dialects.postgresql import BYTEA, aggregate_order_by

from adapters.postgres.database import Executor, Statement
from adapters.postgres.tables import annotations, resources, users
from application.ports import LabelReader
from domain.agreement import Gathered
from domain.label_set import LabelSet

_given = annotations.c
_live = (
    select(_given.id, _given.version, _given.resource_id, _given.annotator_id, _given.value)
    .join(resources, resources.c.id == _given.resource_id)
    .where(_given.label_set_id == bindparam("label_set_id", type_=BigInteger), resources.c.deleted_at.is_(None))
    .cte("live")
)
# A sum of hashes: of two different sets of annotations and versions, one in 2^64 has the same.
MARK = Statement(
    select(
        func.count().label("number"),
        cast(func.coalesce(func.sum(func.hashint8extended(_live.c.id, _live.c.version)), 0), Text).label("hashes"),
    ).select_from(_live)
)

_different = select(_live.c.value).distinct().subquery()
_label = select(_different.c.value, func.row_number().over(order_by=_different.c.value).label("place")).cte("label")
_row = func.int8send(_live.c.resource_id).op("||")(func.int8send(_live.c.annotator_id)).op("||")(func.int8send(_label.c.place - 1))
_in_order = aggregate_order_by(literal(b"", BYTEA), _live.c.resource_id, _live.c.annotator_id)
_annotators = select(users.c.id, users.c.username).where(users.c.id.in_(select(_live.c.annotator_id))).subquery()
GATHER = Statement(
    select(
        select(func.string_agg(_row, _in_order, type_=BYTEA))
        .select_from(_live.join(_label, _label.c.value == _live.c.value))
        .scalar_subquery()
        .label("rows"),
        select(func.jsonb_agg(aggregate_order_by(_label.c.value, _label.c.place))).scalar_subquery().label("labels"),
        select(func.jsonb_object_agg(cast(_annotators.c.id, Text), _annotators.c.username)).scalar_subquery().label("names"),
    )
)
_WIDTH = 3


class PostgresLabelReader(LabelReader):
    def __init__(self, executor: Executor) -> None:
        self._run = executor

    async def mark(self, label_set: LabelSet) -> str:
        row = await self._run.one(MARK, label_set_id=label_set.id)
        return f"{row['number']} {row['hashes']}"

    async def gather(self, label_set: LabelSet) -> Gathered:
        row = await self._run.one(GATHER, label_set_id=label_set.id)
        cells = array("q", row["rows"] or b"")
        if sys.byteorder == "little":
            cells.byteswap()
        return Gathered(
            resources=cells[0::_WIDTH],
            annotators=cells[1::_WIDTH],
            places=cells[2::_WIDTH],
            labels=tuple(row["labels"] or ()),
            names={int(annotator): name for annotator, name in (row["names"] or {}).items()},
        )
