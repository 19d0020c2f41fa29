"""The pool of connections: whatever becomes of those who use it, no connection is lost, and none is lent that may not be used."""

import asyncio
from collections.abc import AsyncIterator
from random import Random
from secrets import token_hex

import pytest
from sqlalchemy import make_url, text
from structlog.testing import capture_logs

from adapters.postgres import lines
from adapters.postgres.database import Pool, Statement, Transaction
from domain.errors import Unavailable
from tests.drills.proxy import proxied, through, upstream_of

SIZE = 3
ROOM = 2
NAP = Statement(text("SELECT pg_sleep(0.003)"))
ONE = Statement(text("SELECT 1 AS one"))


@pytest.fixture
async def small(database_url: str) -> AsyncIterator[Pool]:
    async with Pool(database_url, size=SIZE) as pool:
        yield pool


@pytest.fixture
async def few(database_url: str) -> AsyncIterator[str]:
    """The address of the same database for a role that may have only so many connections."""
    role, password = f"few_{token_hex(6)}", token_hex(6)
    async with Pool(database_url, size=1) as pool:
        line = await pool.acquire()
        await line.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{password}' CONNECTION LIMIT {ROOM}")
        yield make_url(database_url).set(username=role, password=password).render_as_string(hide_password=False)
        await line.execute(f"DROP ROLE {role}")
        pool.release(line)


