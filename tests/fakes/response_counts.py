"""Counts of responses in memory: everybody is placed by the domain, question by question."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from application.ports import ResponseCounts
from domain.results.measure import UNANSWERED, Measure, measures_of
from domain.results.spread import Spread, quartile_ranks, quartiles
from domain.results.tables import ContingencyTables
from domain.survey import Definition, Survey
from tests.fakes.store import Access

Answers = Mapping[str, Any]


class FakeResponseCounts(ResponseCounts):
    def __init__(self, access: Access) -> None:
        self._access = access

    async def tables(self, survey: Survey, *, by: Sequence[str] = (), spreads: bool = False) -> ContingencyTables:
        rows = self._access.read.responses.values()
        people = [each.answers for each in rows if each.project_id == survey.project_id and not each.is_test]
        return counted(survey.definition, people, by=by, spreads=spreads)


def counted(definition: Definition, people: Iterable[Answers], *, by: Sequence[str] = (), spreads: bool = False) -> ContingencyTables:
    """The tables of these people, each given as answers by field."""
    measures = measures_of(definition)
    counting = [_counting(definition, answers) for answers in people]
    placed = [{each.field: each.place(answers.get(each.field)) for each in measures} for answers in counting]
    groups = [each for field in by for each in measures if each.field == field]
    pairs = [(a, b) for a in groups for b in measures if a.field != b.field]
    numeric = [each for each in measures if each.is_numeric and spreads]
    accepted = {each.field: [who[each.field] for who in counting if each.place(who.get(each.field)) != UNANSWERED] for each in numeric}
    return ContingencyTables(
        n=sum(any(place != UNANSWERED for place in places.values()) for places in placed),
        answered={each.field: _answered(each, placed) for each in measures},
        counts={each.field: _counts(each, placed) for each in measures},
        crossed={(a.field, b.field): [_counts(b, _group(a, cell, placed)) for cell in range(len(a.cells))] for a, b in pairs if b.cells},
        reached={(a.field, b.field): [_answered(b, _group(a, cell, placed)) for cell in range(len(a.cells))] for a, b in pairs},
        spreads={field: _spread(answers) for field, answers in accepted.items() if answers},
    )


def _counting(definition: Definition, answers: Answers) -> Answers:
    consent = definition.consent
    if consent is None or answers.get(consent.field) == consent.accept:
        return answers
    return {consent.field: answers.get(consent.field)}


def _group(groups: Measure, cell: int, placed: Sequence[Mapping[str, int]]) -> list[Mapping[str, int]]:
    return [places for places in placed if places[groups.field] == cell]


def _answered(asked: Measure, placed: Sequence[Mapping[str, int]]) -> int:
    return sum(places[asked.field] != UNANSWERED for places in placed)


def _counts(asked: Measure, placed: Sequence[Mapping[str, int]]) -> list[int]:
    counts = [0] * len(asked.cells)
    for places in placed:
        if asked.cells and places[asked.field] != UNANSWERED:
            for cell in asked.places_of(places[asked.field]):
                counts[cell] += 1
    return counts


def _spread(answers: Sequence[float]) -> Spread:
    ordered = sorted(answers)
    by_rank = {rank: float(ordered[rank]) for rank in quartile_ranks(len(ordered))}
    return Spread(mean=sum(answers) / len(answers), quartiles=quartiles(len(ordered), by_rank.__getitem__))
