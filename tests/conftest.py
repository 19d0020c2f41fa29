"""What tests share: the settings of hypothesis, and PostgreSQL for those that ask for it."""

import os
from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import HealthCheck, settings

from adapters.postgres.database import Pool
from adapters.postgres.schema import migrate
from adapters.postgres.tables import metadata
from tests.postgres import drop_database, lent, make_database, make_quick, postgres_server

CONNECTIONS = 40
KEPT = ("users", "audit_entries", "audit_links")  # by triggers
EMPTY = ";".join(
    [
        *(f"ALTER TABLE {table} DISABLE TRIGGER USER" for table in KEPT),
        f"TRUNCATE {', '.join(metadata.tables)} RESTART IDENTITY CASCADE",
        *(f"ALTER TABLE {table} ENABLE TRIGGER USER" for table in KEPT),
    ]
)

settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.differing_executors, HealthCheck.too_slow])
settings.load_profile("project")


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of a PostgreSQL server, of this worker alone unless `TEST_DATABASE_URL` names it."""
    with postgres_server() as url:
        yield url


@pytest.fixture(scope="session")
async def database_url(server: str) -> AsyncIterator[str]:
    """A database of this worker with the schema in it."""
    if "TEST_DATABASE_URL" not in os.environ:
        await make_quick(server)
    url = await make_database(server)
    await migrate(url)
    yield url
    await drop_database(url, server=server)


@pytest.fixture(scope="session")
async def open_pool(database_url: str) -> AsyncIterator[Pool]:
    async with Pool(database_url, size=CONNECTIONS) as pool:
        yield pool


@pytest.fixture
async def pool(open_pool: Pool) -> Pool:
    """Connections to a database with nothing in it."""
    async with lent(open_pool) as connection:
        await connection.execute(EMPTY)
    return open_pool


@pytest.fixture
async def empty_database(server: str) -> AsyncIterator[str]:
    """The address of a database without a schema."""
    url = await make_database(server)
    yield url
    await drop_database(url, server=server)
