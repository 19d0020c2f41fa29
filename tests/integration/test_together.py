"""Reads that are run once for all who wait: who is answered by which run, and that nobody sees less than was there when they asked."""

import asyncio
from random import Random
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text

from adapters.postgres import together as together_module
from adapters.postgres.database import ANSWER_SECONDS, Executor, Pool, Statement
from adapters.postgres.together import Together
from domain.errors import NotFound, Unavailable

READ = Statement(text("SELECT :what AS what"))
OTHER = Statement(text("SELECT :what AS other"))


class ByHand(Executor):
    """Answers each run when it is told to, with what it is told."""

    def __init__(self) -> None:
        self.runs: list[asyncio.Future[Any]] = []
        self.due: list[float] = []

    async def rows(self, statement: Statement, due: float | None = None, /, **given: Any) -> list[asyncpg.Record]:
        raise NotImplementedError

    async def row(self, statement: Statement, due: float | None = None, /, **given: Any) -> Any:
        assert due is not None
        self.due.append(due)
        self.runs.append(asyncio.get_running_loop().create_future())
        return await self.runs[-1]


async def soon() -> None:
    """Let everybody come as far as they can."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
def hand() -> ByHand:
    return ByHand()


def asked(together: Together, times: int, statement: Statement = READ, **given: Any) -> "list[asyncio.Task[Any]]":
    return [asyncio.create_task(together.row(statement, **(given or {"what": 1}))) for _ in range(times)]


async def test_who_asks_during_a_run_is_answered_by_the_next_one_together(hand: ByHand) -> None:
    together = Together(hand)
    first = asked(together, 1)
    await soon()
    crowd = asked(together, 5)
    await soon()
    assert len(hand.runs) == 1
    hand.runs[0].set_result("old")
    await soon()
    assert len(hand.runs) == 2
    late = asked(together, 3)  # the second run has begun without them
    await soon()
    hand.runs[1].set_result("new")
    await soon()
    hand.runs[2].set_result("newest")
    assert await asyncio.gather(*first, *crowd, *late) == ["old"] + ["new"] * 5 + ["newest"] * 3
    assert len(hand.runs) == 3
    again = asked(together, 1)
    await soon()
    hand.runs[3].set_result("alone")
    assert await again[0] == "alone"


async def test_a_run_that_takes_long_is_not_waited_for(hand: ByHand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together_module, "TURN_SECONDS", 0.01)
    together = Together(hand)
    slow = asked(together, 1)
    await soon()
    crowd = asked(together, 5)
    async with asyncio.timeout(5):
        while len(hand.runs) < 2:  # noqa: ASYNC110 - only time brings it about
            await asyncio.sleep(0.005)
    hand.runs[1].set_result("new")
    assert await asyncio.gather(*crowd) == ["new"] * 5
    late = asked(together, 1)
    await soon()
    hand.runs[0].set_result("old")
    hand.runs[2].set_result("newest")
    assert await asyncio.gather(*slow, *late) == ["old", "newest"]


async def test_what_was_waited_for_a_run_is_taken_from_the_time_of_the_next_one(hand: ByHand) -> None:
    together, clock = Together(hand), asyncio.get_running_loop().time
    first = asked(together, 1)
    await soon()
    crowd = asked(together, 2)
    await soon()
    all_asked_at = clock()
    while clock() == all_asked_at:
        await soon()
    hand.runs[0].set_result("old")
    await soon()
    assert hand.due[1] <= all_asked_at + ANSWER_SECONDS
    hand.runs[1].set_result("new")
    await asyncio.gather(*first, *crowd)


async def test_only_those_are_answered_together_who_are_alike(hand: ByHand) -> None:
    may_lag = True
    together = Together(hand, alike=lambda: may_lag)
    one = asked(together, 1, what=1) + asked(together, 1, what=2) + asked(together, 1, OTHER, what=1)
    await soon()
    may_lag = False
    one += asked(together, 1, what=1)
    await soon()
    assert len(hand.runs) == 4
    for number, run in enumerate(hand.runs):
        run.set_result(number)
    assert await asyncio.gather(*one) == [0, 1, 2, 3]


@pytest.mark.parametrize("gone", [0, 1, 2])
async def test_whoever_leaves_takes_nothing_from_the_others(hand: ByHand, gone: int) -> None:
    together = Together(hand)
    tasks = asked(together, 1)
    await soon()
    tasks += asked(together, 3)
    await soon()
    tasks[gone].cancel()
    await soon()
    if gone:
        hand.runs[0].set_result("old")
        await soon()
    assert len(hand.runs) == 2
    hand.runs[1].set_result("new")
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(found.pop(gone), asyncio.CancelledError)
    assert found == (["new"] * 3 if gone == 0 else ["old", "new", "new"])


async def test_an_error_reaches_all_who_asked_together_and_no_longer_wait_for_one_that_is_away(hand: ByHand) -> None:
    together = Together(hand)
    first = asked(together, 1)
    await soon()
    crowd = asked(together, 2)
    await soon()
    hand.runs[0].set_exception(NotFound())
    await soon()
    waiting = asked(together, 2)
    await soon()
    hand.runs[1].set_exception(Unavailable())
    found = await asyncio.gather(*first, *crowd, *waiting, return_exceptions=True)
    assert [type(each) for each in found] == [NotFound] + [Unavailable] * 4
    assert len(hand.runs) == 2


async def test_whoever_reads_after_a_commit_sees_it(pool: Pool) -> None:
    together, random = Together(pool), Random(1)
    insert = Statement(text("INSERT INTO projects (slug, title, created_at, version) VALUES ('story', '0', now(), 1)"))
    await pool.row(insert)
    write = Statement(text("UPDATE projects SET title = :title WHERE slug = 'story'"))
    read = Statement(text("SELECT title FROM projects WHERE slug = 'story'"))
    committed = 0

    async def writer() -> None:
        nonlocal committed
        for number in range(1, 150):
            await pool.row(write, title=str(number))
            committed = number

    async def reader() -> None:
        while committed < 149:
            before = committed
            row = await together.one(read)
            assert int(row["title"]) >= before
            await asyncio.sleep(random.choice([0, 0, 0.001]))

    await asyncio.gather(writer(), *(reader() for _ in range(8)))
