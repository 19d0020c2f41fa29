"""A survey: a declared list of typed questions, in versions, that readers answer one field at a time."""

from domain.survey.change import Change
from domain.survey.definition import Consent, Definition, Identity, Results, definition_from
from domain.survey.question import InvalidAnswer, Question
from domain.survey.survey import BreakingChange, FieldChange, Kind, Survey, SurveyClosed, first_survey

__all__ = [
    "BreakingChange",
    "Change",
    "Consent",
    "Definition",
    "FieldChange",
    "Identity",
    "InvalidAnswer",
    "Kind",
    "Question",
    "Results",
    "Survey",
    "SurveyClosed",
    "definition_from",
    "first_survey",
]
