"""Making counts with noise fit together: whole, not negative, adding up. Nothing here looks at an answer, so nothing more is given away."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

Bounds = tuple[int, int]
"""The least and the most that something may be."""

_ROUNDS = 12


def between(value: float, low: int, high: int) -> int:
    """The whole number from `low` to `high` that is nearest."""
    return min(max(round(value), low), high)


def adding_up(counts: Sequence[float], total: int) -> list[int]:
    """Whole counts, none below zero, that add up to `total`: the nearest to these by least squares, rounded."""
    return whole_within(_moved_to(counts, total), [(0, total)] * len(counts), total)


def whole_within(wanted: Sequence[float], bounds: Sequence[Bounds], total: int) -> list[int]:
    """Whole numbers near these, each within its bounds, that add up to `total`; the bounds leave room for it."""
    chosen = [between(value, *limits) for value, limits in zip(wanted, bounds, strict=True)]
    missing = total - sum(chosen)
    step = 1 if missing > 0 else -1
    order = sorted(range(len(chosen)), key=lambda place: step * (chosen[place] - wanted[place]))
    for most in (1, abs(missing)):  # one for each that was rounded the other way, before any takes more
        for place in order:
            low, high = bounds[place]
            room = high - chosen[place] if step > 0 else chosen[place] - low
            taken = min(room, most, abs(missing))
            chosen[place] += step * taken
            missing -= step * taken
    return chosen


def fitted(table: Sequence[Sequence[float]], rows: Sequence[Bounds], columns: Sequence[Bounds]) -> list[list[int]]:
    """A table of whole counts near this one, each row and each column of which adds up to something within its bounds.

    The bounds leave room: all least sums of rows together are no more than all greatest of columns, and the other way around.
    """
    cells = [list(map(float, row)) for row in table]
    for _ in range(_ROUNDS):
        cells = [_within(row, limits) for row, limits in zip(cells, rows, strict=True)]
        cells = _turned([_within(column, limits) for column, limits in zip(_turned(cells), columns, strict=True)])
    by_row, by_column = [sum(row) for row in cells], [sum(column) for column in _turned(cells)]
    total = between(
        sum(by_row),
        max(sum(low for low, _ in rows), sum(low for low, _ in columns)),
        min(sum(high for _, high in rows), sum(high for _, high in columns)),
    )
    return _with_margins(cells, whole_within(by_row, rows, total), whole_within(by_column, columns, total))


def _with_margins(cells: Sequence[Sequence[float]], rows: Sequence[int], columns: Sequence[int]) -> list[list[int]]:
    """Whole counts near these with just these sums of rows and of columns, which add up to the same."""
    whole = [[int(count) for count in row] for row in cells]
    whole = [_at_most(row, most) for row, most in zip(whole, rows, strict=True)]
    whole = _turned([_at_most(column, most) for column, most in zip(_turned(whole), columns, strict=True)])
    row_lacks = [most - sum(row) for row, most in zip(whole, rows, strict=True)]
    column_lacks = [most - sum(column) for column, most in zip(_turned(whole), columns, strict=True)]
    places = [(row, column) for row in range(len(rows)) for column in range(len(columns))]
    places.sort(key=lambda place: whole[place[0]][place[1]] - cells[place[0]][place[1]])
    for most in (1, max(row_lacks, default=0)):
        for row, column in places:
            taken = min(row_lacks[row], column_lacks[column], most)
            whole[row][column] += taken
            row_lacks[row] -= taken
            column_lacks[column] -= taken
    return whole


def _at_most(counts: list[int], most: int) -> list[int]:
    """These counts, the largest of them lowered until they add up to no more than this."""
    excess = sum(counts) - most
    return counts if excess <= 0 else whole_within(_moved_to(counts, most), [(0, count) for count in counts], most)


def _within(counts: Sequence[float], bounds: Bounds) -> list[float]:
    """The nearest counts that are not negative and add up to something within these bounds."""
    cut = [max(count, 0.0) for count in counts]
    total = sum(cut)
    low, high = bounds
    return cut if low <= total <= high else _moved_to(counts, min(max(total, low), high))


def _moved_to(counts: Sequence[float], total: float) -> list[float]:
    """The nearest to these of all counts that are not negative and add up to `total`: the projection onto a simplex."""
    above = so_far = 0.0
    for place, count in enumerate(sorted(counts, reverse=True), start=1):
        so_far += count
        if count <= (so_far - total) / place and place > 1:
            break
        above = (so_far - total) / place
    return [max(count - above, 0.0) for count in counts]


def _turned(table: Sequence[Sequence[T]]) -> list[list[T]]:
    """Rows as columns."""
    return [list(column) for column in zip(*table, strict=True)]
