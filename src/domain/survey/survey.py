"""A survey as it stands: its newest version, open or closed, and how a new version follows an old one."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from domain.access import Action, require
from domain.errors import Conflict, expect_version
from domain.survey.change import Change
from domain.survey.definition import Definition
from domain.survey.question import InvalidAnswer, Question, is_field
from domain.user import User


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
    """What a new version does to one question, and the number of stored answers concerned."""

    field: str
    change: Kind
    touched: int = 0


class BreakingChange(Conflict):
    """The new version would take away what answers rest on. `changes` lists what it would do; add questions instead."""

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

    def accept(self, field: str, value: object) -> Change:
        """What answering `field` with `value` (None: withdrawing it) would change. Raises `SurveyClosed`, `InvalidAnswer`.

        Whether the consent gate stands open is for the response to tell: it depends on the answers given so far.
        """
        if not self.is_open:
            raise SurveyClosed
        question = self.definition.question(field)
        if question is None:
            raise InvalidAnswer(f"There is no question {field} in this survey." if is_field(field) else "There is no such question.")
        canonical = None if value is None else question.accept(value)
        consent = self.definition.consent
        return Change(
            field=field,
            value=canonical,
            code=question.code_of(canonical),
            has_codes=question.type == "choice",
            survey_version=self.version,
            gate=None if consent is None or consent.field == field else (consent.field, consent.accept),
            erases=consent is not None and consent.field == field and canonical != consent.accept,
        )

    def publish(
        self, definition: Definition, *, by: User, expected: frozenset[int] | None = None, at: datetime
    ) -> tuple["Survey", tuple[FieldChange, ...]]:
        """The survey with `definition` as its newest version; the very same one where nothing differs.

        Raises `NotAllowed`, `Stale`, and `BreakingChange` for anything that is not an addition.
        """
        require(by, Action.SURVEY_PUBLISH)
        expect_version(self.version, expected)
        if definition == self.definition:
            return self, ()
        changes = tuple(changes_between(self.definition, definition))
        if not _is_additive(self.definition, definition, changes):
            raise BreakingChange(changes)
        return replace(self, definition=definition, version=self.version + 1, published_at=at, published_by=by.id), changes


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


def changes_between(old: Definition, new: Definition) -> Iterator[FieldChange]:
    """What `new` does to the questions of `old`: removals last, the rest in the order of `new`."""
    for question in new.questions:
        before = old.question(question.field)
        kinds = [Kind.ADDED] if before is None else _kinds(before, question)
        for kind in kinds:
            yield FieldChange(field=question.field, change=kind)
    for question in old.questions:
        if new.question(question.field) is None:
            yield FieldChange(field=question.field, change=Kind.REMOVED)


def _is_additive(old: Definition, new: Definition, changes: tuple[FieldChange, ...]) -> bool:
    breaking = {Kind.REMOVED, Kind.NARROWED, Kind.RETYPED}
    same_rules = (old.identity, old.consent) == (new.identity, new.consent)
    return same_rules and not any(change.change in breaking for change in changes)


def _kinds(old: Question, new: Question) -> list[Kind]:
    if old.type != new.type:
        return [Kind.RETYPED]
    if old == new:
        return []
    kinds = [Kind.WIDENED] if not old.covers(new) else []
    kinds += [Kind.NARROWED] if not new.covers(old) else []
    return kinds or [Kind.RELABELLED]
