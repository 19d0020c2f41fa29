"""Whether the database can serve this program."""

from functools import cached_property

import asyncpg

from adapters.postgres.database import ACQUIRE_SECONDS, Pool
from adapters.postgres.schema import SchemaError, head
from application.ports import Database
from domain.errors import Unavailable


class PostgresDatabase(Database):
    """The database behind a pool, and the schema that this program was written for."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def check(self) -> None:
        with self._pool.domain_errors():
            async with self._pool.connections.acquire(timeout=ACQUIRE_SECONDS) as connection:
                try:
                    rows = await connection.fetch("SELECT version_num FROM alembic_version", timeout=ACQUIRE_SECONDS)
                except asyncpg.UndefinedTableError:
                    rows = []
        if [row["version_num"] for row in rows] != [self._head]:
            raise Unavailable from SchemaError("The database has another schema than this program.")

    @cached_property
    def _head(self) -> str | None:
        return head()
