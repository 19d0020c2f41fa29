"""Giving way: nobody asks, somebody does, somebody did of late, and everybody does all the time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrypoints.http.admission import Admission
from entrypoints.http.giving_way import EXPECTED_SECONDS, OWED_SECONDS, PAUSE_SECONDS, PAUSES_PER_WORK, GivingWay


class Day:
    """A clock that sleeping alone moves, and how many have a turn from the n-th pause on."""

    def __init__(self, *, turns: list[int] | None = None) -> None:
        self.at = 1000.0
        self.paused = 0.0
        self.pauses = 0
        self.admission = Admission(now=self.now)
        self._turns = turns or []
        self.give_way = GivingWay(self.admission, now=self.now, sleep=self.sleep)

    def now(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds
        self.paused += seconds
        self.pauses += 1
        if self._turns:
            self.serve(self._turns.pop(0))

    def serve(self, number: int) -> None:
        while self.admission.working > number:
            self.admission.leave()
        while self.admission.working < number:
            self.admission.enter_again()

    async def work(self, seconds: float) -> int:
        """Work on a part; the pauses that came after it."""
        before = self.pauses
        self.at += seconds
        await self.give_way()
        return self.pauses - before


async def test_where_nobody_asks_there_is_no_pause() -> None:
    day = Day()
    assert [await day.work(0.01) for _ in range(100)] == [0] * 100


async def test_it_waits_until_nobody_had_a_turn_throughout_a_pause() -> None:
    day = Day(turns=[2, 1, 0, 1, 0, 0])
    day.serve(1)
    assert await day.work(0.02) == 6


async def test_where_somebody_asked_of_late_there_is_one_pause_after_each_part() -> None:
    day = Day(turns=[0, 0])
    day.serve(1)
    assert await day.work(0.01) == 2
    parts = int(EXPECTED_SECONDS / (0.01 + PAUSE_SECONDS))
    assert [await day.work(0.01) for _ in range(parts)] == [1] * parts
    assert [await day.work(0.01) for _ in range(10)] == [0] * 10


async def test_nothing_is_held_up_for_long_at_a_time_however_long_it_worked() -> None:
    day = Day()
    day.serve(1)
    await day.work(3600)
    assert day.paused == pytest.approx(OWED_SECONDS, abs=PAUSE_SECONDS)


@given(parts=st.lists(st.floats(0.0, 0.2), min_size=1, max_size=50))
async def test_under_any_load_it_waits_no_longer_in_all_than_some_times_what_it_worked(parts: list[float]) -> None:
    day = Day()
    day.serve(32)
    for seconds in parts:
        await day.work(seconds)
    assert day.paused < PAUSES_PER_WORK * sum(parts) + 2 * PAUSE_SECONDS
