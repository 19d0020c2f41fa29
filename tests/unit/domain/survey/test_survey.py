"""Answering a survey, and how a new version follows an old one."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.access import NotAllowed
from domain.errors import Invalid, Stale
from domain.quota import QuotaExceeded
from domain.survey import (
    BreakingChange,
    Definition,
    FieldChange,
    InvalidAnswer,
    Kind,
    Survey,
    SurveyClosed,
    changes_between,
    counted,
    ever_asked,
    first_survey,
)
from domain.survey.question_types import question_from
from domain.survey.survey import VERSIONS_MAX, Asked
from tests.examples import ADMIN, AGE, CONSENT, GATE, INTEGER, MANY, MEMBER, NOTE, NOW, NUMBER, OTHER, choices, definition, gated, survey

LATER = NOW + timedelta(hours=1)


def test_all_answers_are_accepted_or_none() -> None:
    assert survey().accept({"age": "42", "note": ""}).answers == {"age": 42, "note": ""}
    for wrong in ({"age": 42, "trust": 8}, {"age": 42, "height": 1}):
        with pytest.raises(InvalidAnswer):
            survey().accept(wrong)


def test_an_unknown_field_is_named_only_when_it_could_be_one() -> None:
    with pytest.raises(InvalidAnswer, match="There is no question height in this survey"):
        survey().accept({"height": None})
    with pytest.raises(InvalidAnswer, match="There is no such question"):
        survey().accept({"<script>": 1})


def test_a_closed_survey_says_so_before_anything_else() -> None:
    with pytest.raises(SurveyClosed):
        replace(survey(), is_open=False).accept({"height": 1})


def test_a_choice_has_a_code_beside_it_and_nothing_else_has() -> None:
    asked = survey(gated(AGE, MANY, choices("a")))
    given = {"consent": "accepted", "age": 42, "m": ["a"], "c": "a"}
    assert asked.codes_of(given) == {"consent": 1, "c": None}
    assert asked.codes_of({"consent": None, "gone": 1}) == {"consent": None}


def test_a_survey_is_opened_and_closed_by_an_admin_and_nothing_else_changes() -> None:
    asked = survey()
    closed = asked.switch(is_open=False, by=ADMIN)
    assert closed == replace(asked, is_open=False)
    assert closed.switch(is_open=True, by=ADMIN) == asked == asked.switch(is_open=True, by=ADMIN)
    for by in (MEMBER, OTHER):
        with pytest.raises(NotAllowed):
            asked.switch(is_open=False, by=by)


# --- what a version does to each question ------------------------------------------------------------------------------------


def changes(*versions: Definition) -> list[tuple[str, str]]:
    """What the last of these versions does to the questions of those before it."""
    found = changes_between(versions[-2], versions[-1], ever_asked(versions[:-1]))
    return [(change.field, change.change.value) for change in found]


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
        (choices("a", "b"), choices("b", "a"), ["relabelled"]),
        (choices("a"), choices({"value": "a", "label": "A"}), ["relabelled"]),
        (choices("a"), choices({"value": "a", "code": 1}), ["widened"]),
        (choices({"value": "a", "code": 1}), choices("a"), ["narrowed"]),
        (choices({"value": "a", "code": 1}), choices({"value": "a", "code": 2}), ["widened", "narrowed"]),
        (MANY, MANY | {"type": "choice"}, ["retyped"]),
    ],
)
def test_a_change_is_called_what_it_is(old: dict[str, Any], new: dict[str, Any], expected: list[str]) -> None:
    assert [change for _, change in changes(definition(old), definition(new))] == expected


def test_removals_come_last_and_the_rest_in_the_order_of_the_new_version() -> None:
    old, new = definition(NOTE, AGE, INTEGER), definition(NUMBER | {"field": "x"}, INTEGER | {"min": 0}, NOTE | {"label": "?"})
    assert changes(old, new) == [("x", "added"), ("n", "narrowed"), ("note", "relabelled"), ("age", "removed")]


@pytest.mark.parametrize(
    ("again", "expected"),
    [
        (AGE, ["added"]),
        (AGE | {"label": "How old?"}, ["added"]),
        (AGE | {"max": 150}, ["added"]),
        (AGE | {"max": 100}, ["added", "narrowed"]),
        (AGE | {"min": 1, "max": 150}, ["added", "narrowed"]),
        (AGE | {"type": "scale"}, ["added", "retyped"]),
    ],
)
def test_a_question_that_comes_back_is_held_against_its_last_form(again: dict[str, Any], expected: list[str]) -> None:
    found = changes(definition(AGE | {"max": 10}, NOTE), definition(AGE, NOTE), definition(NOTE), definition(NOTE, again))
    assert found == [("age", kind) for kind in expected]


# --- how many stored answers a change touches ----------------------------------------------------------------------------------


def touched(kind: Kind, before: dict[str, Any] | None, after: dict[str, Any] | None, *answers: tuple[Any, int]) -> int:
    old, new = (None if asked is None else question_from(asked) for asked in (before, after))
    asked = None if old is None else Asked(question=old, choices=old.choices_offered)
    return counted(FieldChange(field="x", change=kind), answers, before=asked, after=new).touched


def test_all_but_a_narrowing_touches_every_answer_of_the_field() -> None:
    for kind in Kind:
        if kind is not Kind.NARROWED:
            assert touched(kind, AGE, AGE | {"max": 200}, (3, 2), (130, 5)) == 7
            assert touched(kind, AGE, AGE) == 0
    assert touched(Kind.ADDED, None, AGE, (3, 2)) == 2
    assert touched(Kind.REMOVED, AGE, None, (3, 2)) == 2


def test_a_narrowing_touches_what_is_no_longer_taken() -> None:
    assert touched(Kind.NARROWED, AGE, AGE | {"max": 100}, (3, 2), (100, 3), (101, 5), (130, 7)) == 12
    assert touched(Kind.NARROWED, NOTE, NOTE | {"max_length": 2}, ("", 1), ("ab", 2), ("abc", 4)) == 4
    assert touched(Kind.NARROWED, MANY, MANY | {"choices": [{"value": "a", "code": 1}]}, ([], 1), (["a"], 2), (["a", "d"], 4)) == 4


def coded(**codes: int | None) -> dict[str, Any]:
    return choices(*({"value": value, "code": code} for value, code in codes.items()))


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ({"a": 1, "b": 2}, 0),
        ({"a": 2, "b": 1}, 7),
        ({"a": None, "b": 2}, 3),
        ({"a": 3, "b": 2}, 3),
        ({"a": 1, "b": None}, 4),
        ({"a": 1, "b": 2, "c": 3}, 0),
        ({"a": 1}, 4),
    ],
)
def test_a_choice_under_another_code_no_longer_means_what_it_meant(after: dict[str, int | None], expected: int) -> None:
    assert touched(Kind.NARROWED, coded(a=1, b=2), coded(**after), ("a", 3), ("b", 4)) == expected


def test_a_code_that_is_new_takes_nothing_away() -> None:
    assert touched(Kind.NARROWED, coded(a=None, b=2), coded(a=1, b=3), ("a", 3), ("b", 4)) == 4


# --- the verdict -----------------------------------------------------------------------------------------------------------


BREAKING = [Kind.REMOVED, Kind.NARROWED, Kind.RETYPED]


@pytest.mark.parametrize("accepted", [frozenset(), frozenset({"age"}), frozenset({"note"}), frozenset({"age", "unknown"})])
@pytest.mark.parametrize("number", [0, 1, 1000])
@pytest.mark.parametrize("kind", Kind)
def test_what_touches_answers_is_refused_unless_accepted_by_name(kind: Kind, number: int, accepted: frozenset[str]) -> None:
    change = FieldChange(field="age", change=kind, touched=number)
    passes = kind not in BREAKING or number == 0 or (kind is not Kind.RETYPED and "age" in accepted)
    before = survey(definition(AGE, NOTE))
    harmless = FieldChange(field="note", change=Kind.WIDENED, touched=9)
    if passes:
        after = before.publish(definition(NOTE), (harmless, change), accept_breaking=accepted, by=ADMIN, at=LATER)
        assert after == replace(before, definition=definition(NOTE), version=2, published_at=LATER)
    else:
        with pytest.raises(BreakingChange) as refused:
            before.publish(definition(NOTE), (harmless, change), accept_breaking=accepted, by=ADMIN, at=LATER)
        assert refused.value.members["changes"] == [
            {"field": "note", "change": "widened", "touched": 9},
            {"field": "age", "change": kind.value, "touched": number},
        ]


def test_each_field_is_accepted_by_its_own_name() -> None:
    gone = [FieldChange(field=field, change=Kind.REMOVED, touched=1) for field in ("age", "note")]
    with pytest.raises(BreakingChange):
        survey().publish(definition(INTEGER), tuple(gone), accept_breaking=frozenset({"age"}), by=ADMIN, at=LATER)
    both = frozenset({"age", "note"})
    assert survey().publish(definition(INTEGER), tuple(gone), accept_breaking=both, by=ADMIN, at=LATER).version == 2


def follow(before: Survey, new: Definition, *answers: tuple[Any, int]) -> Survey:
    """The survey that `new` makes of `before`, when these answers to `c` are stored."""
    asked = ever_asked([before.definition])
    found = [
        counted(change, answers, before=asked.get("c"), after=new.question("c"))
        for change in changes_between(before.definition, new, asked)
    ]
    return before.publish(new, tuple(found), by=ADMIN, at=LATER)


CODED = st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.integers(0, 2)), min_size=1, max_size=3, unique_by=lambda pair: pair[0])
RANGES = st.tuples(st.none() | st.integers(0, 4), st.none() | st.integers(5, 9))
QUESTION = (
    CODED.map(lambda pairs: coded(**dict(pairs)))
    | RANGES.map(lambda ends: {"field": "c", "type": "integer", "min": ends[0], "max": ends[1]})
    | st.integers(1, 4).map(lambda length: {"field": "c", "type": "text", "max_length": length})
)


@given(QUESTION, QUESTION, st.sampled_from(["a", "b", "c", "", "abc", "abcd", *range(-1, 11)]))
def test_a_version_that_is_not_refused_takes_every_stored_answer_and_means_the_same(
    old: dict[str, Any], new: dict[str, Any], answer: object
) -> None:
    try:
        before = survey(definition(old))
        given = before.accept({"c": answer}).answers
        after = follow(before, definition(new), (given["c"], 1))
    except (Invalid, BreakingChange, InvalidAnswer):
        return
    assert after.accept(given).answers == given
    code = before.codes_of(given).get("c")
    assert code is None or after.codes_of(given) == {"c": code}


@given(QUESTION, QUESTION, st.sampled_from(["a", "b", "c", "", "abc", "abcd", *range(-1, 11)]))
def test_a_version_that_is_refused_takes_some_stored_answer_no_longer_as_it_did(
    old: dict[str, Any], new: dict[str, Any], answer: object
) -> None:
    try:
        before = survey(definition(old))
        given = before.accept({"c": answer}).answers
        newer = definition(new)
    except (Invalid, InvalidAnswer):
        return
    try:
        follow(before, newer, (given["c"], 1))
    except BreakingChange:
        asked, again = before.definition.question("c"), newer.question("c")
        assert asked is not None
        assert again is not None
        same_type = asked.type == again.type
        assert not same_type or not again.accepts(given["c"]) or again.code_of(given["c"]) != asked.code_of(given["c"])


def test_the_first_survey_is_version_one_and_open() -> None:
    made, changes = first_survey(definition(AGE, NOTE), project_id=1, project="story", by=ADMIN, at=NOW)
    assert (made.version, made.is_open, made.published_by, made.published_at) == (1, True, ADMIN.id, NOW)
    assert changes == (FieldChange(field="age", change=Kind.ADDED), FieldChange(field="note", change=Kind.ADDED))


def test_only_an_admin_publishes() -> None:
    with pytest.raises(NotAllowed):
        first_survey(definition(), project_id=1, project="story", by=MEMBER, at=NOW)
    with pytest.raises(NotAllowed):
        survey().publish(definition(AGE), (), by=MEMBER, at=NOW)


def test_a_version_that_was_expected_must_be_there() -> None:
    with pytest.raises(Stale):
        first_survey(definition(), project_id=1, project="story", by=ADMIN, expected=frozenset({1}), at=NOW)
    with pytest.raises(Stale):
        survey().publish(definition(), (), by=ADMIN, expected=frozenset({2}), at=NOW)


def test_a_survey_has_no_more_versions_than_it_may() -> None:
    last = replace(survey(), version=VERSIONS_MAX - 1).publish(definition(AGE), (), by=ADMIN, at=NOW)
    assert last.version == VERSIONS_MAX
    assert last.publish(definition(AGE), (), by=ADMIN, at=NOW) is last
    with pytest.raises(QuotaExceeded):
        last.publish(definition(NOTE), (), by=ADMIN, at=NOW)


def test_the_same_definition_makes_no_version() -> None:
    before = survey()
    assert before.publish(definition(), (), by=ADMIN, at=LATER) is before


@pytest.mark.parametrize(
    "rest",
    [{"title": "Another"}, {"identity": "token"}, {"results": {"public": True}}, {"consent": GATE}],
    ids=lambda rest: next(iter(rest)),
)
def test_whatever_differs_makes_a_version_also_where_no_question_changes(rest: dict[str, Any]) -> None:
    before = survey(definition(CONSENT, AGE))
    after = follow(before, definition(CONSENT, AGE, **rest))
    assert (after.version, after.published_at) == (2, LATER)


def test_a_version_leaves_a_closed_survey_closed() -> None:
    closed = replace(survey(definition(AGE)), is_open=False)
    assert not follow(closed, definition(AGE, NOTE)).is_open


def test_every_question_ever_asked_is_known_in_its_last_form_and_first_place() -> None:
    asked = ever_asked([definition(AGE, NOTE), definition(NOTE | {"label": "?"}, INTEGER), definition(INTEGER, AGE | {"max": 9})])
    assert list(asked) == ["age", "note", "n"]
    assert asked["age"].question.document() == AGE | {"max": 9}
    assert asked["note"].question.label == "?"
