"""Everything that a measurement needs: a database of its own with data in it, the service as it ships, its rivals."""

import asyncio
import os
import secrets
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import asyncpg
from sqlalchemy import make_url

from benchmarks import directus
from benchmarks.bare import PORT_VARIABLE, SLUG_VARIABLE
from benchmarks.load import LOOPBACK
from benchmarks.workloads import Project, Target
from entrypoints.container import EmbeddedPostgres
from entrypoints.runtime import DEMO, FIRST_ADMIN, Deployment, prepare
from entrypoints.settings import PREFIX, Settings, load

START_SECONDS = 60.0
STOP_SECONDS = 30.0
SEED_SECONDS = 600.0
# Every request is counted, as in production, and no limit is reached.
ROOMY = ",".join(f"{name}=100000000/min" for name in ("public-read", "survey-write", "survey-write-network", "search", "user", "export"))

PASSWORD = "a bench needs no comfort"
_TOKEN_MINUTES = "1440"

# Never a gap in the ids, and in each name a rare word, as `workloads.hidden_word` has it.
_SEED_RESOURCES = """
WITH made AS (
    INSERT INTO resources
    (project_id, name, name_key, search_text, description, status, attributes, created_by, owner_id, created_at, version)
    SELECT projects.id, name, lower(name), lower(name) || E'\\x1f' || lower(texts.description), texts.description,
        (ARRAY['active', 'inactive', 'pending'])[n % 3 + 1], jsonb_build_object('format', 'csv', 'rows', n), users.id, users.id, now(), 1
    FROM projects, users, generate_series(1, $2::integer) AS n,
        LATERAL (SELECT 'Data set ' || n || ' ' || left(md5(n::text), 8) AS name,
            'Measured by hand in place ' || n || ', checked twice, and described in the notes of the team.' AS description) AS texts
    WHERE projects.slug = $1 AND users.username = 'admin'
    RETURNING id
)
SELECT min(id), max(id) FROM made
"""
_SEED_RESPONSES = """
WITH made AS (
    INSERT INTO responses (project_id, pseudonym, token_hash, answers, seqs, versions, revision, survey_version, last_save, created_at,
        is_test, is_owned, changes)
    SELECT projects.id, sha256(('p' || n)::bytea), sha256(('t' || n)::bytea),
        jsonb_build_object('consent', 'accepted', 'govPreferences', n % 7 + 1, 'age', 18 + n % 70), '{}',
        '{"consent": 1, "govPreferences": 1, "age": 1}', 1, 1, gen_random_uuid(), now(), false, false, 3
    FROM projects, generate_series(1, $2::integer) AS n WHERE slug = $1
    RETURNING id, project_id, answers
)
INSERT INTO answer_changes (response_id, revision, field, value, survey_version, changed_at, project_id)
SELECT made.id, 1, field, value, 1, now(), project_id FROM made, jsonb_each(answers) AS each(field, value)
"""
LARGE = "large"
WORKERS = {"one-worker": 1, "two-workers": 2}  # programs: the service with so many workers, without limits, which several count in a Redis


class StageError(Exception):
    """The measurement cannot be set up: one sentence says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running program that answers on a port of this machine."""

    name: str
    pid: int
    port: int
    start_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What is measured, and on what."""

    servers: Mapping[str, Server]
    target: Target
    postgres: str
    deployment: Deployment


@contextmanager
def stage(*, resources: int, large: int, responses: int, programs: Collection[str]) -> Iterator[Stage]:
    """Set everything up, and take everything down afterwards. Raises `StageError`, `SettingsError`, and what the database raises."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the servers end with this
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="complex-stories-bench-")))
        folder.chmod(0o711)  # the database's own user passes through
        settings = load().model_copy(update={"admin_password": PASSWORD, "access_token_minutes": int(_TOKEN_MINUTES)})
        server_url = settings.database_url or stack.enter_context(embedded(folder / "postgres"))
        url = stack.enter_context(database(server_url))
        deployment = Deployment(database_url=url, secret_keys=(secrets.token_hex(32),), pepper=secrets.token_hex(32))
        target, postgres = asyncio.run(fill(deployment, settings, resources=resources, large=large, responses=responses))
        environment = {
            f"{PREFIX}DATABASE_URL": url,
            f"{PREFIX}SECRET_KEY": deployment.secret_keys[0],
            f"{PREFIX}PEPPER": deployment.pepper,
            f"{PREFIX}RATE_LIMITS": ROOMY,
            f"{PREFIX}ACCESS_TOKEN_MINUTES": _TOKEN_MINUTES,
            f"{PREFIX}LOG_FORMAT": "json",
            SLUG_VARIABLE: target.small.slug,
        }
        servers = {}
        for name in ("service", *(name for name in programs if name != "directus")):
            port = free_port()
            serving = {PORT_VARIABLE: str(port)} | ({f"{PREFIX}RATE_LIMITS": "off"} if name in WORKERS else {})
            servers[name] = stack.enter_context(running(name, _program(name, port), environment | serving, port=port, folder=folder))
        if "directus" in programs:
            target = replace(target, directus_token=secrets.token_hex(32))
            servers["directus"] = stack.enter_context(_directus(url, target.directus_token, folder))
        yield Stage(servers=servers, target=target, postgres=postgres, deployment=deployment)


