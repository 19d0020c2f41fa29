"""Annotations: what is taken, who sees it, and what several come to."""

from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.access import Action, NotAllowed, Role
from domain.annotation import Annotation, Given, annotate, is_seen, judged, require_names, sight_of
from domain.errors import Invalid, Stale
from domain.label_set import LabelSet
from domain.user import User
from tests.examples import ADMIN, MEMBER, NOW, label_set, user

LATER = NOW + timedelta(hours=1)
ANNOTATOR = user("emmy", id=3, role=Role.ANNOTATOR)
SCALE = label_set(type="scale", choices=None, min=1, max=5, level="interval")


def said(
    before: Annotation | None = None, *, of: LabelSet | None = None, value: object = "a", by: User = ANNOTATOR, **rest: Any
) -> Annotation:
    return annotate(of or label_set(), before, resource_id=7, value=value, by=by, at=rest.pop("at", NOW), **rest)


def test_an_annotation_is_the_annotators_own_and_pinned_to_the_version() -> None:
    made = said(of=label_set(version=4), confidence=5, note="Sure.")
    assert (made.annotator, made.annotator_id, made.label_set, made.label_set_version) == ("emmy", 3, "topic", 4)
    assert (made.resource_id, made.value, made.confidence, made.note) == (7, "a", 5, "Sure.")
    assert (made.created_at, made.updated_at, made.version) == (NOW, None, 1)


def test_the_same_again_is_nothing_new() -> None:
    made = said(note="x")
    assert said(made, of=label_set(version=2), note="x", at=LATER) is made


@pytest.mark.parametrize("change", [{"value": "b"}, {"confidence": 1}, {"note": "y"}, {"note": None}])
def test_what_differs_is_the_next_version(change: dict[str, Any]) -> None:
    made = said(note="x")
    anew = said(made, of=label_set(version=2), at=LATER, **{"note": "x"} | change)
    assert (anew.version, anew.created_at, anew.updated_at, anew.label_set_version) == (2, NOW, LATER, 2)


def test_true_is_not_one() -> None:
    yes = said(of=label_set(type="boolean", choices=None), value=True)
    assert said(yes, of=label_set(type="scale", choices=None, min=0, max=1), value=1).version == 2


def test_refusals_come_in_the_order_of_the_contract() -> None:
    made = said()
    with pytest.raises(NotAllowed):
        said(by=MEMBER, value="c")
    with pytest.raises(Invalid):
        said(made, value="c", expected=frozenset({9}))
    with pytest.raises(Stale):
        said(made, value="b", expected=frozenset({9}))
    with pytest.raises(Stale):
        said(expected=frozenset({1}))
    assert said(made, value="b", expected=frozenset({1})).version == 2


@pytest.mark.parametrize(
    ("content", "at"),
    [({"confidence": 0}, "/confidence"), ({"confidence": 6}, "/confidence"), ({"note": "x" * 2001}, "/note"), ({"note": "\x00"}, "/note")],
)
def test_each_fault_is_pointed_at(content: dict[str, Any], at: str) -> None:
    with pytest.raises(Invalid) as refused:
        said(**content)
    assert [fault.pointer for fault in refused.value.faults] == [at]


@pytest.mark.parametrize(
    ("blind", "seen_by", "own", "seen"),
    [
        (True, None, False, True),
        (True, 3, False, True),
        (True, 4, False, False),
        (True, 4, True, True),
        (False, 4, False, True),
    ],
)
def test_who_sees_an_annotation_of_user_3(blind: bool, seen_by: int | None, own: bool, seen: bool) -> None:  # noqa: FBT001
    assert is_seen(said(), blind=blind, seen_by=seen_by, own=own) is seen


def test_an_admin_sees_all_and_names_and_an_annotator_does_not() -> None:
    assert sight_of(ADMIN, Action.ANNOTATION_READ) is None
    assert sight_of(ANNOTATOR, Action.ANNOTATION_READ) == 3
    require_names(ADMIN)
    with pytest.raises(NotAllowed):
        sight_of(MEMBER, Action.ANNOTATION_READ)
    with pytest.raises(NotAllowed):
        require_names(ANNOTATOR)


def judgement(of: LabelSet, *labels: Any) -> tuple[str | None, float]:
    found = judged(of, [Given(annotator_id=number, value=label) for number, label in enumerate(labels, start=1)])
    assert found.annotators == tuple(range(1, len(labels) + 1))
    return found.label, round(found.dispute, 3)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("", (None, 0.0)),
        ("a", ("a", 0.0)),
        ("aa", ("a", 0.0)),
        ("ab", (None, 1.0)),
        ("aab", ("a", 0.667)),
        ("aabb", (None, 0.667)),
        ("aabc", ("a", 0.833)),
    ],
)
def test_the_label_given_most_and_the_dispute(labels: str, expected: tuple[str | None, float]) -> None:
    assert judgement(label_set(), *labels) == expected


def test_dispute_grows_with_the_distance_where_there_is_one() -> None:
    assert judgement(SCALE, 1, 5) == (None, 1.0)
    assert judgement(SCALE, 2, 3) == (None, 0.25)
    assert judgement(SCALE, 3, 3, 4) == ("3", 0.167)
    ordered = label_set(choices=[{"value": value} for value in "abc"], level="ordinal")
    assert judgement(ordered, "a", "b") == (None, 0.5)
    coded = label_set(choices=[{"value": "a", "code": 0}, {"value": "b", "code": 1}, {"value": "c", "code": 10}], level="interval")
    assert judgement(coded, "a", "b") == (None, 0.1)
    assert judgement(ordered, "a", "no label any more") == (None, 1.0)
    assert judgement(label_set(type="boolean", choices=None), *[True, False, True]) == ("true", 0.667)


@given(st.lists(st.integers(1, 5), max_size=5))
def test_who_said_what_first_does_not_matter(labels: list[int]) -> None:
    assert len({judgement(SCALE, *order) for order in permutations(labels)}) == 1
    label, dispute = judgement(SCALE, *labels)
    assert 0 <= dispute <= 1
    assert (dispute == 0) is (len(set(labels)) <= 1)
    counts = sorted((labels.count(each) for each in set(labels)), reverse=True)
    assert (label is None) is (not counts or counts[:1] == counts[1:2])
