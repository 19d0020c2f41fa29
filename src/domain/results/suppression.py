"""Which counts are published: small ones are not, nor are others that would give those away.

A table with fixed margins is a transportation problem (Castro, "Recent advances in optimization techniques for statistical tabular
data protection", 2012): unpublished cells are arcs of a network that can always carry more, and less where they carry anything. A
cell can be worked out from what is published exactly when no cycle of such arcs leads through it, so that looking for cycles
audits a table without solving anything.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, product
from math import comb

Mask = list[bool]

SEARCHED_MAX = 600  # ways to hide further cells that are looked at before a quick way is taken
PRUNED_CELLS_MAX = 200


def shown(counts: Sequence[int], *, minimum: int) -> Mask:
    """Which counts of one question are published, when its cells add up to a published number.

    Whatever is below `minimum` is not. The hidden ones then number at least two and hold at least `minimum` together: further ones
    are hidden from the first hidden cell on, in declared order and around, whatever they hold.
    """
    mask = [count >= minimum for count in counts]
    if all(mask):
        return mask
    first = mask.index(False)
    for step in range(1, len(counts)):
        hidden = [count for count, is_shown in zip(counts, mask, strict=True) if not is_shown]
        if len(hidden) > 1 and sum(hidden) >= minimum:
            break
        mask[(first + step) % len(counts)] = False
    return mask


@dataclass(slots=True, kw_only=True)
class Crossing:
    """A table that is being made safe: counts by row and column, of which the last row and the columns past `inner` never show.

    `rows` and `columns` tell which totals are known; a line whose total is hidden shows nothing, so that what moves between such
    lines fits every other table too. `may_fill` tells for each row whether its last cell can be thought larger: see
    `crossed_options`. `is_gated` tells that whoever did not consent answered neither question, as everybody knows. `is_shown` tells
    which cells are published.
    """

    cells: list[list[int]]
    rows: Mask
    columns: Mask
    minimum: int
    inner: int
    may_fill: Mask = field(default_factory=list)
    knows_corner: bool = True
    is_gated: bool = False
    is_shown: list[Mask] = field(init=False)
    _arcs: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.may_fill = self.may_fill or [True] * len(self.cells)
        self.is_shown = [
            [self._is_inner(r, c) and self.rows[r] and self.columns[c] and count >= self.minimum for c, count in enumerate(row)]
            for r, row in enumerate(self.cells)
        ]
        self._arcs = self._residual()

    def protect(self) -> bool:
        """Hide further cells until no hidden one can be worked out; whether that is possible.

        What the totals alone give away cannot be helped here, and no small count is among it.
        """
        if not any(map(any, self.is_shown)):
            return True
        bare = replace(self, inner=0, may_fill=[], knows_corner=self.is_gated)
        return self._is_safe(bare) or self._hide_fewest(bare)

    def _is_safe(self, bare: "Crossing") -> bool:
        return all(self.is_free(row, column) or not bare.is_free(row, column) for row, column in self._sensitive())

    def _hide_fewest(self, bare: "Crossing") -> bool:
        """Hide as few further cells as will do, and of as few the smallest; in a large table, few."""
        open_cells = [(r, c) for r, row in enumerate(self.is_shown) for c, is_shown in enumerate(row) if is_shown]
        searched = 0
        for size in range(1, len(open_cells) + 1):
            searched += comb(len(open_cells), size)
            if searched > SEARCHED_MAX:
                return self._hide_few(bare)
            for chosen in sorted(combinations(open_cells, size), key=self._held):
                self._show(chosen, is_shown=False)
                if self._is_safe(bare):
                    return True
                self._show(chosen, is_shown=True)
        return False

    def _hide_few(self, bare: "Crossing") -> bool:
        """Hide the cheapest rectangle around each cell that can be worked out, and then show again what need not be hidden."""
        before = [row.copy() for row in self.is_shown]
        if not all(self.is_free(r, c) or not bare.is_free(r, c) or self._hide_around(r, c) for r, c in self._sensitive()):
            return False
        if len(self.cells) * len(self.cells[0]) <= PRUNED_CELLS_MAX:
            hidden = [(r, c) for r, row in enumerate(before) for c, was in enumerate(row) if was and not self.is_shown[r][c]]
            for cell in sorted(hidden, key=lambda cell: self._held([cell]), reverse=True):
                self._show([cell], is_shown=True)
                if not self._is_safe(bare):
                    self._show([cell], is_shown=False)
        return True

    def _held(self, chosen: Sequence[tuple[int, int]]) -> int:
        """How many people stand in these cells."""
        return sum(self.cells[r][c] for r, c in chosen)

    def _show(self, chosen: Sequence[tuple[int, int]], *, is_shown: bool) -> None:
        for r, c in chosen:
            self.is_shown[r][c] = is_shown
        self._arcs = self._residual()

    def shown(self) -> list[Mask]:
        """Which inner cells are published."""
        return [row[: self.inner] for row in self.is_shown[:-1]]

    def _is_inner(self, row: int, column: int) -> bool:
        return row < len(self.cells) - 1 and column < self.inner

    def _sensitive(self) -> Iterator[tuple[int, int]]:
        """What nobody may work out: every hidden inner cell, and what is small among those that never show."""
        for r, row in enumerate(self.cells):
            for c, count in enumerate(row):
                if not self._is_fixed(r, c) and (self._is_inner(r, c) or count < self.minimum):
                    yield r, c

    def _is_fixed(self, row: int, column: int) -> bool:
        """Whether a cell is known. Who answered neither question may be: with two questions there is nobody."""
        is_corner = row == len(self.cells) - 1 and column == len(self.cells[0]) - 1
        return self.is_shown[row][column] or (is_corner and self.knows_corner)

    def _may_grow(self, row: int, column: int) -> bool:
        return column < len(self.cells[0]) - 1 or self.may_fill[row]

    def is_free(self, row: int, column: int) -> bool:
        """Whether what is published leaves more than one value for a hidden cell."""
        below = len(self.cells) + column
        arcs = self._arcs.copy()
        arcs[row] &= ~(1 << below)
        arcs[below] &= ~(1 << row)
        return (self._may_grow(row, column) and _leads(arcs, below, row)) or (self.cells[row][column] > 0 and _leads(arcs, row, below))

    def _residual(self) -> list[int]:
        """For each node the nodes that a residual arc leads to, as bits: rows, columns, then the source of rows and the sink."""
        height, width = len(self.cells), len(self.cells[0])
        source, sink = height + width, height + width + 1
        arcs = [0] * (height + width + 2)
        for r, row in enumerate(self.cells):
            for c, count in enumerate(row):
                if not self._is_fixed(r, c):
                    arcs[r] |= self._may_grow(r, c) << (height + c)
                    arcs[height + c] |= (count > 0) << r
            if not self.rows[r]:
                arcs[source] |= 1 << r
                arcs[r] |= any(row) << source
        for c in range(width):
            if not self.columns[c]:
                arcs[height + c] |= 1 << sink
                arcs[sink] |= any(row[c] for row in self.cells) << (height + c)
        return arcs

    def _hide_around(self, row: int, column: int) -> bool:
        """Hide the fewest corners of a rectangle around which this cell can be moved; whether there is such a rectangle."""
        height, width = len(self.cells), len(self.cells[0])
        turns = [
            (self._cost(row, column, r, c), down, right, r, c)
            for down, right in product(range(1, height), range(1, width))
            if self._turns(row, column, r := (row + down) % height, c := (column + right) % width)
        ]
        if not turns:
            return False
        *_, r, c = min(turns)
        for corner_row, corner_column in ((row, c), (r, column), (r, c)):
            self.is_shown[corner_row][corner_column] = False
        self._arcs = self._residual()
        return True

    def _cost(self, row: int, column: int, r: int, c: int) -> int:
        return self.is_shown[row][c] + self.is_shown[r][column] + self.is_shown[r][c]

    def _turns(self, row: int, column: int, r: int, c: int) -> bool:
        """Whether two people can be thought to have changed places around this rectangle, were its corners hidden."""
        last = len(self.cells) - 1, len(self.cells[0]) - 1
        diagonal, other = ((row, column), (r, c)), ((row, c), (r, column))
        if last in (*diagonal, *other):
            return False
        return any(
            all(self._may_grow(*cell) for cell in more) and all(self.cells[x][y] > 0 for x, y in less)
            for more, less in ((diagonal, other), (other, diagonal))
        )


def _leads(arcs: Sequence[int], start: int, goal: int) -> bool:
    """Whether a path of arcs leads from one node to another."""
    seen = ahead = 1 << start
    while ahead:
        if ahead >> goal & 1:
            return True
        lowest = ahead & -ahead
        reached = arcs[lowest.bit_length() - 1] & ~seen
        seen |= reached
        ahead = (ahead ^ lowest) | reached
    return False


def crossed(cells: list[list[int]], *, rows: Mask, columns: Mask, minimum: int, is_gated: bool = False) -> list[Mask]:
    """Which cells of two questions are published, by the counts that each publishes alone; last come those who did not answer."""
    table = Crossing(cells=cells, rows=[*rows, True], columns=[*columns, True], minimum=minimum, inner=len(columns), is_gated=is_gated)
    return table.shown() if table.protect() else _nothing(rows, columns)


def crossed_options(options: list[list[list[int]]], *, rows: Mask, totals: Mask, minimum: int, is_gated: bool = False) -> list[Mask]:
    """Which counts of a multiple choice are published within the groups of another question: by group, then option.

    Each option is a table of its own: chosen, not chosen, not answered. They share who did not answer, so that what moves there has
    to fit all of them: a group's can be thought larger only where each option was left out by somebody in it.
    """
    may_fill = [all(table[row][1] > 0 for table in options) for row in range(len(rows) + 1)]
    tables = [
        Crossing(
            cells=table,
            rows=[*rows, True],
            columns=[is_known, is_known, True],
            minimum=minimum,
            inner=1,
            may_fill=may_fill,
            is_gated=is_gated,
        )
        for table, is_known in zip(options, totals, strict=True)
    ]
    if not all(table.protect() for table in tables):
        return _nothing(rows, totals)
    masks = [table.shown() for table in tables]
    return [[mask[row][0] for mask in masks] for row in range(len(rows))]


def _nothing(rows: Mask, columns: Mask) -> list[Mask]:
    return [[False] * len(columns) for _ in rows]
