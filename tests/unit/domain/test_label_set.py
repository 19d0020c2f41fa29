"""Label sets: what may be declared, which labels are taken, and what a new version does."""

from dataclasses import replace
from typing import Any

import pytest

from domain.access import NotAllowed, Role
from domain.errors import Invalid, Stale
from domain.label_set import (
    SETS_MAX,
    VERSIONS_MAX,
    LabelSet,
    Level,
    changes_of,
    declaration_from,
    ever_labelled,
    first_label_set,
    written,
)
from domain.quota import QuotaExceeded
from domain.survey import BreakingChange, FieldChange, Kind, counted
from tests.examples import ADMIN, NOW, declaration, label_set, user

CHOICES = [{"value": "a"}, {"value": "b"}]
SCALE: dict[str, Any] = {"type": "scale", "choices": None, "min": 1, "max": 5}
BOOLEAN: dict[str, Any] = {"type": "boolean", "choices": None}
TEXT: dict[str, Any] = {"type": "text", "choices": None}


def faults_of(**changes: Any) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as refused:
        declaration(**changes)
    return [(fault.pointer, fault.code) for fault in refused.value.faults]


def verdict(before: LabelSet, labels: list[tuple[Any, int]] | None = None, **changes: Any) -> list[tuple[Kind, int]]:
    """What a new declaration does to a set that has one version and these labels."""
    asked, after = ever_labelled([before.declaration.question]), declaration(**changes)
    found = (counted(change, labels or [], before=asked, after=after.question) for change in changes_of(before, after, asked))
    return [(change.change, change.touched) for change in found]


def test_what_is_left_out_has_a_default() -> None:
    made = declaration()
    assert (made.level, made.blind, made.copies) == (Level.NOMINAL, True, 2)
    assert declaration(**SCALE).level is Level.ORDINAL


@pytest.mark.parametrize("changes", [{}, SCALE, BOOLEAN, TEXT, {"choices": [{"value": "a", "label": "A", "code": 0}], "level": "interval"}])
def test_a_declaration_is_had_back_from_its_document(changes: dict[str, Any]) -> None:
    made = declaration(**changes, blind=False, copies=7)
    assert declaration_from(made.document()) == made


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"title": " "}, ("/title", "too-short")),
        ({"choices": None}, ("/choices", "no-choices")),
        ({"choices": [*CHOICES, {"value": "a"}]}, ("/choices/2/value", "duplicate-choice")),
        ({"max": 3}, ("/max", "not-for-this-type")),
        (SCALE | {"choices": CHOICES}, ("/choices", "not-for-this-type")),
        (SCALE | {"max": None}, ("/max", "missing")),
        (BOOLEAN | {"level": "ordinal"}, ("/level", "level-does-not-fit")),
        (TEXT | {"level": "interval"}, ("/level", "level-does-not-fit")),
        ({"level": "interval"}, ("/level", "level-does-not-fit")),
        ({"copies": 0}, ("/copies", "out-of-range")),
        ({"copies": 101}, ("/copies", "out-of-range")),
    ],
)
def test_each_fault_is_pointed_at(changes: dict[str, Any], fault: tuple[str, str]) -> None:
    assert fault in faults_of(**changes)


@pytest.mark.parametrize(
    ("changes", "value", "text"),
    [({}, "a", "a"), (SCALE, 3, "3"), (BOOLEAN, True, "true"), (BOOLEAN, False, "false"), (TEXT, "3", "3"), (TEXT, "true", "true")],
)
def test_a_label_is_written_and_read(changes: dict[str, Any], value: Any, text: str) -> None:
    made = label_set(**changes)
    assert made.accept(value) == value
    assert written(value) == text == made.read(text, at="/label.topic")


@pytest.mark.parametrize(
    ("changes", "value"),
    [
        ({}, "c"),
        ({}, True),
        (SCALE, "3"),
        (SCALE, 6),
        (SCALE, 1.0),
        (SCALE, True),
        (BOOLEAN, "true"),
        (BOOLEAN, 1),
        (TEXT, 1),
        (TEXT, None),
    ],
)
def test_types_are_strict(changes: dict[str, Any], value: object) -> None:
    with pytest.raises(Invalid) as refused:
        label_set(**changes).accept(value)
    assert refused.value.faults[0].pointer == "/value"
    assert refused.value.faults[0].detail.startswith("value takes ")


