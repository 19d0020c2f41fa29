"""A release under noise: the documents that are made from noisy counts, and how exact releases will be."""

from itertools import takewhile
from typing import Any

from domain.results.budget import Spending, series
from domain.results.gaussian import Bits
from domain.results.measure import Measure
from domain.results.moments import moments
from domain.results.noise import Plan, half_width, plan, with_noise
from domain.results.published import OVERALL
from domain.results.tables import ContingencyTables
from domain.results.whole_counts import WholeCounts
from domain.survey import Definition, Survey
from domain.survey.definition import Protection

FORECAST_AT = (100, 1_000, 10_000)


def release(survey: Survey, tables: ContingencyTables, spending: Spending, bits: Bits) -> dict[str, dict[str, Any]]:
    """The results overall and by each field that makes groups, without labels; they cost what `spending` says."""
    planned = plan(survey.definition)
    noisy = with_noise(tables, planned, spending.total, bits)
    counts = WholeCounts.of(planned, noisy, survey.definition, responses=spending.responses)
    head = {
        "survey_version": survey.version,
        "protection": Protection.NOISE.value,
        "responses": spending.responses,
        "n": counts.n,
        "minimum_cell": survey.definition.results.minimum_cell,
        "accuracy": _accuracy(planned, spending),
    }
    questions = [_question(each, counts) for each in planned.measures]
    documents = {OVERALL: head | {"questions": questions}}
    for groups in (each for each in planned.measures if each.field in survey.definition.results.by):
        sizes = [cell | {"n": size} for cell, size in zip(groups.cells, counts.counts[groups.field], strict=True)]
        within = [_groups(groups, each, counts) for each in planned.measures]
        documents[groups.field] = head | {
            "by": {"field": groups.field, "groups": sizes},
            "questions": [question | crossed for question, crossed in zip(questions, within, strict=True)],
        }
    return documents


def forecast(definition: Definition) -> list[dict[str, Any]]:
    """How exact the results are that readers will see at 100, 1 000 and 10 000 responses, in a series that begins with `results.start`.

    `count` and `group` are half-widths of 95 % intervals of a count, without groups and within; null where there is none. Empty
    where results are not protected by noise.
    """
    if definition.results.protection is not Protection.NOISE:
        return []
    planned = plan(definition)
    releases = list(takewhile(lambda spending: spending.responses <= FORECAST_AT[-1], series(definition.results)))
    found = []
    for responses in FORECAST_AT:
        seen = [spending for spending in releases if spending.responses <= responses]
        found.append({"responses": responses, **(_accuracy(planned, seen[-1]) if seen else {"count": None, "group": None})})
    return found


def _question(measured: Measure, counts: WholeCounts) -> dict[str, Any]:
    document: dict[str, Any] = {"field": measured.field, "type": measured.question.type, "n": counts.answered[measured.field]}
    if not measured.cells:
        return document
    own = counts.counts[measured.field]
    return document | {"counts": _counts(measured, own)} | (moments(measured, own) if measured.is_numeric else {})


def _groups(groups: Measure, asked: Measure, counts: WholeCounts) -> dict[str, Any]:
    """The counts of a question within each group; a field makes no groups of itself."""
    table = counts.crossed.get((groups.field, asked.field))
    if table is None:
        return {}
    return {"groups": [cell | {"counts": _counts(asked, row)} for cell, row in zip(groups.cells, table, strict=True)]}


def _counts(measured: Measure, counts: list[int]) -> list[dict[str, Any]]:
    return [cell | {"count": count} for cell, count in zip(measured.cells, counts, strict=True)]


def _accuracy(planned: Plan, spending: Spending) -> dict[str, int | None]:
    counts, groups = planned.variances(spending.total)
    return {"count": half_width(counts), "group": half_width(groups)}
