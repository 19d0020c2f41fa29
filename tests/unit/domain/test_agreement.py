"""What counts of the labels that were given, as which number, and who is told of disputes."""

from array import array
from typing import Any

import pytest

from domain.agreement import DISPUTED_MAX, Alpha, Counted, Disputed, Figures, Gathered, Labels, counted, rounded
from domain.label_set import Declaration
from tests.examples import declaration

CODED = [{"value": "low", "code": 50}, {"value": "none", "code": -7}, {"value": "high", "code": 900}]


def gathered(*labels: Any) -> Gathered:
    """One annotator's labels of resources 1, 2, 3 and so on, all different."""
    places = array("q", range(len(labels)))
    resources = array("q", range(1, len(labels) + 1))
    return Gathered(resources=resources, annotators=array("q", [7] * len(labels)), places=places, labels=labels, names={7: "ada"})


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


def test_what_the_set_no_longer_takes_does_not_count() -> None:
    found = counted(gathered("a", "gone", "b"), declaration())
    assert list(found.labels.items) == [1, 3]
    assert list(found.labels.values) == [0, 1]
    assert len(counted(gathered("gone"), declaration()).labels) == 0


def disputes(items: int) -> tuple[Counted, Figures]:
    """Each resource is in dispute between two annotators, one of them `1` on odd ones and `2` on even ones, the other `3`."""
    rows = [(item, who, 2 - who // 3) for item in range(1, items + 1) for who in (2 - item % 2, 3)]
    columns = [array("q", [row[at] for row in rows]) for at in range(3)]
    labels = Labels(items=columns[0], annotators=columns[1], values=columns[2])
    nothing = Alpha(value=None, low=None, high=None)
    order = array("q", range(items, 0, -1))
    figures = Figures(items=items, annotators=3, raw=0.0, alpha=nothing, pairs=(), disputed=order)
    return Counted(labels=labels, meaning={1: "a", 2: "b"}, names={}), figures


def test_disputes_are_told_without_names_and_not_all_of_them() -> None:
    found, figures = disputes(30)
    told = found.disputed(figures, seen_by=None)
    assert [each.resource_id for each in told] == list(range(30, 30 - DISPUTED_MAX, -1))
    assert set(told) == {Disputed(resource_id=each.resource_id, values=("a", "b")) for each in told}


def test_who_may_see_only_ones_own_is_told_of_those() -> None:
    found, figures = disputes(30)
    assert [each.resource_id for each in found.disputed(figures, seen_by=1)] == list(range(29, 0, -2))
    assert found.disputed(figures, seen_by=99) == []


@pytest.mark.parametrize(("figure", "told"), [(None, None), (1 / 3, 0.333333), (-1e-9, 0.0), (2 / 3, 0.666667), (1, 1.0)])
def test_figures_are_told_to_six_decimals(figure: float | None, told: float | None) -> None:
    assert str(rounded(figure)) == str(told)
