"""How the answers to a question are counted: in which cells, and between which questions."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

from domain.errors import Fault
from domain.survey import Definition, Question
from domain.survey.choosing import ChoiceQuestion, MultiChoiceQuestion
from domain.survey.measuring import IntegerQuestion, NumberQuestion, ScaleQuestion
from domain.survey.question import InvalidAnswer

UNANSWERED = -1
STEPS_MAX = 20
BINS_MAX = 10
CROSSED_CELLS_MAX = 200_000
PAIR_CELLS_MAX = 2_500


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A question and its cells as they are published, in declared order.

    Without cells its answers are only counted. `lows` are the lower edges of bins and `high` the greatest number in them, where not
    every answer has one; they come from the declaration alone, since edges drawn from answers would tell something of those.
    """

    question: Question
    cells: tuple[dict[str, Any], ...] = ()
    lows: tuple[float, ...] = ()
    high: float | None = None

    @property
    def field(self) -> str:
        return self.question.field

    @property
    def is_multiple(self) -> bool:
        """Whether one respondent may stand in several cells."""
        return isinstance(self.question, MultiChoiceQuestion)

    @property
    def is_numeric(self) -> bool:
        return isinstance(self.question, ScaleQuestion | IntegerQuestion | NumberQuestion)

    @property
    def is_choice(self) -> bool:
        return isinstance(self.question, ChoiceQuestion)

    @cached_property
    def _places(self) -> dict[Any, int]:
        return {cell["value"]: place for place, cell in enumerate(self.cells)} if not self.lows else {}

    def place(self, answer: object) -> int:
        """Where a stored answer counts: its cell, or a bit for each of its cells; UNANSWERED when the question no longer takes it."""
        if answer is None or not self._takes(answer):
            return UNANSWERED
        if isinstance(answer, list):
            return sum(1 << self._places[value] for value in answer)
        if self.lows and isinstance(answer, int | float):  # below the first bin is UNANSWERED, as above the last
            return UNANSWERED if self.high is not None and answer > self.high else bisect_right(self.lows, answer) - 1
        return self._places[answer] if self.cells else 0

    def _takes(self, answer: object) -> bool:
        """Whether a stored answer is one of this question, and not only one that it would make out: the field was of another type once."""
        try:
            taken = self.question.accept(answer)
        except InvalidAnswer:
            return False
        return isinstance(answer, list) or bool(taken == answer)  # the order of choices may have been another then

    def places_of(self, place: int) -> Iterator[int]:
        """The cells that `place` stands for."""
        if not self.is_multiple:
            yield place
        else:
            yield from (cell for cell in range(len(self.cells)) if place >> cell & 1)


def measure(question: Question) -> Measure:
    """How this question is counted."""
    match question:
        case ScaleQuestion(bins=(*_,) as edges) | IntegerQuestion(bins=(*_,) as edges):
            return Measure(question=question, lows=edges[:-1], cells=_cells_between(edges, gap=1), high=edges[-1] - 1)
        case NumberQuestion(bins=(*_,) as edges):
            return Measure(question=question, lows=edges[:-1], cells=_cells_between(edges, gap=0), high=edges[-1])
        case ChoiceQuestion() | MultiChoiceQuestion():
            cells: list[dict[str, Any]] = [{"value": c.value} | ({} if c.code is None else {"code": c.code}) for c in question.choices]
            return Measure(question=question, cells=tuple(cells))
        case ScaleQuestion(min=int(low), max=int(high)) if high - low < STEPS_MAX:
            return Measure(question=question, cells=tuple({"value": step} for step in range(low, high + 1)))
        case ScaleQuestion(min=int(low), max=int(high)) | IntegerQuestion(min=int(low), max=int(high)):
            return _whole_bins(question, low, high)
        case NumberQuestion(min=int() | float() as low, max=int() | float() as high):
            return _bins(question, float(low), float(high))
    if question.type == "boolean":
        return Measure(question=question, cells=({"value": True}, {"value": False}))
    return Measure(question=question)


def _cells_between(edges: tuple[float, ...], *, gap: int) -> tuple[dict[str, Any], ...]:
    """Declared bins: each begins at an edge and ends `gap` below the next; the last bin of numbers with decimals holds its upper edge."""
    return tuple({"from": low, "to": above - gap} for low, above in pairwise(edges))


def _whole_bins(question: Question, low: int, high: int) -> Measure:
    """Bins of as many whole numbers each, both ends included; the last may be cut short by the declared maximum."""
    width = -(-(high - low + 1) // BINS_MAX)
    lows = tuple(range(low, high + 1, width))
    return Measure(question=question, lows=lows, cells=tuple({"from": at, "to": min(at + width - 1, high)} for at in lows))


def _bins(question: Question, low: float, high: float) -> Measure:
    """Bins of equal width that hold their lower end, the last one both. The halves keep the widest ranges finite."""
    inner = (2 * (low / 2 * (1 - i / BINS_MAX) + high / 2 * (i / BINS_MAX)) for i in range(1, BINS_MAX))
    edges = sorted({low, high, *(min(max(edge, low), high) for edge in inner)})
    ends = list(pairwise(edges)) or [(low, high)]
    return Measure(question=question, lows=tuple(start for start, _ in ends), cells=tuple({"from": a, "to": b} for a, b in ends))


def measures_of(definition: Definition) -> tuple[Measure, ...]:
    """How each question of a survey is counted, in declared order."""
    return tuple(measure(question) for question in definition.questions)


def crossing(measures: Sequence[Measure]) -> tuple[str, ...]:
    """The fields that results are cross-tabulated by: choice questions in declared order, as many as make 200 000 cells in all."""
    sizes = [len(m.cells) + 1 for m in measures]
    fields, cells = [], 0
    for measured, size in zip(measures, sizes, strict=True):
        if not measured.is_choice:
            continue
        cells += size * (sum(each for each in sizes if each > 1) - size)
        if cells > CROSSED_CELLS_MAX:
            break
        fields.append(measured.field)
    return tuple(fields)


def group_faults(definition: Definition, at: str = "/results") -> Iterator[Fault]:
    """Which fields make more groups than a document has room for; the settings of results stand at the JSON pointer `at`."""
    measures = [each for each in measures_of(definition) if each.question.public]
    total = 0
    for place, field in enumerate(definition.results.by):
        groups = next((each for each in measures if each.field == field), None)
        sizes = [len(groups.cells) * len(each.cells) for each in measures if groups is not None and each.field != field]
        total += sum(sizes)
        if max(sizes, default=0) > PAIR_CELLS_MAX:
            yield Fault(
                pointer=f"{at}/by/{place}", code="too-many-cells", detail=f"At most {PAIR_CELLS_MAX} cells with any other question."
            )
        elif total > CROSSED_CELLS_MAX:
            yield Fault(
                pointer=f"{at}/by/{place}", code="too-many-cells", detail=f"At most {CROSSED_CELLS_MAX} cells in all groups together."
            )
