"""What people typed is nowhere in the log of PostgreSQL, however a statement that holds it fails."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Any

import asyncpg
import pytest
from sqlalchemy import make_url, text

from adapters.postgres.database import Pool, Statement, Transaction
from adapters.postgres.embedded import EmbeddedPostgres
from adapters.postgres.revisions import loud
from adapters.postgres.server_log import QUIET
from tests.postgres import connected, embedded_folder, lent

TABLE = "CREATE TABLE typed (id integer PRIMARY KEY, words text UNIQUE CHECK (words !~ 'forbidden'), n smallint, more jsonb)"


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with embedded_folder() as made:
        yield made / "postgres"


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[str]:
    """A server of its own, whose log nobody else writes to."""
    postgres = EmbeddedPostgres(folder, password="for-tests")
    postgres.start()
    try:
        asyncio.run(_execute(postgres.url, TABLE))
        yield postgres.url
    finally:
        postgres.stop()


@pytest.fixture
async def pool(server: str) -> AsyncIterator[Pool]:
    async with Pool(server, size=3) as pool:
        yield pool


async def _execute(url: str, *statements: str) -> None:
    async with connected(url) as connection:
        for statement in statements:
            await connection.execute(statement)


async def log_once(folder: Path, *any_of: str) -> str:
    """The whole log once one of these stands in it: the server hands its lines to a process that writes them."""
    async with asyncio.timeout(20):
        while True:
            log = "".join(file.read_text(errors="replace") for file in (folder / "log").glob("*"))
            if any(each in log for each in any_of):
                return log
            await asyncio.sleep(0.01)


async def duplicate(line: Any, marker: str) -> None:
    for _ in range(2):
        await line.execute("INSERT INTO typed (id, words) VALUES ((random() * 1e9)::integer, $1)", marker)


async def broken_rule(line: Any, marker: str) -> None:
    await line.execute("INSERT INTO typed (id, words) VALUES (1, $1)", f"forbidden {marker}")


async def missing_value(line: Any, marker: str) -> None:
    await line.execute("INSERT INTO typed (id, words) VALUES (NULL, $1)", marker)


async def bad_json(line: Any, marker: str) -> None:
    await line.execute("INSERT INTO typed (id, more) VALUES (1, ($1::text)::jsonb)", f'{{"a": {marker}')


async def too_long_for_an_index(line: Any, marker: str) -> None:
    await line.execute("INSERT INTO typed (id, words) VALUES (1, $1)", marker + token_hex(50_000))


async def slow(line: Any, marker: str) -> None:
    await line.execute("SET statement_timeout = 50")
    await line.execute("SELECT pg_sleep(60), $1::text", marker)


async def cancelled(line: Any, marker: str) -> None:
    with suppress(TimeoutError):
        await line.execute("SELECT pg_sleep(60), $1::text", marker, timeout=0.1)
    raise asyncpg.QueryCanceledError


async def copy_of_a_bad_line(line: Any, marker: str) -> None:
    await line.copy_to_table("typed", source=_lines(f"1\tx\n2\tx\t{marker}\n"), columns=("id", "words"))


async def export_that_fails(line: Any, marker: str) -> None:
    """What a COPY is given stands in its statement: it takes no parameters."""
    await line.copy_from_query("SELECT 1 / (length($1) - length($1))", marker, output=_nowhere)


async def _lines(lines: str) -> AsyncIterator[bytes]:
    yield lines.encode()


async def _nowhere(data: bytes) -> None:
    """Takes it."""


KINDS = [
    duplicate,
    broken_rule,
    missing_value,
    bad_json,
    too_long_for_an_index,
    slow,
    cancelled,
    copy_of_a_bad_line,
    export_that_fails,
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
async def test_a_statement_that_fails_is_logged_without_what_it_was_given(pool: Pool, folder: Path, kind: Any) -> None:
    marker = f"marker{token_hex(8)}"
    async with lent(pool) as line:
        with pytest.raises((asyncpg.PostgresError, ValueError)):
            await kind(line, marker)
        log = await log_once(folder, f"[{line.get_server_pid()}] ERROR")  # that it failed is told
        line.terminate()  # the next one has another number
    assert marker not in log


async def test_what_waits_for_one_another_is_not_shown(pool: Pool, server: str, folder: Path) -> None:
    marker = f"marker{token_hex(8)}"
    await _execute(server, "INSERT INTO typed (id) VALUES (101), (102)")
    update = Statement(text("UPDATE typed SET words = :words WHERE id = :id"))

    async def both(first: int, second: int) -> None:
        async with Transaction(pool) as transaction:
            await transaction.row(update, id=first, words=f"{marker}{first}")
            await met.wait()
            await transaction.row(update, id=second, words=f"{marker}{first}-")

    met = asyncio.Barrier(2)
    await asyncio.gather(both(101, 102), both(102, 101), return_exceptions=True)
    assert marker not in await log_once(folder, "deadlock detected")


async def test_elsewhere_a_connection_switches_off_what_its_role_may_and_the_rest_is_told(server: str) -> None:
    """As on a server that was not set up for this, of which the role is no superuser."""
    role, database = f"plain_{token_hex(4)}", make_url(server).database
    granted = [f"GRANT SET ON PARAMETER {name} TO {role}" for name in QUIET if name.startswith("log_p")]
    loud_ones = [
        f"ALTER DATABASE {database} SET {name} = '{value}'"
        for name, value in {"log_error_verbosity": "default", "log_min_error_statement": "error", "log_parameter_max_length": "-1"}.items()
    ]
    plain = make_url(server).set(username=role, password="for-tests").render_as_string(hide_password=False)
    await _execute(server, f"CREATE ROLE {role} LOGIN PASSWORD 'for-tests'", *granted, *loud_ones)
    try:
        assert await loud(plain) == ["log_error_verbosity", "log_min_error_statement"]
        assert await loud(server) == []
        await _execute(server, *(f"ALTER ROLE {role} SET {name} = '{value}'" for name, value in QUIET.items() if "." not in name))
        assert await loud(plain) == []
    finally:
        await _execute(server, f"ALTER DATABASE {database} RESET ALL", f"DROP OWNED BY {role}", f"DROP ROLE {role}")
