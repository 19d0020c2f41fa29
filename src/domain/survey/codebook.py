"""A codebook: what each column of the responses means, as a Frictionless Table Schema (specs.frictionlessdata.io/table-schema)."""

from collections.abc import Sequence
from typing import Any

from domain.survey.definition import Definition
from domain.survey.question import Question
from domain.survey.survey import Asked, ever_asked

_TYPES: dict[str, dict[str, Any]] = {
    "choice": {"type": "string"},
    "multi_choice": {"type": "list", "delimiter": "|", "itemType": "string"},
    "scale": {"type": "integer"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean", "trueValues": ["true"], "falseValues": ["false"]},
    "text": {"type": "string"},
    "date": {"type": "date"},
}
_TIME = {"type": "datetime", "format": "any"}
_FIXED: list[dict[str, Any]] = [
    {
        "name": "respondent",
        "type": "string",
        "title": "Pseudonym of the respondent",
        "constraints": {"required": True, "unique": True},
    },
    {"name": "created_at", **_TIME, "title": "When the first answer was saved", "constraints": {"required": True}},
    {"name": "updated_at", **_TIME, "title": "When an answer last changed"},
    {"name": "revision", "type": "integer", "title": "How often answers changed", "constraints": {"required": True, "minimum": 1}},
]


def codebook(definitions: Sequence[Definition]) -> dict[str, Any]:
    """The schema of all versions together, oldest first: each constraint is as wide as any version had it."""
    newest = definitions[-1]
    return {
        "$schema": "https://datapackage.org/profiles/2.0/tableschema.json",
        "title": newest.title,
        "fields": [*_FIXED, *(_field(asked, definitions) for asked in ever_asked(definitions).values())],
        "primaryKey": ["respondent"],
        "missingValues": [""],
    }


def _field(known: Asked, definitions: Sequence[Definition]) -> dict[str, Any]:
    question, choices = known.question, known.choices
    asked = [(number, q) for number, d in enumerate(definitions, start=1) if (q := d.question(question.field)) is not None]
    field: dict[str, Any] = {"name": question.field, **_TYPES[question.type]}
    if question.label is not None:
        field["title"] = question.label
    field["versions"] = [number for number, _ in asked]
    constraints = _constraints([q for _, q in asked if q.type == question.type])
    if question.type == "choice":
        constraints["enum"] = [choice.value for choice in choices]
    if constraints:
        field["constraints"] = constraints
    if choices:
        labelled = [{"value": c.value, "label": c.label or c.value} | ({} if c.code is None else {"code": c.code}) for c in choices]
        field["categories" if question.type == "choice" else "choices"] = labelled
    return field


def _constraints(asked: Sequence[Question]) -> dict[str, Any]:
    """The widest of what these questions of one type ask."""
    found: dict[str, Any] = {}
    for name, key, widest in (("minimum", "min", min), ("maximum", "max", max), ("maxLength", "max_length", max)):
        limits = [getattr(question, key, None) for question in asked]
        known = [limit for limit in limits if limit is not None]
        if known and len(known) == len(limits):
            found[name] = widest(known)
    return found
