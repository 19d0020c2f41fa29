"""What a soak takes for good."""

from dataclasses import replace

import pytest

from tests.drills.soak import DESCRIPTORS_MORE, Sample, Soaked

GOOD = Soaked(
    minutes=20,
    faults=20,
    statuses={200: 1000, 503: 10},
    lost=[],
    first=200.0,
    last=201.0,
    slope=0.1,
    course=[Sample(at, 200.0, descriptors) for at, descriptors in ((2, 40), (7, 90), (12, 95), (17, 90 + DESCRIPTORS_MORE))],
    exit_status=0,
)


def test_a_soak_that_holds_on_to_nothing_is_good() -> None:
    assert GOOD.is_good


@pytest.mark.parametrize(
    "bad",
    [
        replace(GOOD, lost=["file 7: acknowledged, not found"]),
        replace(GOOD, exit_status=1),
        replace(GOOD, statuses={200: 1000, 500: 1}),
        replace(GOOD, slope=2.0),
        replace(GOOD, course=[*GOOD.course[:3], Sample(17, 200.0, 90 + DESCRIPTORS_MORE + 1)]),
    ],
    ids=["lost", "exit", "500", "memory", "descriptors"],
)
def test_a_soak_that_loses_fails_or_grows_is_not(bad: Soaked) -> None:
    assert not bad.is_good
