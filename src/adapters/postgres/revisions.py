"""Which revisions of the schema there are, and which one a database has: without the weight of what migrates."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import asyncpg

from adapters.postgres.hosts import addresses, connect_to_primary
from adapters.postgres.integrity import domain_errors
from adapters.postgres.server_log import loud_settings

MIGRATIONS = Path(__file__).parent / "migrations"
MINIMUM_SERVER = 15
CONNECT_SECONDS = 5


class SchemaError(Exception):
    """The database cannot be brought to the schema of this program: one sentence says why."""


@cache
def known_revisions() -> tuple[str, ...]:
    """The revisions that this program can start from, oldest first: each file of a migration begins with its own."""
    return tuple(sorted(file.name.partition("_")[0] for file in (MIGRATIONS / "versions").glob("[0-9]*.py")))


def head() -> str:
    """The revision that this program was written for."""
    return known_revisions()[-1]


async def pending(url: str) -> list[str]:
    """The revisions that the database lacks, oldest first. Raises `SchemaError` when it is newer than this program."""
    _, present = await _seen(url)
    expect_known(present)
    known = known_revisions()
    return list(known[max((known.index(each) for each in present), default=-1) + 1 :])


async def expect_current(url: str, *, or_none: bool = False) -> None:
    """Raises `SchemaError` unless the database has the schema of this program, `or_none` at all."""
    missing = await pending(url)
    if missing and not (or_none and len(missing) == len(known_revisions())):
        raise SchemaError("The database has an older schema than this program needs: run complex-stories migrate.")


async def is_current(url: str) -> bool:
    """Whether the database has the schema of this program, on a server that is new enough."""
    server, present = await _seen(url)
    return server >= MINIMUM_SERVER and present == [head()]


def expect_known(present: list[str]) -> None:
    """Raises `SchemaError` for what this program does not know."""
    if not set(present) <= set(known_revisions()):
        raise SchemaError("The database has a newer schema than this program knows: install the newer program.")


async def loud(url: str) -> list[str]:
    """The `loud_settings` of a connection of the service to its database."""
    async with _connected(url) as connection:
        return await loud_settings(connection)


async def _seen(url: str) -> tuple[int, list[str]]:
    """The version of the server, and the revisions of the database."""
    async with _connected(url) as connection:
        try:
            found = await connection.fetch("SELECT version_num FROM alembic_version")
        except asyncpg.UndefinedTableError:
            found = []
        except asyncpg.SyntaxOrAccessError as error:
            raise SchemaError(f"The database does not tell its schema: {error}") from error
        return connection.get_server_version().major, [row["version_num"] for row in found]


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Any]:
    dsns = addresses(url)
    with domain_errors():
        connection = await (connect_to_primary(*dsns) if len(dsns) > 1 else asyncpg.connect(dsns[0], timeout=CONNECT_SECONDS))
        try:
            yield connection
        finally:
            await connection.close()