@pytest.mark.parametrize(("changes", "text"), [({}, "c"), (SCALE, "9"), (SCALE, "3.0"), (BOOLEAN, "yes"), (BOOLEAN, "True")])
def test_a_text_that_names_no_label_is_refused_where_it_stands(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(Invalid) as refused:
        label_set(**changes).read(text, at="/label.topic")
    assert refused.value.faults[0].pointer == "/label.topic"


def test_the_first_version_is_added() -> None:
    made, changes = first_label_set(declaration(), project_id=1, project="story", name="topic", by=ADMIN, at=NOW)
    assert (made.version, changes) == (1, (FieldChange(field="topic", change=Kind.ADDED),))
    with pytest.raises(Stale):
        first_label_set(declaration(), project_id=1, project="story", name="topic", by=ADMIN, expected=frozenset({1}), at=NOW)
    with pytest.raises(NotAllowed):
        first_label_set(declaration(), project_id=1, project="story", name="topic", by=user(id=2, role=Role.ANNOTATOR), at=NOW)


def test_a_project_has_no_more_label_sets_and_they_no_more_versions_than_they_may() -> None:
    made, _ = first_label_set(declaration(), project_id=1, project="story", name="topic", by=ADMIN, beside=SETS_MAX - 1, at=NOW)
    with pytest.raises(QuotaExceeded):
        first_label_set(declaration(), project_id=1, project="story", name="topic", by=ADMIN, beside=SETS_MAX, at=NOW)
    last = replace(made, version=VERSIONS_MAX)
    assert last.publish(declaration(), (), by=ADMIN, at=NOW) is last
    with pytest.raises(QuotaExceeded):
        last.publish(declaration(title="Another"), (), by=ADMIN, at=NOW)


def test_the_verdict_on_each_kind_of_change() -> None:
    topic, labels = label_set(), [("a", 3), ("b", 1)]
    assert verdict(topic, labels) == []
    assert verdict(topic, labels, choices=[*CHOICES, {"value": "c"}]) == [(Kind.WIDENED, 4)]
    assert verdict(topic, labels, choices=CHOICES[:1]) == [(Kind.NARROWED, 1)]
    assert verdict(topic, labels, choices=[{"value": "a"}, {"value": "c"}]) == [(Kind.WIDENED, 4), (Kind.NARROWED, 1)]
    assert verdict(topic, labels, **SCALE) == [(Kind.RETYPED, 4)]
    for alike in (
        {"title": "Other"},
        {"blind": False},
        {"copies": 3},
        {"level": "ordinal"},
        {"choices": [{"value": "a", "label": "A"}, CHOICES[1]]},
    ):
        assert verdict(topic, labels, **alike) == [(Kind.RELABELLED, 4)]


def test_a_choice_that_comes_back_is_held_against_its_last_form() -> None:
    forms = [declaration(choices=[{"value": "a", "code": 1}]), declaration(choices=[{"value": "b"}])]
    asked = ever_labelled(form.question for form in forms)
    now = replace(label_set(), declaration=forms[1], version=2)
    (widened, narrowed) = changes_of(now, declaration(choices=[{"value": "b"}, {"value": "a", "code": 2}]), asked)
    assert (widened.change, narrowed.change) == (Kind.WIDENED, Kind.NARROWED)


def test_a_breaking_change_needs_to_be_accepted_by_name_and_a_new_type_never_is() -> None:
    topic, narrower = label_set(), declaration(choices=CHOICES[:1])
    narrowed = (FieldChange(field="topic", change=Kind.NARROWED, touched=1),)
    with pytest.raises(BreakingChange):
        topic.publish(narrower, narrowed, accept_breaking=frozenset({"other"}), by=ADMIN, at=NOW)
    assert topic.publish(narrower, narrowed, accept_breaking=frozenset({"topic"}), by=ADMIN, at=NOW).version == 2
    retyped = (FieldChange(field="topic", change=Kind.RETYPED, touched=1),)
    with pytest.raises(BreakingChange):
        topic.publish(declaration(**SCALE), retyped, accept_breaking=frozenset({"topic"}), by=ADMIN, at=NOW)
    free = (FieldChange(field="topic", change=Kind.RETYPED, touched=0),)
    assert topic.publish(declaration(**SCALE), free, by=ADMIN, at=NOW).version == 2


def test_the_same_again_is_itself_and_a_stale_version_is_refused() -> None:
    topic = label_set()
    assert topic.publish(declaration(), (), by=ADMIN, at=NOW) is topic
    with pytest.raises(Stale):
        topic.publish(declaration(), (), by=ADMIN, expected=frozenset({2}), at=NOW)
    with pytest.raises(NotAllowed):
        topic.publish(declaration(), (), by=user(id=2, role=Role.ANNOTATOR), at=NOW)
