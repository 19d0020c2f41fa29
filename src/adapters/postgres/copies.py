"""Copies of the whole database: dumped from one snapshot, and brought back into an empty one."""

from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from uuid import UUID

from sqlalchemy import make_url

from adapters.postgres.hosts import addresses, connect_to_primary
from adapters.postgres.integrity import domain_errors
from adapters.postgres.programs import CopyError, program, run
from adapters.postgres.results_ledger import spending_row
from adapters.postgres.revisions import SchemaError, known_revisions
from adapters.postgres.server_log import quieten
from application.ports import Content, DatabaseCopies, DatabaseMoment, Settled
from domain.erasure import Erasure
from domain.results import NotedSpending

_BATCH = 5_000
_REVISION = "TABLE DATA public alembic_version"
# What must not come back to life: tries and tokens to sign in with.
_EMPTIED = ("sign_in_failures", "setup_tokens")
# Results stand as they were published last. Steps count from now on, since this cluster counts other transactions.
_RESULTS = "UPDATE survey_results SET snapshot = pg_current_snapshot()::text WHERE snapshot IS NOT NULL"
_SPENDING = """
INSERT INTO results_spendings (project_id, number, responses, series, closing, spent_at)
SELECT id, $3, $4, $5, $6, $7 FROM projects WHERE id = $1 AND created_at = $2
ON CONFLICT DO NOTHING
"""
_RECOUNTED = ("answer_changes", "erasures")
_CONTENTS = """
SELECT 'files' AS kind, id, size, encode(sha256, 'hex') AS sha256 FROM files
UNION ALL SELECT 'exports', content, bytes, sha256 FROM exports WHERE status = 'done' AND content IS NOT NULL
ORDER BY kind, id
"""
_KNOWN = "SELECT id FROM files WHERE id = ANY($1) UNION ALL SELECT content FROM exports WHERE content = ANY($1)"
_OLD = 3  # the first transaction there can be: every snapshot has seen it


class PostgresCopies(DatabaseCopies):
    def __init__(self, url: str) -> None:
        self._url = url

    @asynccontextmanager
    async def moment(self) -> AsyncIterator[DatabaseMoment]:
        async with self._connected() as connection:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                yield _Moment(connection, self._url)

    async def gone(self, ids: Iterable[UUID]) -> set[UUID]:
        async with self._connected() as connection:
            asked = list(ids)
            rows = await connection.fetch(_KNOWN, asked)
        return set(asked) - {row["id"] for row in rows}

    async def load(self, dump: Path, *, schema: str) -> None:
        if schema not in known_revisions():
            raise SchemaError("The backup has a newer schema than this program knows: install the newer program.")
        async with self._connected() as connection:
            if await connection.fetchval("SELECT EXISTS (SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace)"):
                raise CopyError("The database is not empty: restore into a new one.")
            major = connection.get_server_version().major
        restore = program("pg_restore", fitting=major)
        contents = await run(restore, "--list", str(dump), url=self._url)
        # The schema's revision is stored last: until then no service takes this database for whole.
        wanted = "".join(f";{line}\n" if _REVISION in line else f"{line}\n" for line in contents.splitlines())
        with NamedTemporaryFile("w", prefix="complex-stories-") as listed:
            listed.write(wanted)
            listed.flush()
            options = ("--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction", f"--use-list={listed.name}")
            await run(restore, *options, f"--dbname={make_url(self._url).database}", str(dump), url=self._url)

    async def settle(
        self, *, schema: str, deleted: Collection[UUID], is_erased: Callable[[Erasure], bool], spendings: Iterable[NotedSpending]
    ) -> Settled:
        async with self._connected() as connection, connection.transaction():
            files = await _count(connection, "DELETE FROM files WHERE id = ANY($1)", list(deleted)) if deleted else 0
            await _if_present(connection, "exports", "DELETE FROM exports WHERE content = ANY($1)", list(deleted))
            for table in _EMPTIED:
                await _if_present(connection, table, f"DELETE FROM {table}")  # noqa: S608 - names of our own
            for table in _RECOUNTED:
                await _if_present(connection, table, f"UPDATE {table} SET xid = '{_OLD}'")  # noqa: S608 - names of our own
            await _if_present(connection, "survey_results", _RESULTS)
            for each in spendings:
                project_id, *rest = spending_row(each.spending, project_id=each.project_id, at=each.spent_at).values()
                await _if_present(connection, "results_spendings", _SPENDING, project_id, each.project_made_at, *rest)
            sessions = await _count(connection, "UPDATE sessions SET ended_at = greatest(now(), created_at) WHERE ended_at IS NULL")
            erased = [copy_id async for copy_id in _copies_of_erased(connection, is_erased)]
            responses = await _count(connection, "DELETE FROM responses WHERE id = ANY($1)", erased)
            await connection.execute("INSERT INTO alembic_version (version_num) VALUES ($1)", schema)
            return Settled(files_deleted=files, sessions_ended=sessions, responses_erased=responses)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Any]:
        """A connection without the deadlines of requests."""
        with domain_errors():
            connection = await connect_to_primary(
                *addresses(self._url), server_settings={"application_name": "complex-stories", "timezone": "UTC"}
            )
            try:
                await quieten(connection)
                yield connection
            finally:
                await connection.close()


class _Moment(DatabaseMoment):
    def __init__(self, connection: Any, url: str) -> None:
        self._connection = connection
        self._url = url

    async def schema(self) -> str:
        revision: str = await self._connection.fetchval("SELECT version_num FROM alembic_version")
        return revision

    async def contents(self) -> list[Content]:
        rows = await self._connection.fetch(_CONTENTS)
        return [Content(id=row["id"], name=f"{row['kind']}/{row['id']}", size=row["size"], sha256=row["sha256"]) for row in rows]

    async def dump(self, target: Path) -> None:
        snapshot = await self._connection.fetchval("SELECT pg_export_snapshot()")
        dump = program("pg_dump", fitting=self._connection.get_server_version().major)
        options = ("--format=custom", "--no-owner", "--no-privileges", "--no-comments", f"--snapshot={snapshot}")
        await run(dump, *options, f"--file={target}", url=self._url)


async def _copies_of_erased(connection: Any, is_erased: Callable[[Erasure], bool]) -> AsyncIterator[int]:
    cursor = connection.cursor("SELECT id, project_id, pseudonym, created_at, revision FROM responses", prefetch=_BATCH)
    async for row in cursor:
        values = dict(row)
        copy_id: int = values.pop("id")
        if is_erased(Erasure(**values)):
            yield copy_id


async def _if_present(connection: Any, table: str, statement: str, *given: object) -> None:
    """Run it where the schema, which may be an old one, has the table."""
    if await connection.fetchval("SELECT to_regclass($1)::text", f"public.{table}"):
        await connection.execute(statement, *given)


async def _count(connection: Any, statement: str, *given: object) -> int:
    """How many rows it changed."""
    done: str = await connection.execute(statement, *given)
    return int(done.rpartition(" ")[2])
