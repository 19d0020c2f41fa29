"""What a team declares: the questions, how respondents are known, the consent gate and the published results."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from domain.errors import Fault
from domain.survey.question import InvalidAnswer, Question
from domain.survey.question_types import question_from
from domain.text import refuse, text_faults

TITLE_MAX = 255
QUESTIONS_MAX = 1000
MINIMUM_CELL_DEFAULT, MINIMUM_CELL_MAX = 5, 1_000_000
BUDGET_DEFAULT, BUDGET_MIN, BUDGET_MAX = 1.0, 0.1, 4.0
START_DEFAULT, START_MIN, START_MAX = 100, 20, 1_000_000


class Identity(StrEnum):
    """How a respondent is known again: by a token that every save shows, or by a fingerprint that anybody may send."""

    FINGERPRINT = "fingerprint"
    TOKEN = "token"  # noqa: S105 - the name of a mode, not a secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """The field that must hold `accept` before any other answer is taken."""

    field: str
    accept: Any


class Protection(StrEnum):
    """How published results keep to themselves what one reader said."""

    NOISE = "noise"
    SUPPRESSION = "suppression"


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Whether aggregates are published, under which protection, and by which fields they make groups.

    `minimum_cell` is the smallest count that suppression shows. Under noise, all releases together spend at most `budget` (ρ of
    zero-concentrated differential privacy), and the first comes with so many responses as `start`.
    """

    public: bool = False
    minimum_cell: int = MINIMUM_CELL_DEFAULT
    protection: Protection = Protection.NOISE
    by: tuple[str, ...] = ()
    budget: float = BUDGET_DEFAULT
    start: int = START_DEFAULT

    def document(self) -> dict[str, Any]:
        """These settings as plain data. Budget and start are left out while nobody has chosen them."""
        document = {"public": self.public, "minimum_cell": self.minimum_cell, "protection": self.protection.value, "by": list(self.by)}
        chosen = {"budget": self.budget} if self.budget != BUDGET_DEFAULT else {}
        return document | chosen | ({"start": self.start} if self.start != START_DEFAULT else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A whole survey as declared; it never changes, a new version takes its place."""

    title: str
    identity: Identity
    consent: Consent | None
    results: Results
    questions: tuple[Question, ...]

    def question(self, field: str) -> Question | None:
        """The question of this field."""
        return next((question for question in self.questions if question.field == field), None)

    def document(self) -> dict[str, Any]:
        """This definition as plain data, every default spelled out."""
        return {
            "title": self.title,
            "identity": self.identity.value,
            "consent": self.consent and {"field": self.consent.field, "accept": self.consent.accept},
            "results": self.results.document(),
            "questions": [question.document() for question in self.questions],
        }


def definition_from(document: dict[str, Any]) -> Definition:
    """The definition that plain data of the right shape describes. Raises `Invalid` with a pointer to each fault.

    One that names no identity goes by token; published after another, it keeps the identity of that (`PublishSurvey`).
    """
    consent = document.get("consent")
    definition = Definition(
        title=document["title"],
        identity=Identity(document.get("identity") or Identity.TOKEN),
        consent=Consent(**consent) if consent else None,
        results=results_from(document.get("results") or {}),
        questions=tuple(question_from(question) for question in document["questions"]),
    )
    refuse(_faults(definition))
    return _canonical(definition)


def results_from(document: dict[str, Any]) -> Results:
    """The settings that plain data of the right shape describes."""
    given = {name: value for name, value in document.items() if value is not None}
    if "protection" in given:
        given["protection"] = Protection(given["protection"])
    return Results(**given | {"by": tuple(given.get("by", ()))})


def _canonical(definition: Definition) -> Definition:
    """The definition with the accepted consent in its stored form (`"accepted"` where its code was given)."""
    if definition.consent is None:
        return definition
    accepted = next(q.accept(definition.consent.accept) for q in definition.questions if q.field == definition.consent.field)
    return replace(definition, consent=replace(definition.consent, accept=accepted))


def _faults(definition: Definition) -> Iterator[Fault]:
    yield from text_faults("/title", definition.title, shortest=1, longest=TITLE_MAX)
    yield from _range_faults(definition.results)
    if not 1 <= len(definition.questions) <= QUESTIONS_MAX:
        yield Fault(pointer="/questions", code="bad-count", detail=f"1 to {QUESTIONS_MAX} questions.")
    columns: set[str] = set()
    for index, question in enumerate(definition.questions):
        at = f"/questions/{index}"
        yield from question.faults(at)
        if columns & set(_columns(question)):
            yield Fault(pointer=f"{at}/field", code="duplicate-field", detail="Another question has this column in exports.")
        columns |= set(_columns(question))
    yield from _consent_faults(definition)
    yield from _by_faults(definition)


def _range_faults(results: Results) -> Iterator[Fault]:
    if not 1 <= results.minimum_cell <= MINIMUM_CELL_MAX:
        yield Fault(pointer="/results/minimum_cell", code="out-of-range", detail=f"1 to {MINIMUM_CELL_MAX}.")
    if not BUDGET_MIN <= results.budget <= BUDGET_MAX:
        yield Fault(pointer="/results/budget", code="out-of-range", detail=f"{BUDGET_MIN:g} to {BUDGET_MAX:g}.")
    if not START_MIN <= results.start <= START_MAX:
        yield Fault(pointer="/results/start", code="out-of-range", detail=f"{START_MIN} to {START_MAX}.")


def _columns(question: Question) -> Iterator[str]:
    """The names that a question takes in exports."""
    yield question.field
    if question.type == "choice" and question.has_codes:
        yield f"{question.field}_code"


def _consent_faults(definition: Definition) -> Iterator[Fault]:
    if definition.consent is None:
        return
    question = definition.question(definition.consent.field)
    if question is None:
        yield Fault(pointer="/consent/field", code="unknown-field", detail="Consent needs a question of this field.")
        return
    try:
        question.accept(definition.consent.accept)
    except InvalidAnswer:
        yield Fault(pointer="/consent/accept", code="invalid-answer", detail="The question of this field does not take this answer.")


def _by_faults(definition: Definition) -> Iterator[Fault]:
    for index, field in enumerate(definition.results.by):
        at, question = f"/results/by/{index}", definition.question(field)
        if question is None:
            yield Fault(pointer=at, code="unknown-field", detail="Groups are made by a question of this survey.")
        elif question.type != "choice":
            yield Fault(pointer=at, code="not-a-choice", detail="Groups are made by a choice question.")
        elif not question.public:
            yield Fault(pointer=at, code="not-public", detail="A question that is not public makes no groups.")
        if field in definition.results.by[:index]:
            yield Fault(pointer=at, code="duplicate-field", detail="This field is listed already.")
