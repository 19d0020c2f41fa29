"""Everything that a measurement needs: a database of its own with data in it, the service as it ships, the bare program."""

import asyncio
import os
import secrets
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from sqlalchemy import make_url

from benchmarks.bare import PORT_VARIABLE, SLUG_VARIABLE
from benchmarks.load import LOOPBACK
from benchmarks.workloads import Target
from entrypoints.container import EmbeddedPostgres
from entrypoints.runtime import DEMO, Deployment, prepare
from entrypoints.settings import PREFIX, Settings, load

START_SECONDS = 60.0
STOP_SECONDS = 30.0
# Every request is counted, as in production, and no limit is reached.
ROOMY = "user=100000000/min,public-read=100000000/min,survey-write=100000000/min,survey-write-network=100000000/min"

_SEED = """
WITH made AS (
    INSERT INTO resources (project_id, name, name_key, search_text, description, status, attributes, created_by, created_at, version)
    SELECT projects.id, 'Data set ' || n, 'data set ' || n, 'data set ' || n || E'\\nmeasured by hand',
        'Measured by hand in place ' || n || ', checked twice, and described in the notes of the team.',
        (ARRAY['active', 'inactive', 'pending'])[n % 3 + 1], jsonb_build_object('format', 'csv', 'rows', n), users.id, now(), 1
    FROM projects, users, generate_series(1, $2::integer) AS n
    WHERE projects.slug = $1 AND users.username = 'admin'
    RETURNING id
)
SELECT min(id), max(id) FROM made
"""


class StageError(Exception):
    """The measurement cannot be set up: one sentence says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running program that answers on a port of this machine."""

    name: str
    pid: int
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What is measured, and on what."""

    service: Server
    bare: Server
    target: Target
    postgres: str
    deployment: Deployment


@contextmanager
def stage(*, resources: int) -> Iterator[Stage]:
    """Set everything up, and take everything down afterwards. Raises `StageError`, `SettingsError`, and what the database raises."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="complex-stories-bench-")))
        folder.chmod(0o711)  # the database's own user passes through
        settings = load()
        server_url = settings.database_url or stack.enter_context(_embedded(folder / "postgres"))
        url = stack.enter_context(_database(server_url))
        deployment = Deployment(database_url=url, secret_keys=(secrets.token_hex(32),), pepper=secrets.token_hex(32))
        target, postgres = asyncio.run(_fill(deployment, settings, resources))
        environment = {
            f"{PREFIX}DATABASE_URL": url,
            f"{PREFIX}SECRET_KEY": deployment.secret_keys[0],
            f"{PREFIX}PEPPER": deployment.pepper,
            f"{PREFIX}RATE_LIMITS": ROOMY,
            f"{PREFIX}LOG_FORMAT": "json",
        }
        port = _free_port()
        program = [str(Path(sysconfig.get_path("scripts")) / "complex-stories"), "serve", "--port", str(port)]
        service = stack.enter_context(_running("service", program, environment, port=port, folder=folder))
        port = _free_port()
        environment |= {SLUG_VARIABLE: target.slug, PORT_VARIABLE: str(port)}
        program = [sys.executable, "-m", "benchmarks.bare"]
        bare = stack.enter_context(_running("bare", program, environment, port=port, folder=folder))
        yield Stage(service=service, bare=bare, target=target, postgres=postgres, deployment=deployment)


@contextmanager
def _embedded(folder: Path) -> Iterator[str]:
    server = EmbeddedPostgres(folder, password=secrets.token_hex(16))
    server.start()
    try:
        yield server.url
    finally:
        server.stop()


@contextmanager
def _database(server_url: str) -> Iterator[str]:
    """A database of our own on this server, gone afterwards: nothing that was there before is touched."""
    name = f"complex_stories_bench_{secrets.token_hex(6)}"
    asyncio.run(_execute(server_url, f"CREATE DATABASE {name}"))
    try:
        yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
    finally:
        asyncio.run(_execute(server_url, f"DROP DATABASE {name} WITH (FORCE)"))


async def _connect(url: str) -> "asyncpg.Connection[asyncpg.Record]":
    return await asyncpg.connect(url.replace("+asyncpg", "", 1))


async def _execute(url: str, sql: str) -> None:
    connection = await _connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


async def _fill(deployment: Deployment, settings: Settings, resources: int) -> tuple[Target, str]:
    """Migrate, load the demo with its survey, and add resources to it; also tells the version of the server."""
    await prepare(deployment, settings, demo=True)
    connection = await _connect(deployment.database_url)
    try:
        bounds = await connection.fetchrow(_SEED, DEMO, resources)
        await connection.execute("VACUUM ANALYZE")
        version = str(await connection.fetchval("SHOW server_version"))
    finally:
        await connection.close()
    assert bounds is not None
    return Target(slug=DEMO, first_id=bounds["min"], last_id=bounds["max"]), version


@contextmanager
def _running(name: str, program: Sequence[str], environment: Mapping[str, str], *, port: int, folder: Path) -> Iterator[Server]:
    """The program, answering; its output goes to a file."""
    log = folder / f"{name}.log"
    clean = {key: value for key, value in os.environ.items() if not key.startswith(PREFIX)}
    with log.open("wb") as output:
        process = subprocess.Popen(program, env={**clean, **environment}, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        _await_port(name, process, port, log)
        yield Server(name=name, pid=process.pid, port=port)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_port(name: str, process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            lines = log.read_text(errors="replace").strip().splitlines()
            raise StageError(f"The {name} ended with status {process.returncode}: {lines[-1] if lines else 'it said nothing'}")
        with socket.socket() as probe:
            if probe.connect_ex((LOOPBACK, port)) == 0:
                return
        time.sleep(0.05)
    raise StageError(f"The {name} did not listen within {START_SECONDS:.0f} s.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
