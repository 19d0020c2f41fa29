"""Counting in Redis when Redis is away, hangs, forgets or comes back: nobody waits for it, and it is found again."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping
from typing import Any

import pytest
from structlog.testing import capture_logs

from adapters.limits.redis import BATCH, BOUND_SECONDS, RedisWindows, check_redis
from application.ports import Hit, Limit
from domain.errors import Unavailable
from tests.e2e.client import free_port
from tests.valkey import PASSWORD, RedisServer, redis_server

SECRET = b"counted together by all" * 2
FIVE = Limit(amount=5, seconds=600)
ADDRESS = "203.0.113.77"

Logs = list[MutableMapping[str, Any]]


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
def valkey(server: RedisServer) -> Iterator[RedisServer]:
    """A server with nothing in it; however a test leaves it, it goes on."""
    server.ask("FLUSHALL")
    yield server
    server.resume()


@pytest.fixture
async def windows(valkey: RedisServer) -> AsyncIterator[RedisWindows]:
    async with RedisWindows(valkey.url, key=SECRET) as windows:
        yield windows


@pytest.fixture
async def other(valkey: RedisServer) -> AsyncIterator[RedisWindows]:
    async with RedisWindows(valkey.url, key=SECRET) as windows:
        yield windows


async def eventually(holds: Callable[[], bool], what: str, *, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.01)


def at_once(windows: RedisWindows, key: tuple[str, ...], limit: Limit) -> Hit:
    """A hit that is answered without waiting for anything. Fails where it waits."""
    hit = windows.hit(key, limit)
    try:
        hit.send(None)
    except StopIteration as done:
        answer: Hit = done.value
        return answer
    hit.close()
    raise AssertionError("it waits")


async def hits(windows: RedisWindows, times: int, key: str = "a", limit: Limit = FIVE) -> list[bool]:
    return [hit.granted for hit in await asyncio.gather(*(windows.hit((key,), limit) for _ in range(times)))]


async def test_while_redis_hangs_everything_is_answered_and_nothing_waits_twice(windows: RedisWindows, valkey: RedisServer) -> None:
    valkey.pause()
    with capture_logs() as logs:
        assert sum(await hits(windows, 20)) == 5
        assert windows.is_apart
        assert [at_once(windows, ("b",), FIVE).granted for _ in range(7)] == [True] * 5 + [False] * 2
        valkey.resume()
        await eventually(lambda: not windows.is_apart, "Redis is found again")
        await windows.hit(("c",), FIVE)
    assert [(line["log_level"], line["event"].rpartition(": ")[2]) for line in logs] == [
        ("warning", "redis is away"),
        ("info", "redis is back"),
    ]
    assert not [line for line in logs if PASSWORD in str(line)]


async def test_found_again_it_counts_for_all(windows: RedisWindows, other: RedisWindows, valkey: RedisServer) -> None:
    valkey.pause()
    assert sum(await hits(windows, 20)) + sum(await hits(other, 20)) == 10
    valkey.resume()
    await eventually(lambda: not (windows.is_apart or other.is_apart), "Redis is found again")
    granted = await asyncio.gather(hits(windows, 20, "b"), hits(other, 20, "b"))
    assert sum(map(sum, granted)) == 5


async def test_a_used_up_limit_stays_used_up_when_redis_goes_away(windows: RedisWindows, valkey: RedisServer) -> None:
    assert sum(await hits(windows, 9)) == 5
    valkey.pause()
    assert not any(await hits(windows, 9))
    assert windows.is_apart


async def test_a_start_without_redis_counts_in_memory_until_it_is_there(valkey: RedisServer) -> None:
    valkey.pause()
    async with RedisWindows(valkey.url, key=SECRET) as windows:
        assert windows.is_apart
        assert sum(at_once(windows, ("a",), FIVE).granted for _ in range(9)) == 5
        valkey.resume()
        await eventually(lambda: not windows.is_apart, "Redis is found")


@pytest.mark.parametrize("url", ["redis://127.0.0.1:{closed}/0", "redis://:wrong@127.0.0.1:{port}/0", "rediss://127.0.0.1:{port}/0"])
async def test_a_redis_that_cannot_be_used_stops_no_start_and_is_told(valkey: RedisServer, url: str) -> None:
    address = url.format(closed=free_port(), port=valkey.port)
    with capture_logs() as logs:
        async with RedisWindows(address, key=SECRET) as windows:
            assert sum(await hits(windows, 9)) == 5
    assert [line["log_level"] for line in logs] == ["warning"]
    assert "wrong" not in str(logs)
    with pytest.raises(Unavailable):
        await check_redis(address)
    await check_redis(valkey.url)


async def test_a_redis_that_forgot_the_script_or_was_restarted_is_told_again() -> None:
    with redis_server() as valkey:
        async with RedisWindows(valkey.url, key=SECRET) as windows:
            for disturb in (lambda: valkey.ask("SCRIPT", "FLUSH"), lambda: valkey.ask("CLIENT", "KILL", "TYPE", "normal"), valkey.restart):
                disturb()
                assert sum(await hits(windows, 9, str(disturb))) == 5
                await eventually(lambda: not windows.is_apart, "Redis is found again")
                await windows.hit(("c",), FIVE)
                assert not windows.is_apart


async def test_a_process_that_was_held_up_does_not_take_redis_for_slow(windows: RedisWindows) -> None:
    async def hold_up(turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        time.sleep(4 * BOUND_SECONDS)  # noqa: ASYNC251 - this is the point

    for turns in range(8):  # somewhere here the question is on its way
        await asyncio.gather(windows.hit(("a",), FIVE), hold_up(turns))
        assert not windows.is_apart


async def test_whoever_leaves_takes_nobody_along(windows: RedisWindows) -> None:
    tasks = [asyncio.create_task(windows.hit(("a",), Limit(amount=BATCH * 3, seconds=600))) for _ in range(BATCH * 3)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(answer, Hit) and answer.granted for answer in answers[1::2])
    assert not windows.is_apart


async def test_one_connection_serves_all_and_none_is_left_behind(valkey: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    before = valkey.clients()
    async with RedisWindows(valkey.url, key=SECRET) as windows:
        for number in range(3):
            await hits(windows, BATCH * 3, f"a{number}")
            assert valkey.clients() == before + 1
            valkey.pause()
            await hits(windows, BATCH * 3, f"b{number}")
            valkey.resume()
            await eventually(lambda: not windows.is_apart, "Redis is found again")
            await eventually(lambda: valkey.clients() == before + 1, "one connection is left")
    await eventually(lambda: valkey.clients() == before, "no connection is left")
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR], caplog.text


async def test_leaving_while_hits_wait_answers_them(valkey: RedisServer) -> None:
    async with RedisWindows(valkey.url, key=SECRET) as windows:
        valkey.pause()
        waiting = [asyncio.create_task(windows.hit(("a",), FIVE)) for _ in range(9)]
        await asyncio.sleep(0)
    assert sum([(await task).granted for task in waiting]) == 5


async def test_redis_holds_nothing_that_tells_who_was_counted_and_nothing_for_ever(windows: RedisWindows, valkey: RedisServer) -> None:
    for _ in range(3):
        await windows.hit(("/{project}", "public-read", ADDRESS), Limit(amount=9, seconds=60))
    held = [key for key in valkey.ask("KEYS", "*").split(b"\r\n") if key.startswith(b"complex-stories")]
    assert len(held) == 2  # the other is the probe's
    for key in held:
        left = int(valkey.ask("PTTL", key.decode())[1:])
        assert 0 < left <= 61_000
    everything = valkey.ask("KEYS", "*") + b"".join(valkey.ask("LRANGE", key.decode(), "0", "-1") for key in held)
    for clear in (ADDRESS, "public-read", "project"):
        assert clear.encode() not in everything


async def test_those_with_another_secret_count_apart(windows: RedisWindows, valkey: RedisServer) -> None:
    assert sum(await hits(windows, 9)) == 5
    async with RedisWindows(valkey.url, key=b"another secret") as stranger:
        assert sum(await hits(stranger, 9)) == 5
        assert not stranger.is_apart
