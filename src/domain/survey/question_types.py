"""Every type of question, by its name."""

from typing import Any

from domain.survey.choosing import ChoiceQuestion, MultiChoiceQuestion
from domain.survey.measuring import IntegerQuestion, NumberQuestion, ScaleQuestion
from domain.survey.question import Choice, Question
from domain.survey.telling import BooleanQuestion, DateQuestion, TextQuestion

QUESTION_TYPES: dict[str, type[Question]] = {
    kind.type: kind
    for kind in (
        ChoiceQuestion,
        MultiChoiceQuestion,
        ScaleQuestion,
        IntegerQuestion,
        NumberQuestion,
        BooleanQuestion,
        TextQuestion,
        DateQuestion,
    )
}


def question_from(document: dict[str, Any]) -> Question:
    """The question that plain data of the right shape describes."""
    given = {k: v for k, v in document.items() if k != "type" and v is not None}
    if "choices" in given:
        given["choices"] = tuple(Choice(**choice) for choice in given["choices"])
    if "bins" in given:
        given["bins"] = tuple(given["bins"])
    return QUESTION_TYPES[document["type"]](**given)
