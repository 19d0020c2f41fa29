"""Results as they are published: aggregates of a survey without what a small group could be known by."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from domain.results.measure import Measure, crossing, measures_of
from domain.results.suppression import Mask, crossed, crossed_options, shown
from domain.results.tally import Tally
from domain.survey import Definition, Survey
from domain.survey.definition import Protection

QUARTILES_FROM = 4
STEP_SHARE = 20
_SHARE_OF_THE_LARGEST = 10

OVERALL = ""


def crossed_by(definition: Definition) -> tuple[str, ...]:
    """The fields that the results of this survey can be cross-tabulated by."""
    return crossing(measures_of(definition))


def may_advance(survey: Survey, *, changed: int, n: int | None = None) -> bool:
    """Whether results may be published anew, so many respondents having been added or changed since they last were, of `n`."""
    return changed >= step_of(survey, n)


def step_of(survey: Survey, n: int | None) -> int:
    """How many respondents have to be added or changed for the next step: at least a twentieth of the `n` that the last one told."""
    return max(survey.definition.results.minimum_cell, -(-(n or 0) // STEP_SHARE))


def may_show(survey: Survey, *, minimum_cell: int) -> bool:
    """Whether results may still be seen that were published under this minimum cell, by what the team asks for now."""
    return minimum_cell >= survey.definition.results.minimum_cell


def _nothing(survey: Survey, by: str) -> dict[str, Any]:
    """The results of a survey with too few respondents."""
    head = {"survey_version": survey.version, "protection": Protection.SUPPRESSION.value, "n": None}
    groups = {} if by == OVERALL else {"by": {"field": by, "groups": []}}
    return head | {"minimum_cell": survey.definition.results.minimum_cell} | groups | {"questions": []}


def publish(survey: Survey, tally: Tally) -> dict[str, dict[str, Any]]:
    """The results overall and by each field that they are cross-tabulated by, all of the same respondents."""
    minimum = survey.definition.results.minimum_cell
    if tally.n < minimum:
        return {by: _nothing(survey, by) for by in (OVERALL, *tally.by)}
    questions = [_Question.of(tally, i, minimum) for i in range(len(tally.measures))]
    tables = dict(_tables(tally, questions, minimum))
    head = {"survey_version": survey.version, "protection": Protection.SUPPRESSION.value, "n": tally.n, "minimum_cell": minimum}
    documents = {OVERALL: head | {"questions": [question.document() for question in questions]}}
    for by in (question for question in questions if question.measure.field in tally.by):
        crossings = [
            {"groups": by.groups(question, *tables[by.place, question.place])} if (by.place, question.place) in tables else {}
            for question in questions
        ]
        documents[by.measure.field] = head | {
            "by": {"field": by.measure.field, "groups": by.sizes()},
            "questions": [question.document() | crossing for question, crossing in zip(questions, crossings, strict=True)],
        }
    return documents


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """One question by itself: how many answered, how many stand in each cell, and which of these counts are published."""

    place: int
    measure: Measure
    n: int
    counts: list[int]
    mask: Mask
    values: Counter[Any]
    minimum: int

    @classmethod
    def of(cls, tally: Tally, place: int, minimum: int) -> "_Question":
        measured, n, counts = tally.measures[place], tally.answered(place), tally.counts(place)
        if n < minimum:
            mask = [False] * len(counts)
        elif measured.is_multiple:  # a respondent may stand in several cells: they add up to nothing
            mask = [count >= minimum for count in counts]
        else:
            mask = shown(counts, minimum=minimum)
        values = tally.values.get(place, Counter())
        return cls(place=place, measure=measured, n=n, counts=counts, mask=mask, values=values, minimum=minimum)

    def document(self) -> dict[str, Any]:
        """The question as it is published; how its numbers lie only when no count of it is hidden."""
        document: dict[str, Any] = {
            "field": self.measure.field,
            "type": self.measure.question.type,
            "n": self.n if self.n >= self.minimum else None,
        }
        if self.measure.cells:
            document["counts"] = _counts(self.measure, self.counts, self.mask)
        if self.measure.is_numeric and self.n >= self.minimum and all(self.mask):
            document |= self._moments()
        return document

    def _moments(self) -> dict[str, Any]:
        if not self.measure.cells and _is_dominated(self.values):
            return {}
        moments: dict[str, Any] = {"mean": _mean(self.values, self.n)}
        if self.n >= QUARTILES_FROM * self.minimum:
            moments["quartiles"] = [_quantile(self.values, self.n, part / 4) for part in (1, 2, 3)]
        return moments

    def sizes(self) -> list[dict[str, Any]]:
        """How many stand in each group that this question makes."""
        return [
            cell | {"n": count if is_shown else None}
            for cell, count, is_shown in zip(self.measure.cells, self.counts, self.mask, strict=True)
        ]

    def groups(self, question: "_Question", counts: list[list[int]], masks: list[Mask]) -> list[dict[str, Any]]:
        """The counts of another question within each group that this one makes."""
        return [
            cell | {"counts": _counts(question.measure, row, mask)}
            for cell, row, mask in zip(self.measure.cells, counts, masks, strict=True)
        ]


def _counts(measured: Measure, counts: list[int], mask: Mask) -> list[dict[str, Any]]:
    return [cell | {"count": count if is_shown else None} for cell, count, is_shown in zip(measured.cells, counts, mask, strict=True)]


def _tables(tally: Tally, questions: list[_Question], minimum: int) -> Iterator[tuple[tuple[int, int], tuple[list[list[int]], list[Mask]]]]:
    """The counts of each pair of questions and which are published, by the places of the groups' and the counted question.

    A pair is decided on once, and both of its tables show the same cells.
    """
    is_gated = tally.consent is not None
    for i, j in tally.pairs:
        a, b = questions[i], questions[j]
        if a.measure.is_multiple:
            a, b = b, a
        if b.measure.is_multiple:
            options = tally.options(a.place, b.place)
            counts = [[table[row][0] for table in options] for row in range(len(a.counts))]
        else:
            cells = tally.table(a.place, b.place)
            counts = [row[:-1] for row in cells[:-1]]
        if a.n < minimum or b.n < minimum:
            mask = [[False] * len(b.mask) for _ in a.mask]
        elif tally.consent and tally.consent.field in (a.measure.field, b.measure.field):
            mask = _behind_the_gate(a, b, counts)
        elif b.measure.is_multiple:
            mask = crossed_options(options, rows=a.mask, totals=b.mask, minimum=minimum, is_gated=is_gated)
        else:
            mask = crossed(cells, rows=a.mask, columns=b.mask, minimum=minimum, is_gated=is_gated)
        if a.measure.field in tally.by:
            yield (a.place, b.place), (counts, mask)
        if b.measure.field in tally.by:
            yield (b.place, a.place), (_transposed(counts), _transposed(mask))


def _behind_the_gate(a: _Question, b: _Question, counts: list[list[int]]) -> list[Mask]:
    """Only who consents answers anything else, as everybody knows: the table says what each question says alone."""
    return [[a.mask[r] and b.mask[c] and count > 0 for c, count in enumerate(row)] for r, row in enumerate(counts)]


def _transposed(rows: list[list[Any]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _is_dominated(values: Counter[Any]) -> bool:
    """Whether who holds the second largest of these values could tell the largest from their mean to a tenth (the p% rule)."""
    sizes = sorted((abs(value) for value in values.elements()), reverse=True)
    largest, rest = sizes[0], sizes[2:]
    return largest > 0 and math.fsum(size / largest for size in rest) < 1 / _SHARE_OF_THE_LARGEST


def _mean(values: Counter[Any], n: int) -> float:
    """To two significant digits. Each value is weighted before it is added, and by less than its share: no sum can overflow."""
    return _rounded(4 * math.fsum(value / 4 * (number / n) for value, number in values.items()))


def _quantile(values: Counter[Any], n: int, part: float) -> float:
    """Linear between the two nearest values (Hyndman and Fan's type 7), to two significant digits: never one respondent's value."""
    position = (n - 1) * part
    below, above = (_ranked(values, rank) for rank in (math.floor(position), math.ceil(position)))
    share = position - math.floor(position)
    return _rounded(below * (1 - share) + above * share)


def _ranked(values: Counter[Any], rank: int) -> float:
    """The value of this rank, from 0."""
    for value, number in sorted(values.items()):
        rank -= number
        if rank < 0:
            return float(value)
    raise IndexError(rank)


def _rounded(value: float) -> float:
    """To two significant digits; the very largest doubles have no such neighbour above and stay below it."""
    rounded = float(f"{value:.2g}")
    return (rounded if math.isfinite(rounded) else math.copysign(1.7e308, value)) + 0.0
