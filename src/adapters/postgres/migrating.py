"""Running migrations by Alembic. Imported only where there are some to run."""

from collections.abc import Callable
from functools import partial
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from adapters.postgres.hosts import addresses, connect_to_primary
from adapters.postgres.integrity import domain_errors
from adapters.postgres.revisions import CONNECT_SECONDS, MIGRATIONS, MINIMUM_SERVER, SchemaError, expect_known

_LOCK = 0x436F6D70  # any constant: two starters migrate one after the other


async def upgrade(url: str, to: str) -> None:
    """Up to the revision `to`, in one transaction. Raises `SchemaError`."""
    await _on(url, lambda connection: _upgrade(connection, to))


async def downgrade(url: str, to: str) -> None:
    """Down to the revision `to`, in one transaction. Raises `SchemaError`."""
    await _on(url, lambda connection: command.downgrade(_config(connection), to))


def _upgrade(connection: Connection, to: str) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    version = int(connection.execute(text("SHOW server_version_num")).scalar_one()) // 10000
    if version < MINIMUM_SERVER:
        raise SchemaError(f"PostgreSQL {MINIMUM_SERVER} or newer is needed; this server is {version}.")
    expect_known(list(MigrationContext.configure(connection).get_current_heads()))
    command.upgrade(_config(connection), to)


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


async def _on(url: str, work: Callable[[Connection], None]) -> None:
    hosts = addresses(url)
    finder: dict[str, Any] = {"async_creator": partial(connect_to_primary, *hosts)} if len(hosts) > 1 else {}
    engine = create_async_engine(url, poolclass=NullPool, connect_args={"timeout": CONNECT_SECONDS}, **finder)
    try:
        with domain_errors():
            async with engine.begin() as connection:
                await connection.run_sync(work)
    except DBAPIError as error:
        raise SchemaError(f"The database refused a migration: {str(error.orig).splitlines()[0]}") from error
    finally:
        await engine.dispose()