@pytest.fixture
async def late() -> AsyncIterator[str]:
    """The place of a host that says nothing of use, and that later than a database does."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        await asyncio.sleep(0.1)
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("seed", range(6))
async def test_however_tasks_are_cancelled_all_connections_can_be_lent_again(small: Pool, seed: int) -> None:
    random = Random(seed)
    tasks = []
    for _ in range(120):
        tasks.append(asyncio.create_task(small.row(NAP)))
        await asyncio.sleep(random.choice([0, 0, 0.001, 0.004]))
        random.choice(tasks).cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(each) for each in found if isinstance(each, BaseException)} <= {asyncio.CancelledError}
    assert small.used == 0
    held = [await small.acquire() for _ in range(SIZE)]
    assert [await line.fetchval("SELECT 1") for line in held] == [1] * SIZE
    assert small.used == SIZE
    for line in held:
        small.release(line)


async def test_no_more_connections_are_opened_than_there_may_be_and_all_who_wait_have_their_turn(small: Pool) -> None:
    most = 0

    async def ask() -> None:
        nonlocal most
        await small.row(NAP)
        most = max(most, small.used + small.idle)

    await asyncio.gather(*(ask() for _ in range(60)))
    assert most == SIZE
    assert small.idle == SIZE


async def test_where_the_server_has_room_for_fewer_those_are_shared(few: str) -> None:
    async with Pool(few, size=16) as crowded:
        await asyncio.gather(*(crowded.row(NAP) for _ in range(200)))
        assert (crowded.used, crowded.idle) == (0, ROOM)


async def test_where_a_full_server_is_one_of_several_hosts_its_connections_are_shared_too(few: str, late: str) -> None:
    async with proxied(upstream_of(few)) as proxy:
        several = make_url(through(few, proxy.port)).set(host=None, port=None, query={"host": (f"127.0.0.1:{proxy.port}", late)})
        async with Pool(several.render_as_string(hide_password=False), size=16) as crowded:
            await asyncio.gather(*(crowded.row(NAP) for _ in range(200)))
            assert (crowded.used, crowded.idle) == (0, ROOM)


async def test_that_there_is_no_room_for_more_is_counted_and_logged_once_in_a_while(few: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "NO_ROOM_SECONDS", 3600.0)
    async with Pool(few, size=16) as crowded:
        with capture_logs() as logged:
            for _ in range(2):
                await asyncio.gather(*(crowded.row(NAP) for _ in range(50)))
        assert crowded.failures == 1
        assert [line["log_level"] for line in logged] == ["warning"]


async def test_that_there_is_no_room_for_more_is_counted_again_while_it_lasts(few: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "NO_ROOM_SECONDS", 0.1)
    async with Pool(few, size=16) as crowded, asyncio.timeout(10):
        while crowded.failures < 3:
            await asyncio.gather(*(crowded.row(NAP) for _ in range(50)))


async def test_where_the_server_has_no_room_at_all_it_cannot_be_asked(few: str) -> None:
    async with Pool(few, size=ROOM) as others, Pool(few, size=ROOM) as mine:
        held = [await others.acquire() for _ in range(ROOM)]
        answers = await asyncio.gather(*(mine.row(ONE) for _ in range(8)), return_exceptions=True)
        assert {type(answer) for answer in answers} == {Unavailable}
        assert (mine.used, mine.idle) == (0, 0)
        for line in held:
            others.release(line)


async def test_room_that_others_left_is_taken(few: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "NO_ROOM_SECONDS", 0.0)
    async with Pool(few, size=ROOM) as others, Pool(few, size=ROOM) as mine:
        held = [await others.acquire() for _ in range(ROOM - 1)]
        await asyncio.gather(*(mine.row(NAP) for _ in range(8)))
        assert mine.idle == 1
        for line in held:
            line.terminate()
            others.release(line)
        async with asyncio.timeout(10):
            while mine.idle < ROOM:
                await asyncio.gather(*(mine.row(NAP) for _ in range(8)))


async def test_who_waits_is_given_the_place_of_a_connection_that_ended(small: Pool) -> None:
    held = [await small.acquire() for _ in range(SIZE)]
    waiting = asyncio.create_task(small.one(ONE))
    await asyncio.sleep(0)
    held[0].terminate()
    small.release(held[0])
    assert (await waiting)["one"] == 1
    for line in held[1:]:
        small.release(line)


async def test_a_connection_with_a_transaction_on_it_is_not_lent_again(small: Pool) -> None:
    line = await small.acquire()
    await line.execute("BEGIN")
    small.release(line)
    assert line.is_closed()
    assert (small.used, small.idle) == (0, 0)


async def test_a_connection_that_the_server_ended_is_not_lent_again(small: Pool) -> None:
    line = await small.acquire()
    pid = await line.fetchval("SELECT pg_backend_pid()")
    small.release(line)
    other = await small.acquire()
    assert other is line
    ending = await small.acquire()
    await ending.fetchval("SELECT pg_terminate_backend($1, 5000)", pid)
    small.release(other)
    small.release(ending)
    assert (await small.one(ONE))["one"] == 1


async def test_what_nobody_wants_for_a_while_is_ended(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "UNUSED_SECONDS", 0.05)
    async with Pool(database_url, size=SIZE) as pool:
        await asyncio.gather(*(pool.row(NAP) for _ in range(SIZE)))
        assert pool.idle == SIZE
        async with asyncio.timeout(5):
            while pool.idle:  # noqa: ASYNC110 - only time brings it about
                await asyncio.sleep(0.01)
        assert (await pool.one(ONE))["one"] == 1


async def test_a_pool_that_was_left_lends_nothing(database_url: str) -> None:
    async with Pool(database_url, size=1) as pool:
        line = await pool.acquire()
    assert line.is_closed()
    pool.release(line)
    with pytest.raises(RuntimeError):
        await pool.acquire()


async def test_a_database_that_cannot_be_reached_leaves_its_place_to_the_next_one() -> None:
    async with Pool("postgresql+asyncpg://nobody@127.0.0.1:1/nothing", size=1) as pool:
        for _ in range(3):
            with pytest.raises(Unavailable):
                await pool.row(ONE)
        assert pool.used == 0


@pytest.mark.parametrize(("seconds", "stay"), [(2.5, SIZE - 1), (0.05, 0)], ids=["slow", "silent"])
async def test_a_statement_that_runs_out_of_time_before_the_server_gives_up_says_nothing_of_the_others(
    database_url: str, seconds: float, stay: int
) -> None:
    """Where the server should have given up and says nothing, it is silent, and no connection to it is to be trusted."""
    async with Pool(database_url, size=SIZE, seconds=2.5) as pool:
        held = [await pool.acquire() for _ in range(SIZE)]
        pool._seconds = seconds  # of the server, which goes on for 2.5 s all the same
        before = {line.get_server_pid() for line in held}
        for line in held:
            pool.release(line)
        with pytest.raises(Unavailable):
            await pool.row(Statement(text("SELECT pg_sleep(2)")), asyncio.get_running_loop().time() + 0.2)
        held = [await pool.acquire() for _ in range(SIZE)]
        assert len(before & {line.get_server_pid() for line in held}) == stay
        for line in held:
            pool.release(line)


async def test_what_was_asked_for_somebody_who_left_does_not_go_on(small: Pool) -> None:
    async with Transaction(small) as work:
        await work.be_patient()
        asked = asyncio.create_task(work.row(Statement(text("SELECT pg_sleep(50)"))))
        await until(small, 1)
        asked.cancel()
        await until(small, 0)


async def until(pool: Pool, sleeping: int) -> None:
    """Wait until so many statements sleep in the server."""
    asleep = Statement(text("SELECT count(*) AS n FROM pg_stat_activity WHERE wait_event = 'PgSleep'"))
    async with asyncio.timeout(10):
        while (await pool.one(asleep))["n"] != sleeping:  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.02)
