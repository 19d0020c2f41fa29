"""Whether the database can serve this program."""

import asyncpg
from sqlalchemy import text

from adapters.postgres.database import Pool, Statement
from adapters.postgres.revisions import SchemaError, head
from application.ports import Database
from domain.errors import Unavailable

REVISIONS = Statement(text("SELECT version_num FROM alembic_version"))


class PostgresDatabase(Database):
    """The database behind a pool, and the schema that this program was written for."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def check(self) -> None:
        try:
            rows = await self._pool.now(REVISIONS)
        except asyncpg.UndefinedTableError:
            rows = []
        if [row["version_num"] for row in rows] != [head()]:
            raise Unavailable from SchemaError("The database has another schema than this program.")
