"""Public reads on a real streaming replica: used while it is fresh, and never when it is not."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import func, select

from adapters.postgres.database import Pool, Statement
from adapters.postgres.replica import Replica, ReplicaFirst
from tests.replication import Server, replicated

WHERE = Statement(select(func.pg_is_in_recovery().label("on_replica")))
LAG = 2.0

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
    answer: bool = (await reads.one(WHERE))["on_replica"]
    assert (await reads.rows(WHERE))[0]["on_replica"] is answer
    return answer


async def fresh(replica: Replica, *, tries: int = 100) -> None:
    """Wait until it has replayed what there is, looking as the service does."""
    import asyncio

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
