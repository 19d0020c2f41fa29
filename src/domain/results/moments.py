"""Means and quartiles that are made from counts alone, so that they tell nothing which those do not."""

from collections.abc import Sequence
from typing import Any

from domain.results.measure import Measure

_PARTS = (0.25, 0.5, 0.75)
_DIGITS = 3


def moments(measured: Measure, counts: Sequence[int]) -> dict[str, Any]:
    """Mean and quartiles to three significant digits, where somebody is counted; answers are taken to lie evenly within each bin."""
    total = sum(counts)
    if total == 0:
        return {}
    spans = [_span(measured, cell) for cell in measured.cells]
    middles = ((low / 2 + high / 2) * (count / total) for (low, high), count in zip(spans, counts, strict=True))
    return {"mean": _rounded(sum(middles)), "quartiles": [_rounded(_quantile(spans, counts, part * total)) for part in _PARTS]}


def _span(measured: Measure, cell: dict[str, Any]) -> tuple[float, float]:
    """Where the answers of a cell lie: whole numbers of a bin from its first to its last, the only step of a scale at that."""
    return (cell["from"], cell["to"]) if measured.lows else (cell["value"], cell["value"])


def _quantile(spans: Sequence[tuple[float, float]], counts: Sequence[int], rank: float) -> float:
    """The value below which so many are, linear within a bin."""
    below = 0
    for (low, high), count in zip(spans, counts, strict=True):
        if count and below + count >= rank:
            part = (rank - below) / count
            return low * (1 - part) + high * part
        below += count
    raise ValueError("There are not so many.")


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}") + 0.0