@contextmanager
def _directus(url: str, token: str, folder: Path) -> Iterator[Server]:
    """Directus with its tables made and its rows there, in a folder of its own, open to readers; `token` is its admin's."""
    port, place = free_port(), folder / "directus"
    place.mkdir()
    asyncio.run(_copy_for_directus(url))
    environment = directus.environment(url, token=token, port=port)
    told = subprocess.run(
        directus.command("bootstrap"),
        env={**os.environ, **environment},
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
        timeout=START_SECONDS,
    )
    if told.returncode != 0:
        lines = (told.stderr or told.stdout).strip().splitlines()
        raise StageError(f"Directus does not make its tables: {lines[-1] if lines else told.returncode}")
    with running("directus", directus.command("start"), environment, port=port, folder=folder, place=place) as server:
        directus.open_to_readers(port, token)
        yield server


async def _copy_for_directus(url: str) -> None:
    connection = await connect(url)
    try:
        await connection.execute("SET maintenance_work_mem = '256MB'; SET synchronous_commit = off")
        for statement in directus.COPY:
            await connection.execute(statement, timeout=SEED_SECONDS)
    finally:
        await connection.close()


def _program(name: str, port: int) -> Sequence[str]:
    if name == "service" or name in WORKERS:
        workers = ["--workers", str(WORKERS[name])] if name in WORKERS else []
        return [str(Path(sysconfig.get_path("scripts")) / "complex-stories"), "serve", "--port", str(port), *workers]
    return [sys.executable, "-m", f"benchmarks.{name}"]


@contextmanager
def embedded(folder: Path) -> Iterator[str]:
    server = EmbeddedPostgres(folder, password=secrets.token_hex(16))
    server.start()
    try:
        yield server.url
    finally:
        server.stop()


@contextmanager
def database(server_url: str) -> Iterator[str]:
    """A database of our own on this server, gone afterwards: nothing that was there before is touched."""
    name = f"complex_stories_bench_{secrets.token_hex(6)}"
    asyncio.run(_execute(server_url, f"CREATE DATABASE {name}"))
    try:
        yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
    finally:
        asyncio.run(_execute(server_url, f"DROP DATABASE {name} WITH (FORCE)"))


async def connect(url: str) -> "asyncpg.Connection[asyncpg.Record]":
    return await asyncpg.connect(url.replace("+asyncpg", "", 1))


async def _execute(url: str, sql: str) -> None:
    connection = await connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


async def fill(deployment: Deployment, settings: Settings, *, resources: int, large: int, responses: int) -> tuple[Target, str]:
    """Migrate, load the demo with its survey, add to it, and make the large project; also tells the version of the server."""
    await prepare(deployment, settings, demo=True)
    container = deployment.container(settings)
    async with container.pool():
        signed_in = await container.log_in()(username=FIRST_ADMIN, password=PASSWORD, network="bench")
        await container.create_project()(slug=LARGE, title="A large project", by=signed_in.user)
    connection = await connect(deployment.database_url)
    try:
        await connection.execute("SET maintenance_work_mem = '256MB'; SET synchronous_commit = off")
        projects = [await _seed(connection, slug, size) for slug, size in ((DEMO, resources), (LARGE, large))]
        await connection.execute(_SEED_RESPONSES, DEMO, responses)
        await connection.execute("VACUUM ANALYZE")
        version = str(await connection.fetchval("SHOW server_version"))
    finally:
        await connection.close()
    return Target(small=projects[0], large=projects[1], access_token=signed_in.access_token), version


async def _seed(connection: "asyncpg.Connection[asyncpg.Record]", slug: str, size: int) -> Project:
    bounds = await connection.fetchrow(_SEED_RESOURCES, slug, size, timeout=SEED_SECONDS)
    assert bounds is not None
    return Project(slug=slug, first_id=bounds["min"], last_id=bounds["max"])


@contextmanager
def running(
    name: str, program: Sequence[str], environment: Mapping[str, str], *, port: int, folder: Path, place: Path | None = None
) -> Iterator[Server]:
    """The program, answering; its output goes to a file in the folder. It runs where this does, or in a place of its own."""
    log = folder / f"{name}.log"
    clean = {key: value for key, value in os.environ.items() if not key.startswith(PREFIX)}
    with log.open("wb") as output:
        process = subprocess.Popen(program, env={**clean, **environment}, cwd=place, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        started = time.monotonic()
        _await_answer(name, process, port, log)
        yield Server(name=name, pid=process.pid, port=port, start_seconds=time.monotonic() - started)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def starts(times: int) -> Iterator[float]:
    """The seconds from `serve` to ready, with an embedded cluster that an earlier start made."""
    with tempfile.TemporaryDirectory(prefix="complex-stories-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        environment = {f"{PREFIX}DATA_DIR": str(folder / "data"), f"{PREFIX}ADMIN_PASSWORD": PASSWORD}
        for number in range(times + 1):
            port = free_port()
            with running("service", _program("service", port), environment, port=port, folder=folder) as server:
                if number:  # the first one made it
                    yield server.start_seconds


def _await_answer(name: str, process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            lines = log.read_text(errors="replace").strip().splitlines()
            raise StageError(f"The {name} ended with status {process.returncode}: {lines[-1] if lines else 'it said nothing'}")
        if _answers(port):
            return
        time.sleep(0.05)
    raise StageError(f"The {name} did not listen within {START_SECONDS:.0f} s.")


def _answers(port: int) -> bool:
    """Whether an answer comes back that is not one of being unready: the bare program knows no health."""
    try:
        with socket.create_connection((LOOPBACK, port), 1.0) as probe:
            probe.sendall(b"GET /health/ready HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
            return probe.recv(12)[9:12] not in (b"", b"503")
    except OSError:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
