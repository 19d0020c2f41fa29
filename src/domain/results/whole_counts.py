"""Noisy counts of a survey made whole: none is negative, those that exclude each other add up, and groups fit what is told of all.

What is used is what everybody knows of any survey: who answered a question is among who is counted, and who answered two of them at least
those that are in both even if whoever left out one of them had answered the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from domain.results.consistent import Bounds, adding_up, between, fitted, whole_within
from domain.results.measure import Measure
from domain.results.noise import Noisy, Plan
from domain.survey import Definition

Table = list[list[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeCounts:
    """Counts as they are published; `crossed` holds the table of each field that makes groups with each other one that has cells."""

    n: int
    answered: Mapping[str, int]
    counts: Mapping[str, list[int]]
    crossed: Mapping[tuple[str, str], Table]

    @classmethod
    def of(cls, planned: Plan, noisy: Noisy, definition: Definition, *, responses: int) -> "WholeCounts":
        """Of a release at so many responses ever made, than which no more can be counted."""
        consent = definition.consent
        gate = next((each for each in planned.measures if consent is not None and each.field == consent.field), None)
        answered: dict[str, int] = {}
        counts: dict[str, list[int]] = {}
        accepting = 0
        if gate is not None and consent is not None:  # who declined is counted here and nowhere else
            answered[gate.field], counts[gate.field] = _question(gate, noisy, responses)
            accepting = gate.place(consent.accept)
        n = counts[gate.field][accepting] if gate is not None else between(noisy.n or 0, 0, responses)
        for each in planned.measures:
            if each is not gate:
                answered[each.field], counts[each.field] = _question(each, noisy, n)
        crossed: dict[tuple[str, str], Table] = {}
        for groups, asked in planned.pairs:
            table = _crossed(groups, asked, noisy.crossed[groups.field, asked.field], answered, counts, n)
            crossed[groups.field, asked.field] = table
            if asked.field in definition.results.by:
                crossed[asked.field, groups.field] = [list(column) for column in zip(*table, strict=True)]
        if gate is not None:
            crossed |= _behind_the_gate(gate, accepting, counts, definition.results.by)
        return cls(n=n, answered=answered, counts=counts, crossed=crossed)


def _question(measured: Measure, noisy: Noisy, most: int) -> tuple[int, list[int]]:
    """How many answered, at most so many, and how many stand in each cell."""
    if measured.cells and not measured.is_multiple:
        counts = noisy.counts[measured.field]
        answered = between(sum(counts), 0, most)
        return answered, adding_up(counts, answered)
    answered = between(noisy.answered[measured.field], 0, most)
    return answered, [between(count, 0, answered) for count in noisy.counts.get(measured.field, ())]


def _crossed(
    groups: Measure, asked: Measure, noisy: Sequence[Sequence[int]], answered: Mapping[str, int], counts: Mapping[str, list[int]], n: int
) -> Table:
    """The table of two questions; who is not in it left one of them out, and of these there are no more than is told of each."""
    rows, columns = counts[groups.field], counts[asked.field]
    left_out = n - answered[groups.field]
    in_columns = [(max(count - left_out, 0), count) for count in columns]
    if asked.is_multiple:
        options = [_option([row[place] for row in noisy], rows, bounds) for place, bounds in enumerate(in_columns)]
        return [list(row) for row in zip(*options, strict=True)]
    left_out = n - answered[asked.field]
    return fitted(noisy, [(max(count - left_out, 0), count) for count in rows], in_columns)


def _option(noisy: Sequence[int], rows: Sequence[int], bounds: Bounds) -> list[int]:
    """Who chose one option, by group: no more in each than are in the group."""
    wanted = [between(count, 0, most) for count, most in zip(noisy, rows, strict=True)]
    return whole_within(wanted, [(0, most) for most in rows], between(sum(wanted), bounds[0], min(bounds[1], sum(rows))))


def _behind_the_gate(gate: Measure, accepting: int, counts: Mapping[str, list[int]], by: Sequence[str]) -> dict[tuple[str, str], Table]:
    """The tables of the consent question: only who consents answers anything else, so they say what each question says alone."""
    tables: dict[tuple[str, str], Table] = {}
    for field, own in counts.items():
        if field == gate.field or not own:
            continue
        table = [own if row == accepting else [0] * len(own) for row in range(len(gate.cells))]
        if gate.field in by:
            tables[gate.field, field] = table
        if field in by:
            tables[field, gate.field] = [list(column) for column in zip(*table, strict=True)]
    return tables
