"""Whether requests can be served: all checks, together, once a second at most."""

import asyncio

import pytest

from adapters.shared import FRESH_SECONDS, SharedInProcess
from application.health import CheckHealth
from domain.errors import Unavailable


class Checked:
    """Something that requests need: looked at so many times, and away while it has a cause for it."""

    def __init__(self) -> None:
        self.looks = 0
        self.cause: Exception | None = None
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def check(self) -> None:
        self.looks += 1
        await self.may_end.wait()
        if self.cause is not None:
            raise Unavailable from self.cause


class World:
    def __init__(self) -> None:
        self.now = 100.0
        self.database, self.store = Checked(), Checked()
        self.health = CheckHealth(checks=[self.database.check, self.store.check], shared=SharedInProcess(lambda: self.now))


@pytest.fixture
def here() -> World:
    return World()


async def test_all_is_well_when_everything_is_there(here: World) -> None:
    await here.health()
    assert (here.database.looks, here.store.looks) == (1, 1)


@pytest.mark.parametrize("away", ["database", "store"])
async def test_one_thing_away_is_enough_and_the_log_hears_which(here: World, away: str) -> None:
    cause = getattr(here, away).cause = OSError(f"{away} is away")
    with pytest.raises(Unavailable) as caught:
        await here.health()
    assert caught.value.__cause__ is cause
    assert away not in caught.value.detail


async def test_an_unforeseen_failure_of_a_check_is_a_failure_too(here: World) -> None:
    async def breaks() -> None:
        raise ZeroDivisionError

    with pytest.raises(Unavailable):
        await CheckHealth(checks=[breaks], shared=SharedInProcess())()


@pytest.mark.parametrize("is_away", [False, True])
async def test_what_was_found_holds_for_a_second_good_or_bad(here: World, is_away: bool) -> None:  # noqa: FBT001
    async def is_well() -> bool:
        try:
            await here.health()
        except Unavailable:
            return False
        return True

    here.database.cause = OSError() if is_away else None
    assert await is_well() is not is_away
    here.database.cause = None if is_away else OSError()
    here.now += FRESH_SECONDS - 0.001
    assert await is_well() is not is_away
    assert here.database.looks == 1
    here.now += 0.001
    assert await is_well() is is_away
    assert here.database.looks == 2


async def test_a_hundred_who_ask_at_once_make_it_look_once(here: World) -> None:
    here.database.may_end.clear()
    asking = [asyncio.create_task(here.health()) for _ in range(100)]
    await asyncio.sleep(0)
    asking[0].cancel()  # who asked first may leave
    here.database.may_end.set()
    results = await asyncio.gather(*asking, return_exceptions=True)
    assert results[1:] == [None] * 99
    assert here.database.looks == 1
