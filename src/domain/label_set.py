"""A label set: what annotators are asked about each resource, in versions."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import reduce
from typing import Any

from domain.access import Action, require
from domain.errors import Fault, Invalid, expect_version
from domain.quota import QuotaExceeded
from domain.survey import Asked, BreakingChange, FieldChange, InvalidAnswer, Kind, Question, asked_again, kinds_of_change, question_from
from domain.text import refuse, text_faults
from domain.user import User

NAME_PATTERN = r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,62})"
TITLE_MAX = 255
COPIES_DEFAULT, COPIES_MAX = 2, 100
SETS_MAX = 200  # of a project
VERSIONS_MAX = 1_000

FIELD = "value"  # the question's field: what an annotation calls its label, so that a refusal names it


class Level(StrEnum):
    """What the distance between two labels means: nothing, an order, or a length."""

    NOMINAL = "nominal"
    ORDINAL = "ordinal"
    INTERVAL = "interval"


TYPES = ("choice", "scale", "boolean", "text")


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """What a team declares of a label set; it never changes, a new version takes its place.

    `copies` is how many annotators each resource should have; `blind` hides their labels from each other until they gave their own.
    """

    title: str
    question: Question
    level: Level
    blind: bool = True
    copies: int = COPIES_DEFAULT

    def document(self) -> dict[str, Any]:
        """This declaration as plain data, absent parts left out."""
        asked = self.question.document()
        document: dict[str, Any] = {"title": self.title}
        document |= {name: asked[name] for name in ("type", "choices", "min", "max") if name in asked}
        return document | {"level": self.level.value, "blind": self.blind, "copies": self.copies}

    def distance(self, one: Any, other: Any) -> float:
        """How far apart two labels are, from 0 to 1, as far as the level tells; 1 for what is no label any more."""
        if one == other or self.level is Level.NOMINAL:
            return 0.0 if one == other else 1.0
        places = self._places()
        if places is None:
            return min(1.0, float(abs(one - other)) / self._width())
        if one not in places or other not in places:
            return 1.0
        return abs(places[one] - places[other]) / ((max(places.values()) - min(places.values())) or 1)

    def _places(self) -> dict[str, int] | None:
        """Where each choice stands: by its code where distances have a length, else by its place in the order."""
        choices = self.question.choices_offered
        if not choices:
            return None
        coded = self.level is Level.INTERVAL
        return {choice.value: (choice.code or 0) if coded else place for place, choice in enumerate(choices)}

    def _width(self) -> int:
        span: int = getattr(self.question, "max", 0) - getattr(self.question, "min", 0)
        return span or 1


def declaration_from(document: dict[str, Any]) -> Declaration:
    """The declaration that plain data of the right shape describes. Raises `Invalid` with a pointer to each fault."""
    refuse(_misplaced(document))
    kind: str = document["type"]
    asked: dict[str, Any] = {"field": FIELD, "type": kind} | {name: document.get(name) for name in ("choices", "min", "max")}
    if kind == "choice":
        asked["choices"] = asked["choices"] or []  # none is a fault of its own
    question = question_from(asked)
    level = document.get("level") or (Level.ORDINAL if kind == "scale" else Level.NOMINAL)
    rest = {name: document[name] for name in ("blind", "copies") if document.get(name) is not None}
    declaration = Declaration(title=document["title"], question=question, level=Level(level), **rest)
    refuse(_faults(declaration))
    return declaration


def _misplaced(document: dict[str, Any]) -> Iterator[Fault]:
    for name, kind in (("choices", "choice"), ("min", "scale"), ("max", "scale")):
        if document.get(name) is not None and document["type"] != kind:
            yield Fault(pointer=f"/{name}", code="not-for-this-type", detail=f"Only the type {kind} has {name}.")


def _faults(declaration: Declaration) -> Iterator[Fault]:
    yield from text_faults("/title", declaration.title, shortest=1, longest=TITLE_MAX)
    yield from declaration.question.faults("")
    if declaration.level not in _levels(declaration.question):
        fitting = ", ".join(_levels(declaration.question))
        detail = f"The type {declaration.question.type} takes {fitting}; interval needs a number for each label."
        yield Fault(pointer="/level", code="level-does-not-fit", detail=detail)
    if not 1 <= declaration.copies <= COPIES_MAX:
        yield Fault(pointer="/copies", code="out-of-range", detail=f"1 to {COPIES_MAX}.")


def _levels(question: Question) -> tuple[Level, ...]:
    match question.type:
        case "scale":
            return tuple(Level)
        case "choice":
            is_coded = all(choice.code is not None for choice in question.choices_offered)
            return tuple(Level) if is_coded else (Level.NOMINAL, Level.ORDINAL)
        case _:
            return (Level.NOMINAL,)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSet:
    """A label set of a project as it stands: its newest version. `id` is 0 until the store has given one."""

    id: int = 0
    project_id: int
    project: str
    name: str
    version: int = 1
    declaration: Declaration
    published_at: datetime
    published_by: int

    def accept(self, value: object) -> Any:
        """The canonical form of a label. Types are strict: a number in a text is none. Raises `Invalid`."""
        question = self.declaration.question
        try:
            if isinstance(value, str) and question.type == "scale":
                raise question.refusal()
            return question.accept(value)
        except InvalidAnswer as error:
            raise Invalid(Fault(pointer=f"/{FIELD}", code="invalid-label", detail=error.detail)) from None

    def read(self, text: str, *, at: str) -> str:
        """The written form of the label that a text names; `at` points at it. Raises `Invalid`."""
        return written(self.spelled(text, at=at))

    def spelled(self, text: str, *, at: str) -> Any:
        """The label that a text names; `at` points at it. Raises `Invalid`."""
        question = self.declaration.question
        for candidate in (text, {"true": True, "false": False}.get(text)):
            if question.accepts(candidate):
                return question.accept(candidate)
        raise Invalid(Fault(pointer=at, code="invalid-label", detail=question.refusal().detail))

    def publish(
        self,
        declaration: Declaration,
        changes: tuple[FieldChange, ...],
        *,
        accept_breaking: frozenset[str] = frozenset(),
        by: User,
        expected: frozenset[int] | None = None,
        at: datetime,
    ) -> "LabelSet":
        """The set with `declaration` as its newest version, by these counted changes; itself where nothing differs.

        Raises `NotAllowed`, `Stale`, and `BreakingChange` for what touches annotations and was not accepted by the set's name. The
        type never changes under annotations.
        """
        require(by, Action.LABEL_SET_PUBLISH)
        expect_version(self.version, expected)
        if declaration == self.declaration:
            return self
        if any(c.is_breaking and (c.change is Kind.RETYPED or c.field not in accept_breaking) for c in changes):
            raise BreakingChange(changes)
        if self.version >= VERSIONS_MAX:
            raise QuotaExceeded(f"A label set has at most {VERSIONS_MAX} versions.")
        return replace(self, declaration=declaration, version=self.version + 1, published_at=at, published_by=by.id)


def first_label_set(
    declaration: Declaration,
    *,
    project_id: int,
    project: str,
    name: str,
    by: User,
    expected: frozenset[int] | None = None,
    beside: int = 0,
    at: datetime,
) -> tuple[LabelSet, tuple[FieldChange, ...]]:
    """A label set that is new `beside` so many others. Raises `NotAllowed`, `Stale` when a version was expected, `QuotaExceeded`."""
    require(by, Action.LABEL_SET_PUBLISH)
    expect_version(0, expected)
    if beside >= SETS_MAX:
        raise QuotaExceeded(f"A project has at most {SETS_MAX} label sets.")
    made = LabelSet(project_id=project_id, project=project, name=name, declaration=declaration, published_at=at, published_by=by.id)
    return made, (FieldChange(field=name, change=Kind.ADDED),)


def ever_labelled(questions: Iterable[Question]) -> Asked | None:
    """What all versions of a set asked, oldest first: its last form, with every choice that it ever offered."""
    return reduce(asked_again, questions, None)


def changes_of(found: LabelSet, declaration: Declaration, asked: Asked | None) -> tuple[FieldChange, ...]:
    """What a new declaration does to a set, uncounted: `relabelled` where no label is given or taken."""
    if declaration == found.declaration or asked is None:
        return ()
    kinds = kinds_of_change(asked, declaration.question) or [Kind.RELABELLED]
    return tuple(FieldChange(field=found.name, change=kind) for kind in kinds)


def written(value: Any) -> str:
    """A label as a text: `true`, `3`, or the text that it is."""
    return value if isinstance(value, str) else json.dumps(value)
