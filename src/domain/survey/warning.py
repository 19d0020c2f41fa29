"""What whoever publishes a survey had better know of it."""

from collections.abc import Iterator
from dataclasses import dataclass

from domain.survey.definition import Definition, Identity, Protection


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyWarning:
    """Something that is allowed and has a price."""

    code: str
    detail: str


FINGERPRINT = SurveyWarning(
    code="fingerprint-identity",
    detail="Whoever knows a reader's fingerprint can answer in that reader's place until the reader's token was shown,"
    " and learns that the reader is there and whether consent was given.",
)
SUPPRESSION = SurveyWarning(
    code="invented-readers",
    detail="Suppression protects readers only where nobody can invent any: who adds readers of their own learns what others said.",
)


def warnings_of(definition: Definition) -> Iterator[SurveyWarning]:
    """The warnings that a definition calls for."""
    if definition.identity is Identity.FINGERPRINT:
        yield FINGERPRINT
    if definition.results.public and definition.results.protection is Protection.SUPPRESSION:
        yield SUPPRESSION
