"""What counts of the labels that were given, as which number, and who is told of disputes."""

import struct
from array import array
from typing import Any

import pytest

from domain.agreement import DISPUTED_MAX, Alpha, Dispute, Figures, Gathered, counted, rounded
from domain.label_set import Declaration
from tests.examples import declaration

CODED = [{"value": "low", "code": 50}, {"value": "none", "code": -7}, {"value": "high", "code": 900}]


def gathered(*labels: Any) -> Gathered:
    """One annotator's labels: the first of one resource, the next of two more, and so on."""
    times = array("q", range(1, len(labels) + 1))
    resources = struct.pack(f">{sum(times)}q", *range(1, sum(times) + 1))
    return Gathered(resources=resources, annotators=array("q", [7] * len(labels)), labels=labels, times=times, names={7: "ada"})


@pytest.mark.parametrize(
    ("declared", "labels", "numbers"),
    [
        (declaration(choices=CODED, level="nominal"), ["high", "low", "none"], [2, 0, 1]),
        (declaration(choices=CODED, level="ordinal"), ["high", "low", "none"], [2, 0, 1]),
        (declaration(choices=CODED, level="interval"), ["high", "low", "none"], [900, 50, -7]),
        (declaration(type="scale", choices=None, min=-3, max=3, level="ordinal"), [3, -3, 0], [3, -3, 0]),
        (declaration(type="boolean", choices=None, level="nominal"), [True, False], [1, 0]),
        (declaration(type="text", choices=None, level="nominal"), ["b", "", "a", "ä"], [2, 0, 1, 3]),
    ],
)
def test_a_label_is_a_number_as_the_level_wants_it(declared: Declaration, labels: list[Any], numbers: list[int]) -> None:
    found = counted(gathered(*labels), declared)
    assert list(found.labels.values) == numbers
    assert [found.meaning[number] for number in found.labels.values] == labels
    assert found.labels.items == gathered(*labels).resources


def test_what_the_set_no_longer_takes_does_not_count() -> None:
    found = counted(gathered("a", "gone", "b"), declaration()).labels
    assert found.items == struct.pack(">4q", 1, 4, 5, 6)
    assert (list(found.annotators), list(found.values), list(found.times)) == ([7, 7], [0, 1], [1, 3])
    assert len(counted(gathered("gone"), declaration()).labels.times) == 0


def test_two_who_say_the_same_give_the_same_number() -> None:
    given = gathered("b", "a", "b")
    assert list(counted(given, declaration(type="text", choices=None, level="nominal")).labels.values) == [1, 0, 1]


def test_disputes_are_told_of_all_or_of_ones_own_and_not_all_of_them() -> None:
    nothing = Alpha(value=None, low=None, high=None)
    order = tuple(Dispute(item=item, values=(1, 2), annotators=(2 - item % 2, 3)) for item in range(60, 0, -1))
    found = Figures(items=60, annotators=3, annotations=120, raw=0.0, alpha=nothing, pairs=(), disputed=order)
    assert [each.item for each in found.disputed_for(None)] == list(range(60, 60 - DISPUTED_MAX, -1))
    assert [each.item for each in found.disputed_for(1)] == list(range(59, 59 - 2 * DISPUTED_MAX, -2))
    assert list(found.disputed_for(99)) == []


@pytest.mark.parametrize(("figure", "told"), [(None, None), (1 / 3, 0.333333), (-1e-9, 0.0), (2 / 3, 0.666667), (1, 1.0)])
def test_figures_are_told_to_six_decimals(figure: float | None, told: float | None) -> None:
    assert str(rounded(figure)) == str(told)
