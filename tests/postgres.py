"""A PostgreSQL to test against: `TEST_DATABASE_URL`, else a container where Docker answers, else the embedded one.

Every worker of pytest-xdist takes a server or at least a database of its own.
"""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg
from docker.errors import DockerException
from sqlalchemy import make_url
from testcontainers.community.postgres import PostgresContainer
from testcontainers.core.docker_client import DockerClient

from adapters.postgres.database import Pool
from adapters.postgres.embedded import EmbeddedPostgres
from adapters.postgres.line import Line

IMAGE = "postgres:18"


@contextmanager
def postgres_server() -> Iterator[str]:
    """The address of a server where databases may be made, while this lasts."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield given
    elif docker_answers():
        yield from _container()
    else:
        with embedded_folder() as folder:
            server = EmbeddedPostgres(folder / "postgres", password="for-tests")
            server.start()
            try:
                yield server.url
            finally:
                server.stop()


def docker_answers() -> bool:
    try:
        DockerClient().client.ping()
    except DockerException:
        return False
    return True


@contextmanager
def embedded_folder() -> Iterator[Path]:
    """A temporary folder that the database's own user may enter, as the parents of pytest's `tmp_path` do not allow."""
    folder = Path(tempfile.mkdtemp(prefix="complex-stories-test-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _container() -> Iterator[str]:
    os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
    with PostgresContainer(IMAGE, driver="asyncpg") as container:
        yield container.get_connection_url()


async def make_quick(url: str) -> None:
    """Let a server of our own leave out what only a power cut would show."""
    async with connected(url) as connection:
        await connection.execute("ALTER SYSTEM SET fsync = off")
        await connection.execute("SELECT pg_reload_conf()")


async def make_database(url: str) -> str:
    """The address of a new, empty database on the server of `url`."""
    name = f"test_{uuid4().hex}"
    async with connected(url) as connection:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    return make_url(url).set(database=name).render_as_string(hide_password=False)


async def drop_database(url: str, *, server: str) -> None:
    async with connected(server) as connection:
        await connection.execute(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")


@asynccontextmanager
async def lent(pool: Pool) -> AsyncIterator[Line]:
    """A connection of a pool, for what the pool itself does not offer."""
    line = await pool.acquire()
    try:
        yield line
    finally:
        pool.release(line)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A plain connection, outside of any pool."""
    connection = await asyncpg.connect(make_url(url).set(drivername="postgresql").render_as_string(hide_password=False))
    try:
        yield connection
    finally:
        await connection.close()
