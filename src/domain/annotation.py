"""An annotation: the label that one annotator gives one resource, who sees it, and what several of them come to."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import combinations
from typing import Any

from domain.access import Action, NotAllowed, is_unblinded, require
from domain.errors import Fault, expect_version
from domain.export import Column, ColumnType, table_schema
from domain.label_set import LabelSet, written
from domain.text import refuse, text_faults
from domain.user import User

NOTE_MAX = 2000
CONFIDENCE_MIN, CONFIDENCE_MAX = 1, 5
LEASE = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """What an annotator says of a resource now, under the version of the label set that accepted it. `id` is 0 until stored."""

    id: int = 0
    label_set_id: int
    label_set: str
    label_set_version: int
    resource_id: int
    annotator: str
    annotator_id: int
    value: Any
    confidence: int | None = None
    note: str | None = None
    created_at: datetime
    updated_at: datetime | None = None
    version: int = 1


def annotate(
    label_set: LabelSet,
    before: Annotation | None,
    *,
    resource_id: int,
    value: object,
    confidence: int | None = None,
    note: str | None = None,
    by: User,
    expected: frozenset[int] | None = None,
    at: datetime,
) -> Annotation:
    """The annotation of whoever annotates, in the place of the one `before`; that one itself where nothing differs.

    Raises `NotAllowed`, `Invalid`, `Stale`.
    """
    require(by, Action.ANNOTATION_WRITE)
    label = label_set.accept(value)
    refuse(_faults(confidence, note))
    expect_version(0 if before is None else before.version, expected)
    made = Annotation(
        label_set_id=label_set.id,
        label_set=label_set.name,
        label_set_version=label_set.version,
        resource_id=resource_id,
        annotator=by.username,
        annotator_id=by.id,
        value=label,
        confidence=confidence,
        note=note,
        created_at=at,
    )
    if before is None:
        return made
    if _said(before) == _said(made):
        return before
    return replace(made, id=before.id, created_at=before.created_at, updated_at=at, version=before.version + 1)


def _said(annotation: Annotation) -> tuple[Any, ...]:
    return type(annotation.value), annotation.value, annotation.confidence, annotation.note


def _faults(confidence: int | None, note: str | None) -> Iterator[Fault]:
    if confidence is not None and not CONFIDENCE_MIN <= confidence <= CONFIDENCE_MAX:
        yield Fault(pointer="/confidence", code="out-of-range", detail=f"{CONFIDENCE_MIN} to {CONFIDENCE_MAX}.")
    if note is not None:
        yield from text_faults("/note", note, longest=NOTE_MAX)


# --- who sees what -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotationFilter:
    """Which annotations of a project: in this label set, of this resource, by the annotator of this username.

    `seen_by` is the annotator who looks: of blind sets, only one's own, and those of others on resources that one has annotated in
    that set (see `is_seen`). None sees all.
    """

    project: str
    label_set: str | None = None
    resource_id: int | None = None
    annotator: str | None = None
    seen_by: int | None = None


def sight_of(by: User, action: Action) -> int | None:
    """Who looks, for `AnnotationFilter.seen_by`: who is unblinded sees all. Raises `NotAllowed`."""
    require(by, action)
    return None if is_unblinded(by) else by.id


def is_seen(annotation: Annotation, *, blind: bool, seen_by: int | None, own: bool) -> bool:
    """The rule of blindness; `own` tells whether the one who looks has annotated this resource in this set.

    Every store that lists annotations applies this very rule.
    """
    return seen_by is None or not blind or annotation.annotator_id == seen_by or own


def require_names(by: User) -> None:
    """Raise `NotAllowed` unless annotators may be told by name."""
    if not is_unblinded(by):
        raise NotAllowed


# --- what annotations come to ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Who gave a resource which label."""

    annotator_id: int
    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What the annotations of a resource come to in one set.

    `label` is the one given more often than any other, as it is written; None when there is no such. `dispute` is how far apart the
    labels are on average over all pairs, from 0 to 1.
    """

    annotators: tuple[int, ...]
    label: str | None
    dispute: float


def judged(label_set: LabelSet, given: Sequence[Given]) -> Judgement:
    """What these annotations come to."""
    labels = [each.value for each in given]
    pairs = [label_set.declaration.distance(one, other) for one, other in combinations(labels, 2)]
    return Judgement(
        annotators=tuple(sorted(each.annotator_id for each in given)),
        label=_most_given([written(label) for label in labels]),
        dispute=sum(pairs) / len(pairs) if pairs else 0.0,
    )


def _most_given(labels: list[str]) -> str | None:
    ranked = Counter(labels).most_common(2)
    if not ranked or (len(ranked) == 2 and ranked[0][1] == ranked[1][1]):
        return None
    return ranked[0][0]


# --- as a table --------------------------------------------------------------------------------------------------------------

COLUMNS = (
    Column(name="resource_id", type=ColumnType.INTEGER),
    Column(name="resource_name", type=ColumnType.TEXT),
    Column(name="label_set", type=ColumnType.CATEGORY),
    Column(name="label_set_version", type=ColumnType.INTEGER),
    Column(name="annotator", type=ColumnType.CATEGORY),
    Column(name="value", type=ColumnType.TEXT),
    Column(name="confidence", type=ColumnType.INTEGER),
    Column(name="note", type=ColumnType.TEXT),
    Column(name="created_at", type=ColumnType.TIME),
    Column(name="updated_at", type=ColumnType.TIME),
)
CODEBOOK = table_schema(
    COLUMNS,
    {
        "resource_id": {"title": "Number of the resource", "constraints": {"required": True, "minimum": 1}},
        "resource_name": {"title": "Name of the resource", "constraints": {"required": True}},
        "label_set": {"title": "Name of the label set", "constraints": {"required": True}},
        "label_set_version": {"title": "Version of the set that took the label", "constraints": {"required": True, "minimum": 1}},
        "annotator": {"title": "Pseudonym of the annotator, or the username where names were asked for", "constraints": {"required": True}},
        "value": {"title": "The label as it is written", "constraints": {"required": True}},
        "confidence": {"title": "How sure the annotator is", "constraints": {"minimum": CONFIDENCE_MIN, "maximum": CONFIDENCE_MAX}},
        "note": {"title": "Note of the annotator"},
        "created_at": {"title": "When it was given", "constraints": {"required": True}},
        "updated_at": {"title": "When it last changed"},
    },
)


def cells(annotation: Annotation, *, resource_name: str, annotator: str) -> tuple[Any, ...]:
    """The cells of an annotation in the long form, one a column; `annotator` is the name or the pseudonym to tell."""
    return (
        annotation.resource_id,
        resource_name,
        annotation.label_set,
        annotation.label_set_version,
        annotator,
        written(annotation.value),
        annotation.confidence,
        annotation.note,
        annotation.created_at,
        annotation.updated_at,
    )
