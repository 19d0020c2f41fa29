"""A survey as it stands: its newest version, open or closed, and how a new version follows an old one."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from domain.access import Action, require
from domain.errors import Conflict, expect_version
from domain.quota import QuotaExceeded
from domain.survey.change import Change
from domain.survey.definition import Definition
from domain.survey.question import Choice, InvalidAnswer, Question, is_field
from domain.user import User

VERSIONS_MAX = 1_000


class SurveyClosed(Conflict):
    """The survey takes no answers at present; those it has are kept."""

    code = "survey-closed"
    detail = "This survey is closed."


class Kind(StrEnum):
    """What a new version does to a question."""

    ADDED = "added"
    REMOVED = "removed"
    WIDENED = "widened"
    NARROWED = "narrowed"
    RELABELLED = "relabelled"
    RETYPED = "retyped"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """What a new version does to one question, and the number of stored answers concerned.

    Concerned by `narrowed` are the answers that the question no longer takes, by all else those of the field.
    """

    field: str
    change: Kind
    touched: int = 0

    @property
    def is_breaking(self) -> bool:
        """Whether this takes away what stored answers rest on."""
        return self.touched > 0 and self.change in (Kind.REMOVED, Kind.NARROWED, Kind.RETYPED)


class BreakingChange(Conflict):
    """The new version would take away what stored answers rest on: see `changes`.

    Name the fields in `accept_breaking` to do it all the same; stored answers stay, pinned to the version they were given under. A
    question that has answers never changes its type: use a new field.
    """

    code = "breaking-change"
    detail = "This would break stored answers: see changes."

    def __init__(self, changes: tuple[FieldChange, ...]) -> None:
        self.changes = changes
        super().__init__()

    @property
    def members(self) -> dict[str, Any]:
        return {"changes": [asdict(change) for change in self.changes]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """The survey of one project."""

    project_id: int
    project: str
    version: int
    is_open: bool
    definition: Definition
    published_at: datetime
    published_by: int

    def accept(self, answers: Mapping[str, object]) -> Change:
        """What these answers (None: withdrawing) would change. Raises `SurveyClosed`, `InvalidAnswer`.

        Whether the consent gate stands open is for the response to tell: it depends on the answers given so far.
        """
        if not self.is_open:
            raise SurveyClosed
        return Change(
            answers={field: self._canonical(field, value) for field, value in answers.items()},
            survey_version=self.version,
            consent=self.definition.consent,
        )

    def withdraws(self, answers: Mapping[str, object]) -> bool:
        """Whether these take back an answer, other than consent."""
        consent = self.definition.consent and self.definition.consent.field
        return any(value is None and field != consent for field, value in answers.items())

    def _canonical(self, field: str, value: object) -> Any:
        question = self.definition.question(field)
        if question is None:
            raise InvalidAnswer(f"There is no question {field} in this survey." if is_field(field) else "There is no such question.")
        return None if value is None else question.accept(value)

    def codes_of(self, answers: Mapping[str, Any]) -> dict[str, int | None]:
        """The codes of the choices among canonical answers; None for one without a code or without an answer."""
        questions = {field: self.definition.question(field) for field in answers}
        return {field: q.code_of(answers[field]) for field, q in questions.items() if q is not None and q.type == "choice"}

    def publish(
        self,
        definition: Definition,
        changes: tuple[FieldChange, ...],
        *,
        accept_breaking: frozenset[str] = frozenset(),
        by: User,
        expected: frozenset[int] | None = None,
        at: datetime,
    ) -> "Survey":
        """The survey with `definition` as its newest version, by these counted changes; itself where nothing differs.

        Raises `NotAllowed`, `Stale`, and `BreakingChange` for what touches answers and was not accepted by name.
        """
        require(by, Action.SURVEY_PUBLISH)
        expect_version(self.version, expected)
        if definition == self.definition:
            return self
        if any(c.is_breaking and (c.change is Kind.RETYPED or c.field not in accept_breaking) for c in changes):
            raise BreakingChange(changes)
        if self.version >= VERSIONS_MAX:
            raise QuotaExceeded(f"A survey has at most {VERSIONS_MAX} versions.")
        return replace(self, definition=definition, version=self.version + 1, published_at=at, published_by=by.id)

    def switch(self, *, is_open: bool, by: User) -> "Survey":
        """The survey open or closed. Raises `NotAllowed`."""
        require(by, Action.SURVEY_SWITCH)
        return replace(self, is_open=is_open)


def first_survey(
    definition: Definition, *, project_id: int, project: str, by: User, expected: frozenset[int] | None = None, at: datetime
) -> tuple[Survey, tuple[FieldChange, ...]]:
    """A survey published for the first time, open. Raises `NotAllowed`, and `Stale` when a version was expected."""
    require(by, Action.SURVEY_PUBLISH)
    expect_version(0, expected)
    survey = Survey(
        project_id=project_id, project=project, version=1, is_open=True, definition=definition, published_at=at, published_by=by.id
    )
    return survey, tuple(FieldChange(field=question.field, change=Kind.ADDED) for question in definition.questions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question of all versions so far: as it was last asked, with every choice that it ever offered, each as last offered."""

    question: Question
    choices: tuple[Choice, ...] = ()


