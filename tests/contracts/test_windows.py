"""Windows that move: the sentences of `Windows`, in memory and in Redis, and that both count as the definition does."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis

from adapters.limits.memory import MemoryWindows
from adapters.limits.redis import RedisWindows
from adapters.limits.script import HIT, asked_for, told
from application.ports import Hit, Limit, Windows
from tests.fakes.windows import FakeWindows
from tests.valkey import PASSWORD, RedisServer, redis_server

SECRET = b"counted together by all" * 2
Pass = Callable[[float], Awaitable[None]]
THREE = Limit(amount=3, seconds=60)


class WindowsContract:
    """`other` counts together with `windows`; `wait` lets so many seconds pass."""

    async def test_hits_are_granted_until_the_amount_and_refused_then(self, windows: Windows) -> None:
        hits = [await windows.hit(("a",), THREE) for _ in range(5)]
        assert [hit.granted for hit in hits] == [True, True, True, False, False]
        assert [hit.remaining for hit in hits] == [2, 1, 0, 0, 0]
        assert all(0 < hit.reset_after <= 60 for hit in hits)

    async def test_what_is_there_has_not_failed(self, windows: Windows) -> None:
        await windows.hit(("a",), THREE)
        assert windows.failures == 0

    async def test_what_is_there_is_counted_in_together(self, windows: Windows, other: Windows) -> None:
        await windows.hit(("a",), THREE)
        assert [each.is_apart for each in (windows, other)] == [False, False]

    async def test_a_hit_that_is_given_back_is_granted_again(self, windows: Windows, other: Windows) -> None:
        for _ in range(2):
            assert [(await each.hit(("a",), THREE)).granted for each in (windows, other, windows, other)] == [True, True, True, False]
            await other.give_back(("a",), THREE)
            assert (await windows.hit(("a",), THREE)).granted
            assert not (await other.hit(("a",), THREE)).granted
            for _ in range(4):
                await windows.give_back(("a",), THREE)
        await windows.give_back(("never hit",), THREE)
        assert (await windows.hit(("never hit",), THREE)).remaining == 2

    async def test_keys_are_told_apart(self, windows: Windows) -> None:
        once = Limit(amount=1, seconds=60)
        keys = [("a", "b", "c"), ("a", "b"), ("ab", "c"), ("a", "b", "d"), ("\u00e9",), ("a", "b", "")]
        assert all([(await windows.hit(key, once)).granted for key in keys])
        assert not any([(await windows.hit(key, once)).granted for key in keys])

    async def test_a_refusal_says_truly_when_a_hit_is_granted_again(self, windows: Windows, wait: Pass) -> None:
        limit = Limit(amount=2, seconds=1)
        await windows.hit(("a",), limit)
        await wait(0.5)
        await windows.hit(("a",), limit)
        refused = await windows.hit(("a",), limit)
        assert not refused.granted
        assert 0 < refused.reset_after < 0.6
        await wait(refused.reset_after)
        assert (await windows.hit(("a",), limit)).granted

    async def test_what_is_refused_does_not_count(self, windows: Windows, wait: Pass) -> None:
        limit = Limit(amount=1, seconds=1)
        first = await windows.hit(("a",), limit)
        refused = [await windows.hit(("a",), limit) for _ in range(20)]
        assert first.granted
        await wait(refused[0].reset_after)
        assert (await windows.hit(("a",), limit)).granted

    async def test_the_limit_holds_over_all_who_count_together(self, windows: Windows, other: Windows) -> None:
        limit = Limit(amount=25, seconds=60)
        hits = await asyncio.gather(*(who.hit(("a",), limit) for _ in range(100) for who in (windows, other)))
        assert sum(hit.granted for hit in hits) == 25
        assert sorted(hit.remaining for hit in hits if hit.granted) == list(range(25))


async def _sleep(seconds: float) -> None:
    await asyncio.sleep(seconds)


class TestFakeWindows(WindowsContract):
    @pytest.fixture
    def windows(self) -> FakeWindows:
        return FakeWindows()

    @pytest.fixture
    def other(self, windows: FakeWindows) -> FakeWindows:
        return windows

    @pytest.fixture
    def wait(self, windows: FakeWindows) -> Pass:
        async def wait(seconds: float) -> None:
            windows.now += seconds

        return wait


class TestMemoryWindows(WindowsContract):
    @pytest.fixture
    def clock(self) -> list[float]:
        return [5.0]

    @pytest.fixture
    def windows(self, clock: list[float]) -> MemoryWindows:
        return MemoryWindows(lambda: clock[0])

    @pytest.fixture
    def other(self, windows: MemoryWindows) -> MemoryWindows:
        return windows

    @pytest.fixture
    def wait(self, clock: list[float]) -> Pass:
        async def wait(seconds: float) -> None:
            clock[0] += seconds

        return wait


class TestRedisWindows(WindowsContract):
    @pytest.fixture
    async def windows(self, valkey: RedisServer) -> AsyncIterator[RedisWindows]:
        valkey.ask("FLUSHALL")
        async with RedisWindows(valkey.url, key=SECRET) as windows:
            yield windows
            assert not windows.is_apart, "it fell back: this tested memory"

    @pytest.fixture
    async def other(self, valkey: RedisServer) -> AsyncIterator[RedisWindows]:
        async with RedisWindows(valkey.url, key=SECRET) as windows:
            yield windows
            assert not windows.is_apart, "it fell back: this tested memory"

    @pytest.fixture
    def wait(self) -> Pass:
        return _sleep

    async def test_no_span_of_the_windows_length_holds_more_than_the_amount(self, windows: RedisWindows, other: RedisWindows) -> None:
        limit = Limit(amount=7, seconds=1)
        granted: list[tuple[float, float]] = []

        async def keep_hitting(who: Windows) -> None:
            for _ in range(60):
                began = time.monotonic()
                hit = await who.hit(("a",), limit)
                if hit.granted:
                    granted.append((began, time.monotonic()))
                await asyncio.sleep(0.04)

        await asyncio.gather(*(keep_hitting(who) for who in (windows, other) for _ in range(3)))
        assert len(granted) >= 7
        for began, _ in granted:
            assert sum(began <= start and end < began + limit.seconds for start, end in granted) <= limit.amount


@pytest.fixture(scope="module")
def valkey() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


# --- both count as the definition does -----------------------------------------------------------------------------------------

LIMITS = st.builds(Limit, amount=st.integers(1, 4), seconds=st.integers(1, 5))
STEP = 1 / 64  # of a second: whole microseconds, and exact in a double
STEPS = st.lists(st.tuples(st.integers(0, 192), st.sampled_from("abc")), min_size=1, max_size=60)
_names = count()


@given(limits=st.tuples(LIMITS, LIMITS, LIMITS), steps=STEPS)
def test_memory_counts_as_the_definition_does(limits: tuple[Limit, ...], steps: list[tuple[int, str]]) -> None:
    model = FakeWindows()
    memory = MemoryWindows(lambda: model.now)
    for step, name in steps:
        model.now += step * STEP
        limit = limits["abc".index(name)]
        assert memory.count((name,), limit) == model.count((name,), limit)


@settings(max_examples=60)
@given(limits=st.tuples(LIMITS, LIMITS, LIMITS), steps=STEPS)
def test_the_script_counts_as_the_definition_does(valkey: RedisServer, limits: tuple[Limit, ...], steps: list[tuple[int, str]]) -> None:
    model, hits = FakeWindows(), ScriptedHits(valkey)
    for step, name in steps:
        model.now += step * STEP
        limit = limits["abc".index(name)]
        assert hits.hit(name, limit, round(model.now * 1_000_000)) == model.count((name,), limit)


def test_a_clock_that_is_set_back_grants_no_more(valkey: RedisServer) -> None:
    hits, limit, at = ScriptedHits(valkey), Limit(amount=2, seconds=10), 1_700_000_000_000_000
    assert [hits.hit("a", limit, at + step).granted for step in (0, -3_000_000, -1)] == [True, True, False]
    assert hits.hit("a", limit, at - 3_000_000) == Hit(granted=False, remaining=0, reset_after=13.0)
    assert not hits.hit("a", limit, at + 9_999_999).granted
    assert hits.hit("a", limit, at + 10_000_000).granted
    assert hits.hit("a", limit, at - 3_600_000_000).granted, "set back by more than a window, it does not bar for an hour"


def test_a_hit_counts_until_its_window_is_over_to_the_microsecond(valkey: RedisServer) -> None:
    hits, limit, at = ScriptedHits(valkey), Limit(amount=1, seconds=10), 1_700_000_000_000_000
    assert hits.hit("a", limit, at) == Hit(granted=True, remaining=0, reset_after=10.0)
    assert hits.hit("a", limit, at + 9_999_999) == Hit(granted=False, remaining=0, reset_after=0.000001)
    assert hits.hit("a", limit, at + 10_000_000).granted


class ScriptedHits:
    """The script, at times that a test decides."""

    def __init__(self, server: RedisServer) -> None:
        self._redis = Redis(port=server.port, password=PASSWORD)
        assert HIT.count("redis.call('TIME')") == 1
        self._script = HIT.replace("redis.call('TIME')", "{ARGV[3], ARGV[4]}")
        self._name = f"scripted-{next(_names)}"

    def hit(self, name: str, limit: Limit, micros: int) -> Hit:
        seconds, rest = divmod(micros, 1_000_000)
        (answer,) = self._redis.eval(self._script, 1, f"{self._name}-{name}", *asked_for(limit), seconds, rest)
        return told(answer)
