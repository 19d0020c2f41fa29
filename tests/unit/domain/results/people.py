"""Made-up answers to the demo survey, and their exact counts."""

import json
import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from domain.results import ContingencyTables
from domain.survey import Definition, Survey, definition_from
from tests.examples import survey
from tests.fakes.response_counts import counted as tables_of

DEMO = json.loads((Path(__file__).parents[4] / "src/entrypoints/demo/dark-data.json").read_text())["survey"]
YES: dict[str, Any] = {"field": "yes", "type": "boolean"}


def demo(*more: dict[str, Any], **results: Any) -> Survey:
    """The demo survey with further questions, published by these settings."""
    document = DEMO | {"questions": [*DEMO["questions"], *more], "results": {"public": True, **results}}
    return survey(definition_from(document))


def made_up(
    of: Definition, number: int, *, chance: random.Random, answering: float = 0.97, consenting: float = 0.9
) -> list[dict[str, Any]]:
    """Answers of so many people, most of whom consent and answer each question."""
    people = []
    for _ in range(number):
        answers = {q.field: _answer(q, chance) for q in of.questions if chance.random() < answering}
        if of.consent is not None:
            if chance.random() < consenting:
                answers[of.consent.field] = of.consent.accept
            else:
                answers = {of.consent.field: "declined"}
        people.append(answers)
    return people


def counted(of: Definition, people: Iterable[Mapping[str, Any]]) -> ContingencyTables:
    """Their exact counts, within the groups that the survey's results make, too."""
    return tables_of(of, people, by=of.results.by)


def _answer(question: Any, chance: random.Random) -> Any:
    match question.type:
        case "choice":
            return chance.choice(question.values)
        case "multi_choice":
            return [value for value in question.values if chance.random() < 0.4]
        case "scale":
            return chance.randint(question.min, question.max)
        case "integer":
            return min(max(round(chance.gauss(38, 15)), question.min), question.max)
        case "boolean":
            return chance.random() < 0.3
        case "number":
            return chance.random() * 100
    return "2026-01-01" if question.type == "date" else "words"
