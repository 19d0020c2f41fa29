"""Questions that are answered by a number."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

from domain.errors import Fault
from domain.survey.question import INT64, Question, is_int

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_LONGEST_INTEGER = 20
_LONGEST_DECIMAL = 400
EDGES_MIN, EDGES_MAX = 2, 101
_EDGES = range(-(2**63), 2**63 + 1)  # the upper one of whole numbers stands above them


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ranged(Question):
    min: int | None = None
    max: int | None = None
    bins: tuple[int, ...] | None = None

    @property
    def allowed(self) -> str:
        return "a whole number" + _range(self.min, self.max)

    def accept(self, value: object) -> int:
        if isinstance(value, str) and _INTEGER.fullmatch(value) and len(value) <= _LONGEST_INTEGER:
            value = int(value)
        if is_int(value) and value in INT64 and _within(value, self.min, self.max):
            return value
        raise self.refusal()

    def covers(self, other: Self) -> bool:
        return _contains(self.min, self.max, other.min, other.max)

    def faults(self, at: str) -> Iterator[Fault]:
        yield from super(_Ranged, self).faults(at)
        for name, bound in (("min", self.min), ("max", self.max)):
            if bound is not None and bound not in INT64:
                yield Fault(pointer=f"{at}/{name}", code="out-of-range", detail="A bound is a 64-bit integer.")
        yield from _order_faults(at, self.min, self.max)
        yield from _bin_faults(at, self.bins)


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegerQuestion(_Ranged):
    """A whole number."""

    type = "integer"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleQuestion(_Ranged):
    """A step of a rating scale, such as a Likert item."""

    type = "scale"

    def faults(self, at: str) -> Iterator[Fault]:
        yield from super(ScaleQuestion, self).faults(at)
        for name, bound in (("min", self.min), ("max", self.max)):
            if bound is None:
                yield Fault(pointer=f"{at}/{name}", code="missing", detail="A scale needs both ends.")


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberQuestion(Question):
    """A number with decimals, held as a double."""

    type = "number"
    min: float | None = None
    max: float | None = None
    bins: tuple[float, ...] | None = None

    @property
    def allowed(self) -> str:
        return "a number" + _range(self.min, self.max)

    def accept(self, value: object) -> float:
        if isinstance(value, str) and _DECIMAL.fullmatch(value) and len(value) <= _LONGEST_DECIMAL:
            value = float(value)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise self.refusal()
        try:
            number = float(value)
        except OverflowError:
            raise self.refusal() from None
        if not math.isfinite(number) or not _within(number, self.min, self.max):
            raise self.refusal()
        return number + 0.0  # one zero: minus zero is not stored apart

    def covers(self, other: Self) -> bool:
        return _contains(self.min, self.max, other.min, other.max)

    def faults(self, at: str) -> Iterator[Fault]:
        yield from super(NumberQuestion, self).faults(at)
        yield from _order_faults(at, self.min, self.max)
        yield from _bin_faults(at, self.bins)


def _within(value: float, low: float | None, high: float | None) -> bool:
    return (low is None or value >= low) and (high is None or value <= high)


def _contains(low: float | None, high: float | None, other_low: float | None, other_high: float | None) -> bool:
    """Whether the range from `low` to `high` holds the other one; None is an open end."""
    return (low is None or (other_low is not None and other_low >= low)) and (
        high is None or (other_high is not None and other_high <= high)
    )


def _range(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f" from {low} to {high}"
    if low is not None:
        return f" of at least {low}"
    return "" if high is None else f" of at most {high}"


def _order_faults(at: str, low: float | None, high: float | None) -> Iterator[Fault]:
    if low is not None and high is not None and low > high:
        yield Fault(pointer=f"{at}/max", code="bad-range", detail="The maximum is below the minimum.")


def _bin_faults(at: str, bins: tuple[float, ...] | None) -> Iterator[Fault]:
    """What is wrong with the edges of bins, each but the last the lower end of one."""
    if bins is None:
        return
    if not EDGES_MIN <= len(bins) <= EDGES_MAX:
        yield Fault(pointer=f"{at}/bins", code="bad-count", detail=f"{EDGES_MIN} to {EDGES_MAX} edges, from the lowest to the highest.")
    for place, (below, edge) in enumerate(pairwise(bins), start=1):
        if not below < edge:
            yield Fault(pointer=f"{at}/bins/{place}", code="bad-order", detail="Each edge is above the one before it.")
    for place, edge in enumerate(bins):
        if isinstance(edge, int) and edge not in _EDGES:
            yield Fault(pointer=f"{at}/bins/{place}", code="out-of-range", detail="An edge is a 64-bit number.")
