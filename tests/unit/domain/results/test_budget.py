"""The ledger: whatever happens to a survey, what its releases cost together stays within its budget."""

from dataclasses import replace
from fractions import Fraction
from itertools import takewhile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.results.budget import Spending, Spent, due_from, next_spending, series
from domain.survey.definition import Protection, Results

NOISE = Results(public=True)


def grown(results: Results, sizes: list[int], *, is_open: bool = True) -> list[Spending]:
    """The releases of a survey that is looked at when it has so many responses."""
    spent, made = Spent(), []
    for responses in sizes:
        spending = next_spending(results, spent, responses=responses, is_open=is_open)
        if spending is not None:
            made.append(spending)
            spent = spent.after(spending)
    return made


def test_the_first_release_comes_with_the_start_and_the_next_with_a_quarter_more() -> None:
    assert [each.responses for each in grown(NOISE, list(range(400)))] == [100, 125, 157, 197, 247, 309, 387]
    assert [each.number for each in grown(NOISE, list(range(400)))] == [1, 2, 3, 4, 5, 6, 7]


def test_shares_fall_as_one_over_the_responses_and_a_tenth_is_kept() -> None:
    first, second, third = grown(NOISE, list(range(200)))[:3]
    assert (first.total, second.total, third.total) == (Fraction("0.18"), Fraction("0.144"), Fraction("0.1152"))
    for spending in takewhile(lambda each: each.responses <= 10**6, series(NOISE)):
        assert spending.total >= Fraction("0.18") * 100 / spending.responses - Fraction(1, 10**12)
    assert sum(each.total for each in takewhile(lambda each: each.responses <= 10**6, series(NOISE))) < Fraction("0.9")


def test_all_releases_up_to_a_million_responses_read_each_at_most_six_times() -> None:
    made = list(takewhile(lambda each: each.responses <= 10**6, series(NOISE)))
    assert sum(each.responses for each in made) <= 6 * made[-1].responses


def test_the_first_closing_has_the_tenth_once() -> None:
    spent = Spent().after(grown(NOISE, [100])[0])
    assert next_spending(NOISE, spent, responses=110, is_open=True) is None
    closing = next_spending(NOISE, spent, responses=110, is_open=False)
    assert closing is not None
    assert (closing.responses, closing.closing) == (110, Fraction("0.1"))
    spent = spent.after(closing)
    for is_open in (True, False):
        assert next_spending(NOISE, spent, responses=137, is_open=is_open) is None
        again = next_spending(NOISE, spent, responses=138, is_open=is_open)
        assert again is not None
        assert again.closing == 0


def test_a_survey_that_is_closed_before_the_start_releases_nothing() -> None:
    assert grown(NOISE, list(range(100)), is_open=False) == []


@pytest.mark.parametrize("results", [Results(), Results(public=False), Results(public=True, protection=Protection.SUPPRESSION)])
@pytest.mark.parametrize("is_open", [True, False])
def test_what_is_not_published_under_noise_spends_nothing(results: Results, *, is_open: bool) -> None:
    assert due_from(results, Spent(), is_open=is_open) is None
    assert next_spending(results, Spent(), responses=10**6, is_open=is_open) is None


def test_a_lower_budget_gives_nothing_back_and_a_raised_one_adds() -> None:
    spent = Spent()
    for spending in takewhile(lambda each: each.responses <= 1000, series(NOISE)):
        spent = spent.after(spending)
    assert next_spending(replace(NOISE, budget=0.5), spent, responses=10**6, is_open=True) is None
    as_before = next_spending(NOISE, spent, responses=10**6, is_open=True)
    raised = next_spending(replace(NOISE, budget=2), spent, responses=10**6, is_open=True)
    assert raised is not None
    assert as_before is not None
    assert raised.total == as_before.total + Fraction("0.9") / 5


EVENTS = st.one_of(
    st.tuples(st.just("responses"), st.integers(0, 2_000)),
    st.tuples(st.just("budget"), st.sampled_from([0.1, 0.3, 0.7, 1, 1.3, 4])),
    st.tuples(st.just("start"), st.sampled_from([20, 100, 1000])),
    st.tuples(st.just("open"), st.booleans()),
    st.tuples(st.just("public"), st.booleans()),
    st.tuples(st.just("protection"), st.sampled_from(Protection)),
)


@given(st.lists(EVENTS, max_size=60))
def test_whatever_happens_the_sum_is_within_the_largest_budget(events: list[tuple[str, Any]]) -> None:
    results, spent, responses, is_open, largest = NOISE, Spent(), 0, True, 1.0
    for what, value in events:
        if what == "responses":
            responses += value
        elif what == "open":
            is_open = value
        else:
            results = replace(results, **{what: value})
        largest = max(largest, results.budget)
        before = spent
        while (spending := next_spending(results, spent, responses=responses, is_open=is_open)) is not None:
            assert spending.total > 0
            assert results.public
            spent = spent.after(spending)
        assert spent.total <= Fraction(str(largest))
        assert spent.total >= before.total
        assert spent.number - before.number <= 2  # with the same responses: the series once, and the closing


@given(budget=st.floats(0.1, 4), start=st.integers(20, 10**6))
def test_any_series_stays_within_nine_tenths_of_any_budget(budget: float, start: int) -> None:
    results = Results(public=True, budget=budget, start=start)
    made = list(takewhile(lambda each: each.responses <= 10**9, series(results)))
    assert made[0].responses == start
    assert sum(each.total for each in made) <= Fraction(9, 10) * Fraction(str(budget))
