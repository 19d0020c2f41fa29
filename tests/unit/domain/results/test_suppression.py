"""Suppression hides as little as it must: the fewest cells, found by trying all; and what a gate tells everybody needs no cover."""

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.results import Tally, publish
from domain.results.suppression import Crossing, crossed
from tests.examples import gated, survey

SIDE: dict[str, Any] = {"field": "side", "type": "choice", "choices": [{"value": "left"}, {"value": "right"}]}
HAND: dict[str, Any] = {"field": "hand", "type": "choice", "choices": [{"value": "one"}, {"value": "two"}, {"value": "three"}]}
SEVENTY_SIX = {
    ("left", "one"): 19,
    ("left", "two"): 7,
    ("left", "three"): 12,
    ("right", "one"): 8,
    ("right", "two"): 18,
    ("right", "three"): 12,
}
MINIMUM = 3


def crossing(cells: list[list[int]], *, minimum: int = MINIMUM) -> Crossing:
    height, width = len(cells) - 1, len(cells[0]) - 1
    return Crossing(cells=cells, rows=[True] * (height + 1), columns=[True] * (width + 1), minimum=minimum, inner=width)


def is_safe(cells: list[list[int]], shown: list[list[bool]]) -> bool:
    """Whether these cells give no other one away that the totals do not give away anyhow."""
    table, bare = crossing(cells), crossing(cells)
    table.is_shown = [[*row, False] for row in shown] + [[False] * len(cells[0])]
    table._arcs = table._residual()
    bare.inner, bare.knows_corner = 0, False
    bare.is_shown = [[False] * len(row) for row in cells]
    bare._arcs = bare._residual()
    return all(table.is_free(r, c) or not bare.is_free(r, c) for r, c in table._sensitive())


def fewest_hidden(cells: list[list[int]]) -> int:
    """By trying every way to show cells."""
    height, width = len(cells) - 1, len(cells[0]) - 1
    large = [[cells[r][c] >= MINIMUM for c in range(width)] for r in range(height)]
    best = height * width
    for bits in product([True, False], repeat=height * width):
        shown = [[large[r][c] and bits[r * width + c] for c in range(width)] for r in range(height)]
        hidden = sum(not is_shown for row in shown for is_shown in row)
        if hidden < best and is_safe(cells, shown):
            best = hidden
    return best


def hidden_in(mask: list[list[bool]]) -> int:
    return sum(not is_shown for row in mask for is_shown in row)


@pytest.mark.parametrize("minimum", [3, 5])
def test_a_gate_that_four_of_eighty_declined_hides_no_cell(minimum: int) -> None:
    asked = survey(gated(SIDE, HAND, results={"public": True, "minimum_cell": minimum, "protection": "suppression", "by": ["side"]}))
    tally = Tally(asked.definition)
    for (side, hand), number in SEVENTY_SIX.items():
        tally.add([{"consent": "accepted", "side": side, "hand": hand}] * number)
    tally.add([{"consent": "declined"}] * 4)
    (hand_results,) = (question for question in publish(asked, tally)["side"]["questions"] if question["field"] == "hand")
    assert [[cell["count"] for cell in group["counts"]] for group in hand_results["groups"]] == [[19, 7, 12], [8, 18, 12]]


def test_a_single_skip_each_way_hides_as_few_as_can_be() -> None:
    cells = [[9, 8, 7, 1], [10, 11, 12, 0], [0, 1, 0, 0]]
    mask = crossed(cells, rows=[True] * 2, columns=[True] * 3, minimum=MINIMUM)
    assert hidden_in(mask) == fewest_hidden(cells) == 3  # it were four, a rectangle for each skip


@given(
    counts=st.integers(2, 3).flatmap(
        lambda width: st.lists(st.lists(st.integers(0, 6), min_size=width + 1, max_size=width + 1), min_size=3, max_size=3)
    )
)
def test_as_few_cells_are_hidden_as_can_be(counts: list[list[int]]) -> None:
    cells = [row.copy() for row in counts]
    cells[-1][-1] = 0
    mask = crossed(cells, rows=[True] * (len(cells) - 1), columns=[True] * (len(cells[0]) - 1), minimum=MINIMUM)
    assert hidden_in(mask) == fewest_hidden(cells)
    assert not any(map(any, mask)) or is_safe(cells, mask)


@given(counts=st.lists(st.lists(st.sampled_from([0, 1, 4, 9, 30]), min_size=7, max_size=7), min_size=7, max_size=7))
def test_large_tables_show_nothing_that_gives_another_away(counts: list[list[int]]) -> None:
    cells = [row.copy() for row in counts]
    cells[-1][-1] = 0
    mask = crossed(cells, rows=[True] * 6, columns=[True] * 6, minimum=MINIMUM)
    assert not any(map(any, mask)) or is_safe(cells, mask)
