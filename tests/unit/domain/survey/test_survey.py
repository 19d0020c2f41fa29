"""Answering a survey, and how a new version follows an old one."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.access import NotAllowed
from domain.errors import Invalid, Stale
from domain.survey import BreakingChange, Change, FieldChange, InvalidAnswer, Kind, SurveyClosed, first_survey
from domain.survey.survey import changes_between
from tests.examples import ADMIN, AGE, CONSENT, GATE, INTEGER, MEMBER, NOTE, NOW, NUMBER, choices, definition, gated, survey

LATER = NOW + timedelta(hours=1)


def test_an_answer_is_a_change_of_one_field() -> None:
    assert survey(gated()).accept("age", "42") == Change(
        field="age", value=42, code=None, has_codes=False, survey_version=1, gate=("consent", "accepted"), erases=False
    )


@pytest.mark.parametrize(("value", "code", "erases"), [("accepted", 1, False), (0, 0, True), (None, None, True)])
def test_the_consent_itself_waits_for_nothing_and_may_erase(value: object, code: int | None, erases: object) -> None:
    change = survey(gated()).accept("consent", value)
    assert (change.gate, change.code, change.erases, change.has_codes) == (None, code, erases, True)


def test_without_consent_in_the_survey_there_is_no_gate() -> None:
    assert survey().accept("age", None).gate is None
    assert survey().accept("age", None).patch == {}


def test_an_unknown_field_is_named_only_when_it_could_be_one() -> None:
    with pytest.raises(InvalidAnswer, match="There is no question height in this survey"):
        survey().accept("height", 1)
    with pytest.raises(InvalidAnswer, match="There is no such question"):
        survey().accept("<script>", 1)


def test_a_closed_survey_says_so_before_anything_else() -> None:
    closed = survey()
    with pytest.raises(SurveyClosed):
        type(closed)(**{name: getattr(closed, name) for name in closed.__slots__} | {"is_open": False}).accept("height", 1)


# --- versions --------------------------------------------------------------------------------------------------------------


def kinds(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return [change.change.value for change in changes_between(definition(old), definition(new))]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (AGE, AGE, []),
        (AGE, AGE | {"label": "How old?"}, ["relabelled"]),
        (AGE, AGE | {"max": 150}, ["widened"]),
        (AGE, AGE | {"max": None, "min": None}, ["widened"]),
        (AGE, AGE | {"max": 100}, ["narrowed"]),
        (AGE, AGE | {"min": 1, "max": 150}, ["widened", "narrowed"]),
        (INTEGER, INTEGER | {"min": 0}, ["narrowed"]),
        (AGE, {"field": "age", "type": "scale", "min": 0, "max": 130}, ["retyped"]),
        (AGE, NOTE, ["added", "removed"]),
        (NOTE, NOTE | {"max_length": 3000}, ["widened"]),
        (NOTE, NOTE | {"max_length": 1999}, ["narrowed"]),
        (NUMBER | {"max": 1}, NUMBER | {"max": 1.5}, ["widened"]),
        (choices("a"), choices("a", "b"), ["widened"]),
        (choices("a", "b"), choices("a"), ["narrowed"]),
        (choices("a"), choices("b"), ["widened", "narrowed"]),
        (choices("a"), choices({"value": "a", "label": "A"}), ["relabelled"]),
    ],
)
def test_a_change_is_called_what_it_is(old: dict[str, Any], new: dict[str, Any], expected: list[str]) -> None:
    assert kinds(old, new) == expected


@pytest.mark.parametrize("new", [{"a": 2, "b": 1}, {"a": None, "b": 2}, {"a": 3, "b": 2}])
def test_a_code_that_was_answered_with_keeps_its_meaning(new: dict[str, int | None]) -> None:
    old: dict[str, int | None] = {"a": 1, "b": 2}
    before, after = (choices(*({"value": value, "code": code} for value, code in each.items())) for each in (old, new))
    with pytest.raises(BreakingChange):
        survey(definition(before)).publish(definition(after), by=ADMIN, at=LATER)


CODED = st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.integers(0, 2)), min_size=1, max_size=3, unique_by=lambda pair: pair[0])
RANGES = st.tuples(st.none() | st.integers(0, 4), st.none() | st.integers(5, 9))
QUESTION = (
    CODED.map(lambda pairs: choices(*({"value": value, "code": code} for value, code in pairs)))
    | RANGES.map(lambda ends: {"field": "c", "type": "integer", "min": ends[0], "max": ends[1]})
    | st.integers(1, 4).map(lambda length: {"field": "c", "type": "text", "max_length": length})
)


@given(QUESTION, QUESTION, st.sampled_from(["a", "b", "c", "", "abc", "abcd", *range(-1, 11)]))
def test_a_version_that_adds_only_takes_every_answer_as_before(old: dict[str, Any], new: dict[str, Any], answer: object) -> None:
    try:
        before = survey(definition(old))
        after, _ = before.publish(definition(new), by=ADMIN, at=LATER)
        change = before.accept("c", answer)
    except (Invalid, BreakingChange, InvalidAnswer):
        return
    assert after.accept("c", answer).value == change.value


def test_the_first_survey_is_version_one_and_open() -> None:
    made, changes = first_survey(definition(AGE, NOTE), project_id=1, project="story", by=ADMIN, at=NOW)
    assert (made.version, made.is_open, made.published_by, made.published_at) == (1, True, ADMIN.id, NOW)
    assert changes == (FieldChange(field="age", change=Kind.ADDED), FieldChange(field="note", change=Kind.ADDED))


def test_only_an_admin_publishes() -> None:
    with pytest.raises(NotAllowed):
        first_survey(definition(), project_id=1, project="story", by=MEMBER, at=NOW)
    with pytest.raises(NotAllowed):
        survey().publish(definition(AGE), by=MEMBER, at=NOW)


def test_a_version_that_was_expected_must_be_there() -> None:
    with pytest.raises(Stale):
        first_survey(definition(), project_id=1, project="story", by=ADMIN, expected=frozenset({1}), at=NOW)
    with pytest.raises(Stale):
        survey().publish(definition(), by=ADMIN, expected=frozenset({2}), at=NOW)


def test_the_same_definition_makes_no_version() -> None:
    before = survey()
    assert before.publish(definition(), by=ADMIN, at=LATER) == (before, ())


def test_an_addition_makes_a_version() -> None:
    after, changes = survey(definition(AGE)).publish(definition(NOTE, AGE | {"max": 150}), by=ADMIN, at=LATER)
    assert (after.version, after.published_at, after.is_open) == (2, LATER, True)
    assert [(change.field, change.change.value) for change in changes] == [("note", "added"), ("age", "widened")]


@pytest.mark.parametrize(
    "newer",
    [
        definition(AGE),
        definition(AGE | {"max": 100}, NOTE),
        definition(AGE | {"type": "scale"}, NOTE),
        definition(AGE, NOTE, identity="token"),
        definition(AGE, NOTE, CONSENT, consent=GATE),
    ],
)
def test_anything_that_answers_rest_on_stays(newer: Any) -> None:
    with pytest.raises(BreakingChange) as refused:
        survey(definition(AGE, NOTE)).publish(newer, by=ADMIN, at=LATER)
    assert refused.value.members["changes"] == [
        {"field": change.field, "change": change.change, "touched": 0} for change in changes_between(definition(AGE, NOTE), newer)
    ]
