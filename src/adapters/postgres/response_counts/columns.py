"""How the answers to a question are told apart in SQL: by short texts, and what each of those stands for.

What PostgreSQL groups by are the stored answers themselves wherever they are few, which costs less than to place each of them; a
question of many possible answers is placed in its bins by PostgreSQL.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import ARRAY, Boolean, ColumnElement, Double, Integer, Numeric, Text, and_, any_, case, cast, func, literal, or_
from sqlalchemy.dialects.postgresql import JSONB

from domain.results.measure import UNANSWERED, Measure
from domain.survey import Question
from domain.survey.measuring import NumberQuestion
from domain.survey.question import INT64
from domain.survey.telling import TextQuestion

Sql = ColumnElement[Any]

UNCOUNTED = ""
SEPARATOR = "|"  # which no choice holds
LISTED_MAX = 1000
OPTIONS_AT_ONCE = 6
_KINDS = {"multi_choice": "array", "boolean": "boolean", "scale": "number", "integer": "number", "number": "number"}
_PLAIN = "0"
_DAYS = "((0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)"
_FOURTH = "(0[48]|[2468][048]|[13579][26])"
_LEAP = f"([0-9]{{2}}{_FOURTH}|{_FOURTH}00)"
DATE = f"^(?!0000)([0-9]{{4}}-{_DAYS}|{_LEAP}-02-29)$"


@dataclass(frozen=True, kw_only=True)
class Column:
    """A question, or some options of a multiple choice.

    `read` takes from the answers what is needed of them, once a row; `key` makes of that the text to group by, `UNCOUNTED` where
    nothing counts, and `accepted` whether it counts. `cells` tells for every other key where it counts; what is not in it does not.
    `is_first` is false of a multiple choice's further options: who answered is told by the first.
    """

    measure: Measure
    read: Callable[[Sql], Sql]
    key: Callable[[Sql], Sql]
    accepted: Callable[[Sql], Sql]
    cells: Mapping[str, tuple[int, ...]]
    is_first: bool = True

    @property
    def size(self) -> int:
        """How many keys there are, about."""
        return len(self.cells) + 1


def columns_of(measure: Measure, *, is_mixed: bool) -> Iterator[Column]:
    """`is_mixed` tells that the field was a question of another type once, whose answers may still be stored."""
    question = measure.question
    if measure.is_multiple:
        yield from _options(measure, is_mixed=is_mixed)
    elif listed := _listed(measure):
        yield Column(
            measure=measure,
            read=lambda answers: _text(answers, question, guarded=is_mixed),
            key=lambda read: func.coalesce(read, UNCOUNTED),
            accepted=lambda read: read == any_(literal(list(listed), ARRAY(Text))),
            cells={text: (place,) for text, place in listed.items()},
        )
    elif measure.is_numeric:
        yield _number(measure)
    else:
        yield _plain(measure, is_mixed=is_mixed)


def is_listed(measure: Measure) -> bool:
    """Whether the answers themselves are grouped by."""
    return bool(_listed(measure))


def _listed(measure: Measure) -> dict[str, int]:
    """The place of each answer that is possible, by its text, where these are few."""
    question = measure.question
    if question.type in ("scale", "integer"):
        low, high = getattr(question, "min", None), getattr(question, "max", None)
        if low is None or high is None or high - low >= LISTED_MAX:
            return {}
        found = {str(answer): measure.place(answer) for answer in range(low, high + 1)}
        return {text: place for text, place in found.items() if place != UNANSWERED}
    if not measure.cells or measure.is_numeric:
        return {}
    return {_spelt(cell["value"]): place for place, cell in enumerate(measure.cells)}


def _spelt(value: object) -> str:
    return value if isinstance(value, str) else str(value).lower()


def _text(answers: Sql, question: Question, *, guarded: bool) -> Sql:
    text: Sql = answers.op("->>", return_type=Text())(literal(question.field, Text))
    return case((_has_type(answers, question), text)) if guarded else text


def _has_type(answers: Sql, question: Question) -> Sql:
    kind: Sql = func.jsonb_typeof(_json(answers, question)) == _KINDS.get(question.type, "string")
    return kind


def _json(answers: Sql, question: Question) -> Sql:
    return answers.op("->", return_type=JSONB())(literal(question.field, Text))


def _options(measure: Measure, *, is_mixed: bool) -> Iterator[Column]:
    """A bit for each of some options; whoever answered with another option answered nothing that the question takes now."""
    question, values = measure.question, [str(cell["value"]) for cell in measure.cells]

    def read(answers: Sql) -> Sql:
        chosen = _json(answers, question)
        return case((_has_type(answers, question), chosen)) if is_mixed else chosen

    def accepted(read: Sql) -> Sql:
        is_taken: Sql = read.op("<@", return_type=Boolean())(literal(values, JSONB))
        return is_taken

    for start in range(0, len(values), OPTIONS_AT_ONCE):
        some = values[start : start + OPTIONS_AT_ONCE]

        def key(read: Sql, some: list[str] = some) -> Sql:
            bits = [cast(read.op("?", return_type=Boolean())(literal(value, Text)), Integer) * (1 << i) for i, value in enumerate(some)]
            return case((accepted(read), cast(sum(bits[1:], bits[0]), Text)), else_=UNCOUNTED)

        cells = {str(bits): tuple(start + i for i in range(len(some)) if bits >> i & 1) for bits in range(1 << len(some))}
        yield Column(measure=measure, read=read, key=key, accepted=accepted, cells=cells, is_first=start == 0)


def number(answers: Sql, question: Question) -> Sql:
    """An answer as a number, null where it is none."""
    return cast(_text(answers, question, guarded=True), Double if isinstance(question, NumberQuestion) else Numeric)


def counts_as_number(value: Sql, measure: Measure) -> Sql:
    """Whether the question takes this number now, and has a bin for it where it has any."""
    question = measure.question
    lowest, highest = getattr(question, "min", None), getattr(question, "max", None)
    bounds = [] if isinstance(question, NumberQuestion) else [func.scale(value) == 0, value.between(INT64.start, INT64.stop - 1)]
    bounds += [value >= _bound(low, value) for low in (lowest, *measure.lows[:1]) if low is not None]
    bounds += [value <= _bound(high, value) for high in (highest, measure.high) if high is not None]
    return and_(value.is_not(None), *bounds)


def _bound(bound: float, value: Sql) -> Sql:
    return literal(bound if isinstance(value.type, Double) else Decimal(bound), value.type)


def _number(measure: Measure) -> Column:
    question = measure.question

    def key(read: Sql) -> Sql:
        lows = literal([low if isinstance(question, NumberQuestion) else Decimal(low) for low in measure.lows], ARRAY(read.type))
        bin_number = cast(func.width_bucket(read, lows), Text) if measure.lows else literal(_PLAIN, Text)
        return case((counts_as_number(read, measure), bin_number), else_=UNCOUNTED)

    return Column(
        measure=measure,
        read=lambda answers: number(answers, question),
        key=key,
        accepted=lambda read: counts_as_number(read, measure),
        cells={str(place + 1): (place,) for place in range(len(measure.cells))} or {_PLAIN: ()},
    )


def _plain(measure: Measure, *, is_mixed: bool) -> Column:
    """Words and days are only counted. Days have a form; words a length, which may have been longer once."""
    question = measure.question

    def accepted(read: Sql) -> Sql:
        if isinstance(question, TextQuestion):
            return func.char_length(read) <= question.max_length
        is_day: Sql = read.op("~", return_type=Boolean())(literal(DATE, Text)) if is_mixed else read.is_not(None)
        return is_day

    return Column(
        measure=measure,
        read=lambda answers: _text(answers, question, guarded=is_mixed),
        key=lambda read: case((accepted(read), literal(_PLAIN, Text)), else_=UNCOUNTED),
        accepted=accepted,
        cells={_PLAIN: ()},
    )


def any_counts(columns: list[Column], of: Callable[[Column], Sql]) -> Sql:
    """Whether anything that a respondent answered counts; looks no further than to the first that does."""
    return or_(*(column.accepted(column.read(of(column))) for column in columns))
