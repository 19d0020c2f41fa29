"""What may be spent on the next release of results, so that all of them together stay within the budget. All of it in exact fractions.

A release costs a share of ρ, the parameter of zero-concentrated differential privacy, and costs of releases add up (Bun and Steinke
2016, "Concentrated differential privacy: simplifications, extensions, and lower bounds"). A tenth of the budget is kept for the first
closing; of the rest each release spends a fifth of what is left. As the next release comes when there are a quarter more responses,
shares fall as one over their number, and the noise stays the same when it is measured by their square root. Since only a part of what
is left is ever spent, nothing that happens to a survey makes the sum larger than its budget.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from math import ceil

from domain.survey.definition import Protection, Results

KEPT_FOR_CLOSING = Fraction(1, 10)
OF_WHAT_IS_LEFT = Fraction(1, 5)
GROWTH = Fraction(5, 4)
DECIMALS = 12
_UNITS = 10**DECIMALS


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What one release costs: its number in the series, the responses ever made then, and its parts of the budget."""

    number: int
    responses: int
    series: Fraction
    closing: Fraction = Fraction(0)

    @property
    def total(self) -> Fraction:
        """The whole cost, in ρ."""
        return self.series + self.closing


@dataclass(frozen=True, slots=True, kw_only=True)
class NotedSpending:
    """A spending as the journal outside of the database has it: with what tells the project from another that came to have its id."""

    project_id: int
    project_made_at: datetime
    spent_at: datetime
    spending: Spending


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What all releases of a survey have cost so far, the number of the last one and the responses that it was made at."""

    number: int = 0
    responses: int = 0
    series: Fraction = Fraction(0)
    closing: Fraction = Fraction(0)

    @property
    def total(self) -> Fraction:
        """All that was spent, in ρ."""
        return self.series + self.closing

    def after(self, spending: Spending) -> "Spent":
        """With one more release."""
        return Spent(
            number=spending.number,
            responses=spending.responses,
            series=self.series + spending.series,
            closing=self.closing + spending.closing,
        )


def due_from(results: Results, spent: Spent, *, is_open: bool) -> int | None:
    """The number of responses ever made from which the next release is due; None when none is, however many there are."""
    if not results.public or results.protection is not Protection.NOISE:
        return None
    growing, closing = _shares(results, spent, is_open=is_open)
    if closing:
        return results.start
    if not growing:
        return None
    return max(results.start, ceil(spent.responses * GROWTH))


def next_spending(results: Results, spent: Spent, *, responses: int, is_open: bool) -> Spending | None:
    """What the release costs that is due at so many responses ever made; None when none is."""
    due = due_from(results, spent, is_open=is_open)
    if due is None or responses < due:
        return None
    growing, closing = _shares(results, spent, is_open=is_open)
    return Spending(number=spent.number + 1, responses=responses, series=growing, closing=closing)


def series(results: Results) -> Iterator[Spending]:
    """The releases of a survey with public results that grows response by response and is never closed, without end."""
    spent, settings = Spent(), replace(results, public=True)
    while (due := due_from(settings, spent, is_open=True)) is not None:
        spending = next_spending(settings, spent, responses=due, is_open=True)
        if spending is None:
            return
        yield spending
        spent = spent.after(spending)


def _shares(results: Results, spent: Spent, *, is_open: bool) -> tuple[Fraction, Fraction]:
    """What a release now would spend of the series, and of what is kept for the first closing if this is that."""
    budget = Fraction(str(results.budget))
    closing = Fraction(0) if is_open or spent.closing else KEPT_FOR_CLOSING * budget
    left = (1 - KEPT_FOR_CLOSING) * budget - spent.series
    return _rounded_down(max(left, Fraction(0)) * OF_WHAT_IS_LEFT), _rounded_down(closing)


def _rounded_down(share: Fraction) -> Fraction:
    """To twelve decimals, as the ledger keeps them."""
    return Fraction(share.numerator * _UNITS // share.denominator, _UNITS)
