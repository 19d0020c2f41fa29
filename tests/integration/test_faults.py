"""What requests are told when the database is gone, silent or cuts the line, and that nobody has to help afterwards."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from time import monotonic
from typing import Any

import pytest
from sqlalchemy import text

from adapters.postgres.database import Pool, Statement, Transaction
from adapters.postgres.project import PostgresProjects
from adapters.postgres.response import PostgresResponses
from adapters.postgres.survey import PostgresSurveys
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from adapters.security.respondents import HmacRespondents
from application.response import SaveAnswers, UpsertAnswer
from domain.errors import Unavailable
from domain.outcome import OutcomeUnknown
from domain.project import new_project
from domain.response import Outcome
from tests.contracts.stage import stage_in_postgres
from tests.drills.proxy import Proxy, proxied, through, upstream_of
from tests.examples import AGE, NOW
from tests.fakes.system import FakeClock

SIZE = 4
ENOUGH = 5.0  # seconds within which everything here is over, where it would hang otherwise


@pytest.fixture
async def proxy(database_url: str, pool: Pool) -> AsyncIterator[Proxy]:
    """A proxy before a database with nothing in it."""
    async with proxied(upstream_of(database_url)) as made:
        yield made


@pytest.fixture
async def far(database_url: str, proxy: Proxy) -> AsyncIterator[Pool]:
    """A pool whose connections all go through the proxy."""
    async with Pool(through(database_url, proxy.port), size=SIZE) as made:
        yield made


async def make_project(pool: Pool, slug: str) -> None:
    async with PostgresUnitOfWork(pool) as work:
        await work.projects.add(new_project(slug=slug, title="A story", at=NOW))
        await work.commit()


async def is_there(pool: Pool, slug: str) -> bool:
    return await PostgresProjects(pool).was_used(slug)


def upserting(pool: Pool) -> UpsertAnswer:
    save = SaveAnswers(
        surveys=PostgresSurveys(pool), responses=PostgresResponses(pool), respondents=HmacRespondents(b"p" * 32), clock=FakeClock()
    )
    return UpsertAnswer(save=save)


async def upsert(pool: Pool, value: int, seq: int) -> Outcome:
    given: dict[str, Any] = {"fingerprint": "fingerprint-of-one", "token": "o" * 43}
    return (await upserting(pool)(project="story", field=AGE["field"], value=value, seq=seq, **given)).outcome


async def within(act: Callable[[], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(ENOUGH):
        return await act()


async def fill(pool: Pool) -> None:
    """Open every connection that there may be."""
    await asyncio.gather(*(pool.row(Statement(text("SELECT pg_sleep(0.05)"))) for _ in range(SIZE)))


async def test_a_commit_whose_answer_is_lost_is_of_unknown_outcome_and_done(far: Pool, pool: Pool, proxy: Proxy) -> None:
    proxy.commits_to_lose = 1
    with pytest.raises(OutcomeUnknown):
        await make_project(far, "story")
    assert await is_there(pool, "story")
    assert proxy.lost == 1


async def test_a_commit_that_is_cut_off_is_of_unknown_outcome_and_not_done(far: Pool, pool: Pool, proxy: Proxy) -> None:
    proxy.commits_to_stop = 1
    with pytest.raises(OutcomeUnknown):
        await make_project(far, "story")
    assert not await is_there(pool, "story")
    await make_project(far, "story")


async def test_a_save_whose_answer_is_lost_is_of_unknown_outcome_and_the_retry_harmless(far: Pool, pool: Pool, proxy: Proxy) -> None:
    await stage_in_postgres(pool).survey()
    assert await upsert(far, 40, 1) is Outcome.CREATED
    proxy.commits_to_lose = 1
    with pytest.raises(OutcomeUnknown):
        await upsert(far, 41, 2)
    assert await upsert(far, 41, 2) is Outcome.STALE
    assert proxy.lost == 1


async def test_a_read_that_is_cut_off_is_asked_again(far: Pool, pool: Pool, proxy: Proxy) -> None:
    await make_project(pool, "story")
    await fill(far)
    proxy.hold()
    asked = asyncio.create_task(is_there(far, "story"))
    await asyncio.sleep(0)
    proxy.cut()
    await proxy.mend()
    assert await within(lambda: asked)


async def test_a_line_that_is_lost_before_the_commit_is_no_riddle(far: Pool, pool: Pool, proxy: Proxy) -> None:
    async with PostgresUnitOfWork(far) as work:
        await work.projects.add(new_project(slug="story", title="A story", at=NOW))
        proxy.cut()
        with pytest.raises(Unavailable):
            await within(partial(work.projects.lock, "story"))
        with pytest.raises(Unavailable) as raised:
            await work.commit()
    assert not isinstance(raised.value, OutcomeUnknown)
    assert not await is_there(pool, "story")


@pytest.mark.parametrize("act", [is_there, make_project])
async def test_a_database_that_is_gone_is_unavailable_and_found_again(
    far: Pool, proxy: Proxy, act: Callable[[Pool, str], Awaitable[Any]]
) -> None:
    await fill(far)
    await proxy.refuse()
    for _ in range(3):
        with pytest.raises(Unavailable):
            await within(partial(act, far, "story"))
    await proxy.mend()
    await within(partial(act, far, "story"))


@pytest.mark.parametrize("act", [is_there, make_project])
async def test_a_silent_database_is_unavailable_for_all_who_ask_and_found_again(
    far: Pool, proxy: Proxy, act: Callable[[Pool, str], Awaitable[Any]]
) -> None:
    await fill(far)
    proxy.hold()
    answers = await within(lambda: asyncio.gather(*(act(far, f"story-{n}") for n in range(3 * SIZE)), return_exceptions=True))
    assert {type(answer) for answer in answers} <= {Unavailable, OutcomeUnknown}
    assert len(asyncio.all_tasks()) - proxy.connections * 3 < 10
    await proxy.mend()
    await within(partial(act, far, "another-story"))
    assert far.idle + far.used <= SIZE


async def test_a_commit_that_meets_silence_is_of_unknown_outcome(far: Pool, proxy: Proxy) -> None:
    async with PostgresUnitOfWork(far) as work:
        await work.projects.add(new_project(slug="story", title="A story", at=NOW))
        proxy.hold()
        with pytest.raises(OutcomeUnknown):
            await within(work.commit)


async def test_a_transaction_that_waits_for_its_connection_and_then_meets_silence_is_told_in_time(
    database_url: str, pool: Pool, proxy: Proxy
) -> None:
    async with Pool(through(database_url, proxy.port), size=1) as small:
        held = await small.acquire()
        proxy.hold()
        asyncio.get_running_loop().call_later(1.0, small.release, held)
        asked_at = monotonic()
        with pytest.raises(Unavailable):
            async with Transaction(small):
                pass
        assert 1.0 < monotonic() - asked_at < 3.0


async def test_of_connections_that_nobody_answers_any_more_one_is_tried_and_all_are_ended(far: Pool, proxy: Proxy) -> None:
    await fill(far)
    proxy.forget()
    with pytest.raises(Unavailable):
        await within(partial(is_there, far, "story"))
    for _ in range(2 * SIZE):
        assert await within(partial(is_there, far, "story")) is False


async def test_who_waits_for_a_connection_in_vain_is_told_so(pool: Pool, database_url: str) -> None:
    async with Pool(database_url, size=1) as small:
        held = await small.acquire()
        with pytest.raises(Unavailable):
            await within(partial(is_there, small, "story"))
        small.release(held)
        assert await is_there(small, "story") is False


async def test_a_statement_that_takes_too_long_is_given_up_by_the_server_and_nothing_is_stored(pool: Pool) -> None:
    slow = Statement(text("INSERT INTO projects (slug, title) SELECT 'story', 'x' FROM pg_sleep(60)"))
    slow.changes = True
    with pytest.raises(Unavailable) as raised:
        await within(partial(pool.row, slow))
    assert not isinstance(raised.value, OutcomeUnknown)


async def test_a_statement_that_meets_a_deadlock_is_run_again(pool: Pool) -> None:
    for slug in ("one", "two"):
        await make_project(pool, slug)
    take = "UPDATE projects SET title = :title WHERE slug = '{}'"
    crossing = Statement(
        text(f"WITH first AS ({take.format('two')} RETURNING id) {take.format('one')} AND EXISTS (SELECT FROM first) RETURNING title")
    )
    async with PostgresUnitOfWork(pool) as work:
        one = await work.projects.lock("one")
        crossed = asyncio.create_task(pool.row(crossing, title="crossed"))
        await _until_it_waits(pool)
        await work.projects.lock("two")
        await work.projects.save(one)
        await work.commit()
    row = await within(lambda: crossed)
    assert row is not None
    assert row["title"] == "crossed"


async def _until_it_waits(pool: Pool) -> None:
    waiting = Statement(text("SELECT count(*) FROM pg_locks WHERE NOT granted"))
    async with asyncio.timeout(ENOUGH):
        while True:
            if (await pool.one(waiting))[0]:
                return
            await asyncio.sleep(0.01)


async def test_a_statement_that_never_gets_through_is_tried_three_times(pool: Pool, database_url: str) -> None:
    cross = "PERFORM nextval('pg_temp.tries'); RAISE EXCEPTION 'crossed' USING ERRCODE = '40001'"
    async with Pool(database_url, size=1) as alone:
        connection = await alone.acquire()
        await connection.execute("CREATE TEMPORARY SEQUENCE tries")
        await connection.execute(f"CREATE FUNCTION pg_temp.cross() RETURNS int LANGUAGE plpgsql AS $$ BEGIN {cross}; END $$")
        alone.release(connection)
        with pytest.raises(Unavailable):
            await alone.row(Statement(text("SELECT pg_temp.cross()")))
        assert (await alone.one(Statement(text("SELECT last_value FROM pg_temp.tries"))))[0] == 3
