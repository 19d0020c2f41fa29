"""Published results as readers see them: what was released last, in the words of the newest version."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from domain.results.published import OVERALL
from domain.survey import Question, Survey
from domain.survey.definition import Protection
from domain.text import rfc3339

_NOT_EXACT_TO = {"count": None, "group": None}


def shown(document: dict[str, Any], survey: Survey, *, published_at: datetime) -> dict[str, Any]:
    """A document as it is stored, with the labels of the newest version and without what that keeps out of results.

    One that was published before there was noise tells no protection: it was suppression.
    """
    protection = document.get("protection", Protection.SUPPRESSION.value)
    head = {"project": survey.project, "survey_version": document["survey_version"], "published_at": rfc3339(published_at)}
    told = head | {"protection": protection} | ({"responses": document["responses"]} if "responses" in document else {})
    told |= {"n": document["n"], "minimum_cell": document["minimum_cell"], "accuracy": document.get("accuracy", _NOT_EXACT_TO)}
    by = survey.definition.question(document["by"]["field"]) if "by" in document else None
    if by is not None:
        told["by"] = {"field": by.field, "groups": labelled(document["by"]["groups"], by)}
    asked = ((part, survey.definition.question(part["field"])) for part in document["questions"])
    told["questions"] = [
        _question(part, question, by) for part, question in asked if question and question.public and question.type == part["type"]
    ]
    return told


def nothing_yet(survey: Survey, by: str = OVERALL, *, responses: int | None = None) -> dict[str, Any]:
    """The results of a survey before anything was published of it; `responses` are those ever made, which noise waits for."""
    settings = survey.definition.results
    head = {"project": survey.project, "survey_version": survey.version, "published_at": None, "protection": settings.protection.value}
    told = {} if responses is None else {"responses": responses}
    groups = {} if by == OVERALL else {"by": {"field": by, "groups": []}}
    return head | told | {"n": None, "minimum_cell": settings.minimum_cell, "accuracy": _NOT_EXACT_TO} | groups | {"questions": []}


def _question(part: dict[str, Any], question: Question, by: Question | None) -> dict[str, Any]:
    told: dict[str, Any] = {"field": part["field"], "type": part["type"]} | _label(question.label)
    told |= {name: value for name, value in part.items() if name not in told}
    if "counts" in part:
        told["counts"] = labelled(part["counts"], question)
    if "groups" in part and by is not None:
        groups = [group | {"counts": labelled(group["counts"], question)} for group in part["groups"]]
        told["groups"] = labelled(groups, by)
    return told


def labelled(cells: Iterable[dict[str, Any]], question: Question) -> list[dict[str, Any]]:
    """Cells with the labels of the choices that they stand for, before what is counted of them."""
    labels = {choice.value: choice.label for choice in question.choices_offered}
    named = ("value", "code")
    return [
        {name: cell[name] for name in named if name in cell}
        | _label(labels.get(cell.get("value", "")))
        | {name: value for name, value in cell.items() if name not in named}
        for cell in cells
    ]


def _label(label: str | None) -> dict[str, str]:
    return {} if label is None else {"label": label}
