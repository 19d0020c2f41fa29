"""Bringing a database to the schema that this program needs."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from adapters.postgres.hosts import addresses, connect_to_primary
from adapters.postgres.integrity import domain_errors

MINIMUM_SERVER = 150000
_MIGRATIONS = Path(__file__).parent / "migrations"
CONNECT_SECONDS = 5
_LOCK = 0x436F6D70  # any constant: two starters migrate one after the other


class SchemaError(Exception):
    """The database cannot be brought to the schema of this program: one sentence says why."""


async def migrate(url: str, *, to: str = "head") -> None:
    """Run the migrations up to the revision `to` in one transaction; two at once do it once. Raises `SchemaError`."""
    await _on(url, lambda connection: _upgrade(connection, to))


async def pending(url: str) -> list[str]:
    """The revisions that the database lacks, oldest first. Raises `SchemaError` when it is newer than this program."""
    found: list[str] = []

    def compare(connection: Connection) -> None:
        present = set(_present(connection))
        script = ScriptDirectory.from_config(_config(connection))
        revisions = [revision.revision for revision in reversed(list(script.walk_revisions()))]
        newest = max((revisions.index(revision) for revision in present), default=-1)
        found.extend(revisions[newest + 1 :])

    await _on(url, compare)
    return found


def head() -> str | None:
    """The revision that this program was written for."""
    return ScriptDirectory(str(_MIGRATIONS)).get_current_head()


async def unmigrate(url: str, *, to: str = "base") -> None:
    """Run the migrations back down to the revision `to`."""

    def downgrade(connection: Connection) -> None:
        command.downgrade(_config(connection), to)

    await _on(url, downgrade)


def known_revisions() -> set[str]:
    """The revisions that this program can start from."""
    return {script.revision for script in ScriptDirectory(str(_MIGRATIONS)).walk_revisions()}


def _upgrade(connection: Connection, to: str) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    version = int(connection.execute(text("SHOW server_version_num")).scalar_one())
    if version < MINIMUM_SERVER:
        raise SchemaError(f"PostgreSQL 15 or newer is needed; this server is {version // 10000}.")
    _present(connection)
    command.upgrade(_config(connection), to)


def _present(connection: Connection) -> tuple[str, ...]:
    present = MigrationContext.configure(connection).get_current_heads()
    if not set(present) <= known_revisions():
        raise SchemaError("The database has a newer schema than this program knows: install the newer program.")
    return present


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
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
