"""What whoever publishes a survey had better know of it."""

from collections.abc import Iterator
from dataclasses import dataclass

from domain.survey.definition import Definition, Protection


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyWarning:
    """Something that is allowed and has a price."""

    code: str
    detail: str


SUPPRESSION = SurveyWarning(
    code="invented-readers",
    detail="Suppression protects readers only where nobody can invent any: who adds readers of their own learns what others said.",
)


def warnings_of(definition: Definition) -> Iterator[SurveyWarning]:
    """The warnings that a definition calls for."""
    if definition.results.public and definition.results.protection is Protection.SUPPRESSION:
        yield SUPPRESSION
