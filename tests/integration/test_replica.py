"""Public reads on a real streaming replica: used while it is fresh, and never when it is not."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from time import monotonic

import asyncpg
import pytest
from sqlalchemy import func, select

from adapters.postgres.database import Pool, Statement
from adapters.postgres.hosts import addresses
from adapters.postgres.replica import Replica, ReplicaFirst
from adapters.postgres.schema import migrate
from adapters.postgres.together import Together
from domain.errors import Unavailable
from tests.drills.proxy import proxied, through, upstream_of
from tests.replication import Server, replicated

WHERE = Statement(select(func.pg_is_in_recovery().label("on_replica")))
LAG = 2.0
WITHIN = 3.0  # seconds within which a request is to be answered

pytestmark = pytest.mark.xdist_group("replica")


@pytest.fixture
def servers() -> Iterator[tuple[Server, Server]]:
    with replicated() as both:
        yield both


@asynccontextmanager
async def reading(primary: str, replica: str, *, may_lag: bool = True) -> AsyncIterator[tuple[Replica, ReplicaFirst]]:
    async with Pool(primary, size=4) as pool, Replica(replica, primary=pool, size=4, lag=LAG) as watched:
        yield watched, ReplicaFirst(pool, watched, may_lag=lambda: may_lag)


async def on_replica(reads: ReplicaFirst) -> bool:
    answers = {(await reads.one(WHERE))["on_replica"], (await reads.rows(WHERE))[0]["on_replica"]}
    assert len(answers) == 1
    return True in answers


async def fresh(replica: Replica, *, tries: int = 100) -> None:
    """Wait until it has replayed what there is, looking as the service does."""
    for _ in range(tries):
        await replica.look()
        if replica.is_fresh:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the replica never became fresh")


async def test_who_may_lag_reads_a_fresh_replica_and_everybody_else_the_primary(servers: tuple[Server, Server]) -> None:
    primary, replica = servers
    async with reading(primary.url, replica.url) as (watched, reads):
        await fresh(watched)
        assert await on_replica(reads)
    async with reading(primary.url, replica.url, may_lag=False) as (watched, reads):
        await fresh(watched)
        assert not await on_replica(reads)


async def test_a_replica_that_lags_is_not_used_until_it_has_caught_up(servers: tuple[Server, Server]) -> None:
    primary, replica = servers
    async with reading(primary.url, replica.url) as (watched, reads):
        await fresh(watched)
        replica.ask("SELECT pg_wal_replay_pause()")
        primary.ask("CREATE TABLE written (n int)")
        for _ in range(400):
            if not watched.is_fresh:
                break
            await reads.one(WHERE)
            await watched.look()
            await asyncio.sleep(0.05)
        assert not await on_replica(reads)
        replica.ask("SELECT pg_wal_replay_resume()")
        await fresh(watched)
        assert replica.ask("SELECT count(*) FROM written") == "0"
        assert await on_replica(reads)


async def test_a_replica_that_dies_fails_nobody_and_is_found_again(servers: tuple[Server, Server]) -> None:
    primary, replica = servers
    async with reading(primary.url, replica.url) as (watched, reads):
        await fresh(watched)
        replica.kill()
        assert not await on_replica(reads)
        assert not watched.is_fresh
        await watched.look()
        assert not watched.is_fresh
        replica.start()
        await fresh(watched)
        assert await on_replica(reads)


async def test_a_replica_that_is_silent_fails_nobody(servers: tuple[Server, Server]) -> None:
    primary, replica = servers
    async with (
        proxied(upstream_of(replica.url)) as proxy,
        reading(primary.url, through(replica.url, proxy.port)) as (watched, reads),
    ):
        await fresh(watched)
        assert await on_replica(reads)
        proxy.hold()
        asked_at = monotonic()
        assert (await reads.one(WHERE))["on_replica"] is False
        assert monotonic() - asked_at < 2.0
        assert not watched.is_fresh


@pytest.mark.parametrize("fetch", ["row", "rows"])
async def test_where_replica_and_primary_are_silent_everybody_is_told_in_time(servers: tuple[Server, Server], fetch: str) -> None:
    primary, replica = servers
    async with (
        proxied(upstream_of(primary.url)) as before_primary,
        proxied(upstream_of(replica.url)) as before_replica,
        reading(through(primary.url, before_primary.port), through(replica.url, before_replica.port)) as (watched, reads),
    ):
        await fresh(watched)
        assert await on_replica(reads)
        before_primary.hold()
        before_replica.hold()
        together = Together(reads)
        told = await asyncio.gather(*(told_after(together, fetch) for _ in range(3)))
        assert max(told) < WITHIN


async def told_after(reads: Together, fetch: str) -> float:
    """After how many seconds somebody who reads was told that it cannot be done."""
    asked_at = monotonic()
    with pytest.raises(Unavailable):
        await getattr(reads, fetch)(WHERE)
    return monotonic() - asked_at


async def test_a_replica_that_is_away_at_the_start_holds_nothing_up(servers: tuple[Server, Server]) -> None:
    primary, replica = servers
    replica.kill()
    async with reading(primary.url, replica.url) as (watched, reads):
        assert not await on_replica(reads)
        replica.start()
        await fresh(watched)
        assert await on_replica(reads)


async def test_a_server_that_follows_nobody_is_no_replica(servers: tuple[Server, Server]) -> None:
    primary, replica = servers
    async with reading(primary.url, replica.url) as (watched, reads):
        await fresh(watched)
        replica.promote()
        await watched.look()
        assert not watched.is_fresh
        assert not await on_replica(reads)


async def test_of_several_hosts_the_primary_is_found_whatever_the_others_do(servers: tuple[Server, Server]) -> None:
    primary, replica = servers
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent_place = f"127.0.0.1:{silent.getsockname()[1]}"
        several = f"postgresql+asyncpg://{primary.user_info}@/postgres?host={silent_place}&host={replica.place}&host={primary.place}"
        assert len(addresses(several)) == 3
        await migrate(several)
        async with Pool(several, size=4) as pool:
            assert (await pool.one(WHERE))["on_replica"] is False
            primary.kill()
            replica.promote()
            assert (await until_answered(pool))["on_replica"] is False
            assert replica.ask("SELECT count(*) > 0 FROM alembic_version") == "t"


async def until_answered(pool: Pool) -> asyncpg.Record:
    for _ in range(100):
        try:
            return await pool.one(WHERE)
        except Unavailable:
            await asyncio.sleep(0.05)
    raise AssertionError("the new primary was never found")
