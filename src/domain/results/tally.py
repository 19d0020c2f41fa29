"""Counting answers, batch by batch: what is kept does not grow with the number of respondents."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from domain.results.measure import UNANSWERED, crossing, measures_of
from domain.results.tables import ContingencyTables
from domain.survey import Definition

_REMEMBERED = 10_000


class Tally:
    """The counts of a survey's answers: of each question, and of each pair of questions that is published.

    `n` counts the respondents with at least one answer that the newest questions take. Behind a consent gate, only the consent
    question counts for those who do not consent now. `seen` counts all who were looked at.
    """

    def __init__(self, definition: Definition, *, by: Sequence[str] | None = None) -> None:
        """Cross-tabulated by these choice questions, or by as many as there is room for."""
        self.measures = measures_of(definition)
        self.by = crossing(self.measures) if by is None else tuple(by)
        self.consent = definition.consent
        self.n = self.seen = 0
        self.places: list[Counter[int]] = [Counter() for _ in self.measures]
        self.values: dict[int, Counter[Any]] = {i: Counter() for i, m in enumerate(self.measures) if m.is_numeric}
        self.pairs: dict[tuple[int, int], Counter[tuple[int, int]]] = {pair: Counter() for pair in self._crossed()}
        self._known: list[dict[Any, int]] = [{} for _ in self.measures]

    def _crossed(self) -> Iterable[tuple[int, int]]:
        """Unordered pairs, so that a table and its transposed twin are one: by place in the survey."""
        by = {i for i, m in enumerate(self.measures) if m.field in self.by}
        counted = [i for i, m in enumerate(self.measures) if m.cells]
        return [(i, j) for i in counted for j in counted if i < j and (i in by or j in by)]

    def add(self, batch: Iterable[Mapping[str, Any]]) -> None:
        """Count these respondents, each given as stored answers by field."""
        respondents = [self._counting(answers) for answers in batch]
        columns = [self._column(i, [answers.get(m.field) for answers in respondents]) for i, m in enumerate(self.measures)]
        self.seen += len(respondents)
        self.n += sum(max(places) != UNANSWERED for places in zip(*columns, strict=True))
        for i, column in enumerate(columns):
            self.places[i].update(column)
        for (i, j), counts in self.pairs.items():
            counts.update(zip(columns[i], columns[j], strict=True))

    def _counting(self, answers: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.consent is None or answers.get(self.consent.field) == self.consent.accept:
            return answers
        return {self.consent.field: answers.get(self.consent.field)}

    def _column(self, i: int, answers: Sequence[Any]) -> list[int]:
        measured, known = self.measures[i], self._known[i]
        if not measured.cells and not measured.is_numeric:
            return [measured.place(answer) for answer in answers]
        column = []
        for answer in answers:
            key = tuple(answer) if isinstance(answer, list) else answer
            place = known.get(key)
            if place is None:
                place = measured.place(answer)
                if len(known) < _REMEMBERED:
                    known[key] = place
            column.append(place)
        if measured.is_numeric:
            self.values[i].update(answer for answer, place in zip(answers, column, strict=True) if place != UNANSWERED)
        return column

    def answered(self, i: int) -> int:
        """How many respondents answered question `i`."""
        return sum(number for place, number in self.places[i].items() if place != UNANSWERED)

    def counts(self, i: int) -> list[int]:
        """How many stand in each cell of question `i`."""
        measured = self.measures[i]
        counts = [0] * len(measured.cells)
        for place, number in self.places[i].items():
            for cell in measured.places_of(place) if measured.cells and place != UNANSWERED else ():
                counts[cell] += number
        return counts

    def table(self, i: int, j: int) -> list[list[int]]:
        """Respondents by the cells of question `i` and those of `j`; the last row and column are who did not answer."""
        rows = [[0] * (len(self.measures[j].cells) + 1) for _ in range(len(self.measures[i].cells) + 1)]
        for (row, column), number in self._pair(i, j):
            rows[row][column] += number
        return rows

    def options(self, i: int, j: int) -> list[list[list[int]]]:
        """For each option of the multiple choice `j`: by the cells of `i`, who chose it, who did not, who did not answer at all."""
        option_count = len(self.measures[j].cells)
        tables = [[[0, 0, 0] for _ in range(len(self.measures[i].cells) + 1)] for _ in range(option_count)]
        for (row, chosen), number in self._pair(i, j):
            for option, table in enumerate(tables):
                table[row][2 if chosen == UNANSWERED else 1 - (chosen >> option & 1)] += number
        return tables

    def _pair(self, i: int, j: int) -> Iterable[tuple[tuple[int, int], int]]:
        if i < j:
            return self.pairs[i, j].items()
        return (((row, column), number) for (column, row), number in self.pairs[j, i].items())

    def tables(self) -> ContingencyTables:
        """What was counted, with the tables of every field that makes groups."""
        crossed = {}
        for i, j in self.pairs:
            for groups, asked in ((i, j), (j, i)):
                if self.measures[groups].field in self.by:
                    crossed[self.measures[groups].field, self.measures[asked].field] = self._crossed_counts(groups, asked)
        return ContingencyTables(
            n=self.n,
            answered={m.field: self.answered(i) for i, m in enumerate(self.measures)},
            counts={m.field: self.counts(i) for i, m in enumerate(self.measures)},
            crossed=crossed,
        )

    def _crossed_counts(self, groups: int, asked: int) -> list[list[int]]:
        if self.measures[asked].is_multiple:
            options = self.options(groups, asked)
            return [[table[row][0] for table in options] for row in range(len(self.measures[groups].cells))]
        return [row[:-1] for row in self.table(groups, asked)[:-1]]
