"""Results: how questions are counted, which counts are published, and what is told of numbers."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.results import OVERALL, Tally, crossed_by, may_advance, may_show, publish
from domain.results.measure import UNANSWERED, measure
from domain.results.suppression import crossed, shown
from domain.survey import Survey
from domain.survey.question_types import question_from
from tests.examples import AGE, CONSENT, GATE, NOTE, PLATFORMS, SCALE, definition, survey

SIDE: dict[str, Any] = {"field": "side", "type": "choice", "choices": [{"value": "left", "code": 1}, {"value": "right"}]}
HAND: dict[str, Any] = {"field": "hand", "type": "choice", "choices": [{"value": "one"}, {"value": "two"}, {"value": "three"}]}
YES: dict[str, Any] = {"field": "yes", "type": "boolean"}
INCOME: dict[str, Any] = {"field": "income", "type": "number"}
DAY: dict[str, Any] = {"field": "day", "type": "date"}

People = list[tuple[int, dict[str, Any]]]


def of(*questions: dict[str, Any], minimum: int = 5, **rest: Any) -> Survey:
    return survey(definition(*questions, results={"public": True, "minimum_cell": minimum}, **rest))


def documents(asked: Survey, people: People) -> dict[str, dict[str, Any]]:
    tally = Tally(asked.definition)
    for times, answers in people:
        tally.add([answers] * times)
    return publish(asked, tally)


def question(asked: Survey, people: People, field: str) -> dict[str, Any]:
    found: dict[str, Any] = next(q for q in documents(asked, people)[OVERALL]["questions"] if q["field"] == field)
    return found


def counts(question: dict[str, Any]) -> list[int | None]:
    return [cell["count"] for cell in question["counts"]]


# --- cells -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "cells"),
    [
        (SIDE, [{"value": "left", "code": 1}, {"value": "right"}]),
        (YES, [{"value": True}, {"value": False}]),
        (SCALE | {"max": 3}, [{"value": 1}, {"value": 2}, {"value": 3}]),
        (SCALE | {"min": 0, "max": 20}, [{"from": n, "to": min(n + 2, 20)} for n in range(0, 21, 3)]),
        (AGE, [{"from": n, "to": min(n + 13, 130)} for n in range(0, 131, 14)]),
        (AGE | {"max": 3}, [{"from": n, "to": n} for n in range(4)]),
        (AGE | {"max": 0}, [{"from": 0, "to": 0}]),
        (INCOME | {"min": 0.0, "max": 0.0}, [{"from": 0.0, "to": 0.0}]),
        (INCOME | {"min": 0.0, "max": 20.0}, [{"from": n, "to": n + 2} for n in range(0, 20, 2)]),
        ({"field": "age", "type": "integer", "min": 0}, []),
        (INCOME, []),
        (NOTE, []),
        (DAY, []),
    ],
)
def test_cells_come_from_the_declaration(asked: dict[str, Any], cells: list[dict[str, Any]]) -> None:
    assert list(measure(question_from(asked)).cells) == cells


@given(
    low=st.floats(allow_nan=False, allow_infinity=False),
    high=st.floats(allow_nan=False, allow_infinity=False),
    share=st.floats(0, 1),
)
def test_every_number_in_range_has_a_bin_that_holds_it(low: float, high: float, share: float) -> None:
    low, high = sorted((low, high))
    asked = measure(question_from(INCOME | {"min": low, "max": high}))
    for number in (low, high, min(max(low * (1 - share) + high * share, low), high)):
        cell = asked.cells[asked.place(number)]
        assert cell["from"] <= number <= cell["to"]
    assert len(asked.cells) <= 10


@given(low=st.integers(-(2**63), 2**63 - 1), span=st.integers(0, 2**63), at=st.integers(0, 2**63))
def test_every_whole_number_in_range_has_a_bin_that_holds_it(low: int, span: int, at: int) -> None:
    high = min(low + span, 2**63 - 1)
    asked = measure(question_from(AGE | {"min": low, "max": high}))
    for number in (low, high, min(low + at, high)):
        cell = asked.cells[asked.place(number)]
        assert cell["from"] <= number <= cell["to"]
    assert len(asked.cells) <= 10


def test_an_answer_that_the_newest_question_refuses_does_not_count() -> None:
    assert measure(question_from(SIDE)).place("middle") == UNANSWERED
    assert question(of(SIDE), [(9, {"side": "left"}), (9, {"side": "right"}), (9, {"side": "middle"})], "side")["n"] == 18


def test_a_respondent_may_stand_in_several_cells_of_a_multiple_choice() -> None:
    people: People = [(6, {"platforms": ["Twitter", "Other"]}), (4, {"platforms": ["Other"]}), (3, {"platforms": []})]
    found = question(of(PLATFORMS), people, "platforms")
    assert (found["n"], counts(found)) == (13, [6, 10])


# --- what is hidden of one question ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_counts", "published"),
    [
        ([9, 8, 7], [9, 8, 7]),
        ([9, 8, 4], [None, 8, None]),  # the next in order, and around
        ([4, 8, 9], [None, None, 9]),
        ([9, 0, 8, 0, 7], [9, None, None, None, 7]),  # two empty cells would give each other away
        ([9, 4, 4, 8], [9, None, None, 8]),
        ([9, 2, 2, 8], [9, None, None, None]),  # together they have to hold enough
        ([9, 0], [None, None]),
        ([9], [9]),
        ([0, 0, 12], [None, None, None]),
    ],
)
def test_small_counts_are_hidden_and_what_gives_them_away(given_counts: list[int], published: list[int | None]) -> None:
    mask = shown(given_counts, minimum=5)
    assert [count if is_shown else None for count, is_shown in zip(given_counts, mask, strict=True)] == published


@given(given_counts=st.lists(st.integers(0, 12), min_size=1, max_size=8), minimum=st.integers(1, 6))
def test_hidden_counts_are_several_and_hold_enough(given_counts: list[int], minimum: int) -> None:
    if sum(given_counts) < minimum:
        return  # then nothing of the question is published
    mask = shown(given_counts, minimum=minimum)
    hidden = [count for count, is_shown in zip(given_counts, mask, strict=True) if not is_shown]
    assert all(count >= minimum for count, is_shown in zip(given_counts, mask, strict=True) if is_shown)
    assert not hidden or (len(hidden) > 1 and sum(hidden) >= minimum)


def test_what_is_hidden_further_does_not_depend_on_what_it_holds() -> None:
    for held in (5, 50, 500):
        assert shown([9, 4, held, 700], minimum=5) == [True, False, False, True]


def test_a_question_that_few_answered_tells_nothing() -> None:
    found = question(of(SIDE, SCALE), [(9, {"side": "left"}), (4, {"trust": 3})], "trust")
    assert (found["n"], counts(found)) == (None, [None] * 7)
    assert "mean" not in found


# --- numbers -----------------------------------------------------------------------------------------------------------------


def test_mean_and_quartiles_of_a_question_of_which_every_count_is_published() -> None:
    found = question(of(SCALE | {"max": 3}), [(5, {"trust": 1}), (5, {"trust": 2}), (20, {"trust": 3})], "trust")
    assert (found["mean"], found["quartiles"]) == (2.5, [2.0, 3.0, 3.0])


def test_no_mean_where_a_count_is_hidden() -> None:
    found = question(of(SCALE | {"max": 3}), [(5, {"trust": 1}), (4, {"trust": 2}), (20, {"trust": 3})], "trust")
    assert found["counts"][1]["count"] is None
    assert not {"mean", "quartiles"} & set(found)


@pytest.mark.parametrize(("people", "has_quartiles"), [(19, False), (20, True)])
def test_quartiles_need_four_times_the_minimum(people: int, *, has_quartiles: bool) -> None:
    found = question(of(INCOME), [(1, {"income": float(n)}) for n in range(100, 100 + people)], "income")
    assert ("quartiles" in found) == has_quartiles
    assert found["mean"] == 110.0


def test_a_mean_that_one_respondent_makes_is_not_told() -> None:
    assert "mean" not in question(of(INCOME), [(99, {"income": 1.0}), (1, {"income": 1e9})], "income")
    assert "mean" in question(of(INCOME), [(99, {"income": 1.0}), (2, {"income": 1e2})], "income")


@given(values=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=20, max_size=30))
def test_numbers_of_any_size_can_be_told(values: list[float]) -> None:
    found = question(of(INCOME), [(1, {"income": value}) for value in values], "income")
    for told in [*([found["mean"]] if "mean" in found else []), *found.get("quartiles", [])]:
        assert told == float(f"{told:.2g}")
        assert min(values) - abs(min(values)) * 0.06 <= told <= max(values) + abs(max(values)) * 0.06


@pytest.mark.parametrize("asked", [NOTE, DAY])
def test_words_and_days_are_only_counted(asked: dict[str, Any]) -> None:
    found = question(of(asked), [(9, {"note": "x", "day": "2026-11-24"})], asked["field"])
    assert found == {"field": asked["field"], "type": asked["type"], "n": 9}


# --- groups ------------------------------------------------------------------------------------------------------------------

PAIR: People = [
    (12, {"side": "left", "hand": "one"}),
    (9, {"side": "left", "hand": "two"}),
    (7, {"side": "right", "hand": "one"}),
    (8, {"side": "right", "hand": "two"}),
    (30, {"side": "right", "hand": "three"}),
    (31, {"side": "left", "hand": "three"}),
]


def table(found: dict[str, Any]) -> list[list[int | None]]:
    return [counts(group) for group in found["groups"]]


def test_groups_stand_beside_the_counts_of_all() -> None:
    by = documents(of(SIDE, HAND), PAIR)["side"]
    assert by["by"] == {"field": "side", "groups": [{"value": "left", "code": 1, "n": 52}, {"value": "right", "n": 45}]}
    assert "groups" not in by["questions"][0]
    assert counts(by["questions"][1]) == [19, 17, 61]
    assert table(by["questions"][1]) == [[12, 9, 31], [7, 8, 30]]


def test_a_small_group_is_hidden_with_what_gives_it_away() -> None:
    people = [(2 if answers == {"side": "right", "hand": "two"} else times, answers) for times, answers in PAIR]
    found = documents(of(SIDE, HAND), people)["side"]["questions"][1]
    assert counts(found) == [19, 11, 61]
    assert table(found) == [[None, None, 31], [None, None, 30]]  # of as few cells, those with the fewest people


def test_both_tables_of_a_pair_hide_the_same() -> None:
    people = [(2 if answers == {"side": "right", "hand": "two"} else times, answers) for times, answers in PAIR]
    found = documents(of(SIDE, HAND), people)
    one, other = table(found["side"]["questions"][1]), table(found["hand"]["questions"][0])
    assert [list(row) for row in zip(*one, strict=True)] == other


def test_a_group_whose_size_is_hidden_tells_nothing() -> None:
    people: People = [(9, {"side": "left", "hand": "one"}), (9, {"side": "left", "hand": "two"}), (2, {"side": "right", "hand": "one"})]
    found = documents(of(SIDE, HAND), people)["side"]
    assert [group["n"] for group in found["by"]["groups"]] == [None, None]
    assert table(found["questions"][1]) == [[None] * 3] * 2


cells = st.lists(st.lists(st.integers(0, 9), min_size=4, max_size=4), min_size=3, max_size=4)


@given(given_cells=cells, minimum=st.integers(1, 5))
def test_no_small_group_is_ever_published(given_cells: list[list[int]], minimum: int) -> None:
    rows = shown([sum(row) for row in given_cells[:-1]], minimum=minimum)
    columns = shown([sum(column) for column in zip(*given_cells, strict=True)][:-1], minimum=minimum)
    for r, row in enumerate(crossed(given_cells, rows=rows, columns=columns, minimum=minimum)):
        for c, is_shown in enumerate(row):
            assert not is_shown or (given_cells[r][c] >= minimum and rows[r] and columns[c])


def test_results_make_groups_by_choices_only() -> None:
    assert crossed_by(definition(SIDE, SCALE, PLATFORMS, YES, HAND, NOTE)) == ("side", "hand")


def test_groups_are_made_by_as_many_questions_as_can_be_counted() -> None:
    wide = [{"field": f"q{n}", "type": "choice", "choices": [{"value": str(c)} for c in range(100)]} for n in range(12)]
    found = crossed_by(definition(*wide))
    assert 0 < len(found) < 12


# --- consent, and nothing to tell --------------------------------------------------------------------------------------------


def test_without_consent_only_the_consent_question_counts() -> None:
    asked = of(CONSENT, SIDE, consent=GATE)
    people: People = [(9, {"consent": "accepted", "side": "left"}), (8, {"consent": "declined", "side": "right"}), (7, {"side": "right"})]
    found = documents(asked, people)
    assert found[OVERALL]["n"] == 17
    assert [q["n"] for q in found[OVERALL]["questions"]] == [17, 9]


def test_behind_a_gate_groups_by_consent_say_what_is_known_without() -> None:
    asked = of(CONSENT, SIDE, PLATFORMS, consent=GATE)
    people: People = [
        (9, {"consent": "accepted", "side": "left", "platforms": ["Other"]}),
        (8, {"consent": "accepted", "side": "right"}),
        (7, {"consent": "declined"}),
    ]
    found = documents(asked, people)
    assert table(found["consent"]["questions"][1]) == [[9, 8], [None, None]]
    assert table(found["consent"]["questions"][2]) == [[None, 9], [None, None]]
    assert table(found["side"]["questions"][0]) == [[9, None], [8, None]]


def test_below_the_minimum_nothing_is_told() -> None:
    asked = of(SIDE, SCALE)
    overall, by = documents(asked, [(4, {"side": "left"})]).values()
    assert (overall["n"], overall["questions"], by["n"], by["questions"]) == (None, [], None, [])
    assert by["by"] == {"field": "side", "groups": []}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (lambda asked: may_advance(asked, changed=4), False),
        (lambda asked: may_advance(asked, changed=5), True),
        (lambda asked: may_show(asked, minimum_cell=4), False),
        (lambda asked: may_show(asked, minimum_cell=5), True),
        (lambda asked: may_show(asked, minimum_cell=6), True),
    ],
)
def test_when_results_advance_and_when_they_are_seen(rule: Callable[[Survey], bool], *, expected: bool) -> None:
    assert rule(of(SIDE)) is expected


def test_batches_add_up() -> None:
    asked = of(SIDE, HAND, SCALE, PLATFORMS, AGE)
    people: People = [(times, answers | {"trust": times % 7 + 1, "platforms": ["Other"], "age": times}) for times, answers in PAIR]
    whole = Tally(asked.definition)
    whole.add([answers for times, answers in people for _ in range(times)])
    assert documents(asked, people) == publish(asked, whole)