def ever_asked(definitions: Iterable[Definition]) -> dict[str, Asked]:
    """Every question of all versions, oldest first, in order of appearance. What it offered under another type is forgotten."""
    asked: dict[str, Asked] = {}
    for definition in definitions:
        for question in definition.questions:
            asked[question.field] = asked_again(asked.get(question.field), question)
    return asked


def asked_again(before: Asked | None, question: Question) -> Asked:
    """A question as it is asked now, after all that it was before."""
    kept = before.choices if before is not None and before.question.type == question.type else ()
    choices = {choice.value: choice for choice in (*kept, *question.choices_offered)}
    return Asked(question=question, choices=tuple(choices.values()))


def changes_between(old: Definition, new: Definition, asked: Mapping[str, Asked]) -> Iterator[FieldChange]:
    """What `new` does to the questions of `old`: removals last, the rest in the order of `new`.

    `asked` holds every question of all versions so far: one that comes back is held against its last form.
    """
    for question in new.questions:
        before = asked.get(question.field)
        kinds = [] if before is None else kinds_of_change(before, question)
        if old.question(question.field) is None:
            kinds = [Kind.ADDED, *(kind for kind in kinds if kind in (Kind.NARROWED, Kind.RETYPED))]
        for kind in kinds:
            yield FieldChange(field=question.field, change=kind)
    for question in old.questions:
        if new.question(question.field) is None:
            yield FieldChange(field=question.field, change=Kind.REMOVED)


def counted(change: FieldChange, answers: Iterable[tuple[Any, int]], *, before: Asked | None, after: Question | None) -> FieldChange:
    """The change with the stored answers that it concerns; `answers` are the field's values with how often each is stored."""
    if change.change is not Kind.NARROWED or before is None or after is None:
        return replace(change, touched=sum(number for _, number in answers))
    recoded = after.recoded(before.choices)

    def is_concerned(answer: Any) -> bool:
        chosen = answer if isinstance(answer, list) else [answer]
        is_given_up = before.question.accepts(answer) and not after.accepts(answer)
        return is_given_up or not recoded.isdisjoint(map(str, chosen))

    return replace(change, touched=sum(number for answer, number in answers if is_concerned(answer)))


def kinds_of_change(before: Asked, new: Question) -> list[Kind]:
    """What asking a question anew does to it; nothing where nothing differs."""
    old = before.question
    if old.type != new.type:
        return [Kind.RETYPED]
    recoded = new.recoded(before.choices)
    if old == new and not recoded:
        return []
    kinds = [Kind.WIDENED] if not old.covers(new) else []
    kinds += [Kind.NARROWED] if recoded or not new.covers(old) else []
    return kinds or [Kind.RELABELLED]
