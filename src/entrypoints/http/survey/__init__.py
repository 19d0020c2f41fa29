"""Surveys over HTTP."""

from entrypoints.http.survey.bodies import DefinitionBody
from entrypoints.http.survey.routes import public_survey, signed_in_survey

__all__ = ["DefinitionBody", "public_survey", "signed_in_survey"]
