"""Chores are done again and again, whatever happens, and end with the service."""

import asyncio
from collections.abc import Callable
from itertools import count

import pytest
from structlog.testing import capture_logs

from domain.errors import Unavailable
from entrypoints.background import BACK_OFF_SECONDS, Chore, doing

SOON = 10.0


class Work:
    """Work that comes to `done` after so many runs, and that does whatever `then` says on each of them."""

    def __init__(self, runs: int, then: Callable[[int], bool]) -> None:
        self.done = asyncio.Event()
        self.ended = False
        self._runs, self._then, self._count = runs, then, count(1)

    async def run(self) -> bool:
        number = next(self._count)
        if number >= self._runs:
            self.done.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.ended = True
        return self._then(number)


async def test_a_chore_is_done_again_and_again() -> None:
    work = Work(5, lambda _: False)
    async with doing([Chore(name="count", run=work.run, every=0.001)]), asyncio.timeout(SOON):
        await work.done.wait()


async def test_a_chore_that_has_more_to_do_does_not_wait() -> None:
    work = Work(1000, lambda _: True)
    async with doing([Chore(name="count", run=work.run, every=3600)]), asyncio.timeout(SOON):
        await work.done.wait()


async def test_a_failure_is_logged_once_and_the_chore_goes_on() -> None:
    def fail_at_first(number: int) -> bool:
        if number == 1:
            raise RuntimeError("the database is away")
        return False

    work = Work(3, fail_at_first)
    with capture_logs() as logged:
        async with doing([Chore(name="chain", run=work.run, every=0.001)]), asyncio.timeout(SOON):
            await work.done.wait()
    assert [(line["event"], line["chore"], line["failures"]) for line in logged] == [("chore failed", "chain", 1)]


async def test_what_is_away_is_told_in_a_line_without_a_trace() -> None:
    def fail_at_first(number: int) -> bool:
        if number == 1:
            raise Unavailable from ConnectionRefusedError("nobody is there")
        return False

    work = Work(3, fail_at_first)
    with capture_logs() as logged:
        async with doing([Chore(name="chain", run=work.run, every=0.001)]), asyncio.timeout(SOON):
            await work.done.wait()
    cause = "ConnectionRefusedError('nobody is there')"
    assert logged == [{"event": "chore put off", "log_level": "warning", "chore": "chain", "failures": 1, "cause": cause}]


async def test_one_chore_that_fails_holds_up_no_other() -> None:
    def fail(_: int) -> bool:
        raise RuntimeError

    failing, work = Work(10**9, fail), Work(5, lambda _: False)
    with capture_logs():
        async with doing([Chore(name="fail", run=failing.run, every=0.001), Chore(name="count", run=work.run, every=0.001)]):
            async with asyncio.timeout(SOON):
                await work.done.wait()


async def test_chores_have_ended_when_the_service_has() -> None:
    work = Work(1, lambda _: False)
    async with doing([Chore(name="wait", run=work.run, every=1)]), asyncio.timeout(SOON):
        await work.done.wait()
    assert work.ended


async def test_chores_end_also_when_the_service_fails() -> None:
    work = Work(1, lambda _: False)

    async def serve_and_fail() -> None:
        async with doing([Chore(name="wait", run=work.run, every=1)]), asyncio.timeout(SOON):
            await work.done.wait()
            raise KeyError

    with pytest.raises(KeyError):
        await serve_and_fail()
    assert work.ended


def test_the_pause_grows_with_each_failure_in_a_row_up_to_a_limit() -> None:
    chore = Chore(name="chain", run=Work(1, lambda _: False).run, every=1)
    for failures, seconds in [(0, 1.0), (1, 2.0), (2, 4.0), (3, 8.0), (9, BACK_OFF_SECONDS), (10_000, BACK_OFF_SECONDS)]:
        assert 0.75 * seconds <= chore.pause(failures) <= 1.25 * seconds


def test_a_rare_chore_is_never_asked_more_often_for_failing() -> None:
    assert Chore(name="purge", run=Work(1, lambda _: False).run, every=3600).pause(5) >= 0.75 * 3600
