"""A survey: a declared list of typed questions, in versions, that readers answer one field at a time."""

from domain.survey.change import Change
from domain.survey.codebook import codebook
from domain.survey.definition import QUESTIONS_MAX, Consent, Definition, Identity, Protection, Results, definition_from, results_from
from domain.survey.question import InvalidAnswer, Question
from domain.survey.question_types import question_from
from domain.survey.survey import (
    Asked,
    BreakingChange,
    FieldChange,
    Kind,
    Survey,
    SurveyClosed,
    asked_again,
    changes_between,
    counted,
    ever_asked,
    first_survey,
    kinds_of_change,
)
from domain.survey.table import AskedTests, ResponseFilter, ResponseRow, ResponseTable, response_filter
from domain.survey.warning import SurveyWarning, warnings_of

__all__ = [
    "QUESTIONS_MAX",
    "Asked",
    "AskedTests",
    "BreakingChange",
    "Change",
    "Consent",
    "Definition",
    "FieldChange",
    "Identity",
    "InvalidAnswer",
    "Kind",
    "Protection",
    "Question",
    "ResponseFilter",
    "ResponseRow",
    "ResponseTable",
    "Results",
    "Survey",
    "SurveyClosed",
    "SurveyWarning",
    "asked_again",
    "changes_between",
    "codebook",
    "counted",
    "definition_from",
    "ever_asked",
    "first_survey",
    "kinds_of_change",
    "question_from",
    "response_filter",
    "results_from",
    "warnings_of",
]
