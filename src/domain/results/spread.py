"""Means and quartiles of answers themselves: for the team, and never published."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil, floor

_PARTS = (0.25, 0.5, 0.75)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Where the answers to a question lie: their mean, and their quartiles, linear between the two nearest answers."""

    mean: float
    quartiles: tuple[float, float, float]


def spread_of(numbers: Mapping[int, int]) -> Spread:
    """The spread of so many answers of each number. Raises `ZeroDivisionError` where there is none."""
    n = sum(numbers.values())
    ranked = dict(zip(quartile_ranks(n), _ranked(numbers, quartile_ranks(n)), strict=True))
    return Spread(mean=sum(number * times for number, times in numbers.items()) / n, quartiles=quartiles(n, ranked.__getitem__))


def quartile_ranks(n: int) -> list[int]:
    """Between which of `n` ordered answers, counted from 0, the quartiles lie."""
    return sorted({end((n - 1) * part) for part in _PARTS for end in (floor, ceil)})


def quartiles(n: int, ranked: Callable[[int], float]) -> tuple[float, float, float]:
    """The quartiles of `n` answers (Hyndman and Fan's type 7), given the answer of each rank."""
    first, second, third = (_between((n - 1) * part, ranked) for part in _PARTS)
    return first, second, third


def _between(position: float, ranked: Callable[[int], float]) -> float:
    share = position - floor(position)
    return float(ranked(floor(position)) * (1 - share) + ranked(ceil(position)) * share)


def _ranked(numbers: Mapping[int, int], ranks: list[int]) -> list[int]:
    found, below, waiting = [], 0, list(ranks)
    for number, times in sorted(numbers.items()):
        below += times
        while waiting and waiting[0] < below:
            found.append(number)
            del waiting[0]
    return found
