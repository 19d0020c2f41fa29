"""Results as the team sees them: every count as it is, of one moment."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from domain.errors import Fault, Unavailable
from domain.results.measure import CROSSED_CELLS_MAX, Measure, measure, measures_of
from domain.results.shown import labelled
from domain.results.spread import Spread
from domain.results.tables import ContingencyTables
from domain.survey import Definition, Survey
from domain.text import rfc3339

UNPROTECTED = "none"


class TooMuchToCount(Unavailable):
    """Counting every response of this survey took longer than it may: ask again when less is going on, or without `by`."""

    code = "too-much-to-count"
    detail = "Counting all responses took longer than it may. Try again when less is going on, or without groups."
    retry_after = 10


def exact_by_faults(definition: Definition, by: str | None, at: str = "/by") -> list[Fault]:
    """Why the team's results cannot be cross-tabulated by this field."""
    question = None if by is None else definition.question(by)
    if by is None:
        return []
    if question is None or question.type != "choice":
        return [Fault(pointer=at, code="not-a-choice", detail="Choose a choice question of the survey.")]
    if len(measure(question).cells) * sum(len(each.cells) for each in measures_of(definition) if each.field != by) > CROSSED_CELLS_MAX:
        return [Fault(pointer=at, code="too-many-cells", detail=f"At most {CROSSED_CELLS_MAX} cells in all groups together.")]
    return []


def exact(survey: Survey, tables: ContingencyTables, *, by: str | None, at: datetime) -> dict[str, Any]:
    """The document of all counts, with the groups that `by` makes; questions that are in no published results are in it, too."""
    measures = measures_of(survey.definition)
    groups = next((each for each in measures if each.field == by), None)
    head = {
        "project": survey.project,
        "survey_version": survey.version,
        "counted_at": rfc3339(at),
        "protection": UNPROTECTED,
        "n": tables.n,
    }
    told = {} if groups is None else {"by": {"field": groups.field, "groups": _cells(groups, tables.counts[groups.field], name="n")}}
    return head | told | {"questions": [_question(each, tables, groups) for each in measures]}


def _question(asked: Measure, tables: ContingencyTables, groups: Measure | None) -> dict[str, Any]:
    question, field = asked.question, asked.field
    document: dict[str, Any] = {"field": field, "type": question.type}
    document |= {} if question.label is None else {"label": question.label}
    document["n"] = tables.answered[field]
    if asked.cells:
        document["counts"] = _cells(asked, tables.counts[field])
    document |= _spread(tables.spreads, field)
    table = None if groups is None else tables.crossed.get((groups.field, field))
    if groups is not None and table is not None:
        within = [{**cell, "counts": _cells(asked, row)} for cell, row in zip(groups.cells, table, strict=True)]
        document["groups"] = labelled(within, groups.question)
    return document


def _cells(asked: Measure, counts: Any, *, name: str = "count") -> list[dict[str, Any]]:
    return labelled([{**cell, name: count} for cell, count in zip(asked.cells, counts, strict=True)], asked.question)


def _spread(spreads: Mapping[str, Spread], field: str) -> dict[str, Any]:
    found = spreads.get(field)
    return {} if found is None else {"mean": found.mean, "quartiles": list(found.quartiles)}
