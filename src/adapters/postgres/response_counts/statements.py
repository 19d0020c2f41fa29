"""The statement that counts, and what its rows mean.

Each respondent's answers are walked through once. What is counted together is put into one text, so that a table of twelve questions
takes four or five groupings and not a dozen; the rest is adding up some thousand rows.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Double,
    FromClause,
    Numeric,
    Text,
    bindparam,
    case,
    cast,
    func,
    literal,
    literal_column,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB

from adapters.postgres.database import Statement
from adapters.postgres.response_counts.columns import SEPARATOR, Column, Sql, any_counts, counts_as_number, number
from adapters.postgres.tables import responses
from domain.results.measure import Measure
from domain.survey.definition import Consent

COUNTS = "true"
REST_SECONDS = 0.0005  # PostgreSQL sleeps for whole milliseconds: one
KEYS_TOGETHER_MAX = 4096
COLUMNS_MAX = 200  # in one statement, which may have 1 664 in all
_AT_ONCE: Sql = literal_column("0")  # an offset: what is taken from a row is taken once, and not wherever it is named


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often the process that counts sleeps for a millisecond, so that nobody who wants its core waits for longer."""

    rows_between_rests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """Columns that are counted together, by one text of all their keys; first the one that makes groups, if there is one."""

    columns: tuple[Column, ...]
    by: Column | None = None

    def parts(self, key: str) -> list[tuple[Column, str, tuple[int, ...] | None]]:
        """For each column its part of a key, and where that counts; None: nowhere."""
        return [(column, part, column.cells.get(part)) for column, part in zip(self.columns, key.split(SEPARATOR), strict=True)]


def groupings(columns: Sequence[Column], *, by: Column | None = None) -> Iterator[Grouping]:
    """All columns, as many together as make some thousand keys, each time with the one that makes groups."""
    held: list[Column] = [] if by is None else [by]
    first, size = len(held), 1 if by is None else by.size
    together = size
    for column in columns:
        if len(held) > first and together * column.size > KEYS_TOGETHER_MAX:
            yield Grouping(columns=tuple(held), by=by)
            held, together = held[:first], size
        held.append(column)
        together *= column.size
    if len(held) > first or by is not None:
        yield Grouping(columns=tuple(held), by=by)


def batches(wanted: Iterable[Grouping]) -> Iterator[list[Grouping]]:
    """What is counted by one statement each."""
    batch: list[Grouping] = []
    for grouping in wanted:
        if batch and len(set(map(id, chain.from_iterable(each.columns for each in [*batch, grouping])))) > COLUMNS_MAX:
            yield batch
            batch = []
        batch.append(grouping)
    if batch:
        yield batch


def counting(wanted: Sequence[Grouping], consent: Consent | None, pace: Pace, *, anybody: Sequence[Column] = ()) -> Statement:
    """A row for each key of each grouping, in the column of that grouping and null in the others, with the `number` of respondents.

    With `anybody`, a last column counts who has an answer to any of these columns that counts.
    """
    source = _counted(consent, pace)
    columns = list({id(column): column for grouping in wanted for column in grouping.columns}.values())
    reads = {id(column): column.read(_answers(column, source, consent)).label(f"read_{i}") for i, column in enumerate(columns)}
    is_any = [any_counts(list(anybody), lambda column: _answers(column, source, consent)).label("is_any")] if anybody else []
    read = select(*reads.values(), *is_any).select_from(source).offset(_AT_ONCE).subquery("read")
    keys = [_key(grouping, reads, read).label(f"key_{i}") for i, grouping in enumerate(wanted)]
    if anybody:
        keys.append(cast(func.coalesce(read.c.is_any, False), Text).label("key_any"))
    keyed = select(*keys).offset(_AT_ONCE).subquery("keyed")
    return Statement(select(*keyed.c, func.count().label("number")).group_by(func.grouping_sets(*keyed.c)))


def _key(grouping: Grouping, reads: Mapping[int, Any], read: FromClause) -> Sql:
    first, *others = (column.key(read.c[reads[id(column)].name]) for column in grouping.columns)
    whole: Sql = cast(first, Text)
    for other in others:
        whole = whole.op("||", return_type=Text())(literal(SEPARATOR, Text)).op("||", return_type=Text())(cast(other, Text))
    return whole


def _counted(consent: Consent | None, pace: Pace) -> FromClause:
    """The answers of everybody who counts: behind a gate, `behind_gate` is null for who does not consent."""
    columns: list[Any] = [responses.c.answers]
    if consent is not None:
        given = responses.c.answers.op("->", return_type=JSONB())(literal(consent.field, Text))
        columns.append(case((given == literal(consent.accept, JSONB), responses.c.answers)).label("behind_gate"))
    query = select(*columns).where(
        responses.c.project_id == bindparam("project_id", type_=BigInteger), ~responses.c.is_test, _resting(pace)
    )
    return query.offset(_AT_ONCE).subquery("counted")


def _resting(pace: Pace) -> Sql:
    """True of each row."""
    is_rest = responses.c.id % literal(pace.rows_between_rests, BigInteger) == 0
    return case((is_rest, func.pg_sleep(REST_SECONDS, type_=Boolean).is_not(None)), else_=true())


def _answers(column: Column, source: FromClause, consent: Consent | None) -> Sql:
    is_behind = consent is not None and column.measure.field != consent.field
    found: Sql = source.c.behind_gate if is_behind else source.c.answers
    return found


def spread(measure: Measure, consent: Consent | None, pace: Pace) -> Statement:
    """The mean of a question's answers, and of `shares` of them in order the greatest, as texts that are exact."""
    source = _counted(consent, pace)
    answers = source.c.behind_gate if consent is not None and measure.field != consent.field else source.c.answers
    value = number(answers, measure.question)
    read = select(value.label("value")).select_from(source).offset(_AT_ONCE).subquery("read")
    ranked: Any = func.percentile_disc(bindparam("shares", type_=ARRAY(Double))).within_group(read.c.value)
    return Statement(
        select(cast(func.avg(cast(read.c.value, Numeric)), Text).label("mean"), cast(ranked, ARRAY(Text)).label("ranked")).where(
            counts_as_number(read.c.value, measure)
        ),
    )
