"""Stopping and starting: nothing that was begun is broken off, and nobody has to look after it."""

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest

from adapters.postgres.revisions import known_revisions, pending
from adapters.postgres.schema import migrate
from tests.drills.faults.stage import Postgres, processes, workers
from tests.e2e.client import Service, answers, data_folder, problem, run, serving, until
from tests.postgres import connected, drop_database, make_database

BODY = b'{"fingerprint": "reader-0001", "field": "consent", "value": "accepted"}'
HEAD = (
    b"POST /dark-data/survey/upsert HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n" % len(BODY)
)


@pytest.fixture
def folder() -> Iterator[Path]:
    with data_folder() as path:
        yield path


@pytest.fixture
def database(server: str) -> Iterator[str]:
    """A database with nothing in it."""
    url = asyncio.run(make_database(server))
    yield url
    asyncio.run(drop_database(url, server=server))


def begin(service: Service) -> socket.socket:
    """A request that is being worked on, and waits for its body."""
    connection = socket.create_connection(("127.0.0.1", service.port), timeout=20)
    connection.sendall(HEAD)
    assert connection.recv(100).startswith(b"HTTP/1.1 100")
    return connection


def rest(connection: socket.socket) -> bytes:
    received = b""
    while more := connection.recv(65536):
        received += more
    return received


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_stop_tells_who_asks_for_readiness_and_finishes_what_was_begun(number: signal.Signals) -> None:
    with serving("--demo", RATE_LIMITS="off") as service:
        for _ in range(3):
            assert httpx.get(f"{service.url}/health/ready").status_code == 200
        with begin(service) as connection:
            service.process.send_signal(number)
            told = until(lambda: [each for each in [httpx.get(f"{service.url}/health/ready")] if each.status_code != 200], "not ready")[0]
            problem(told, 503, "stopping")
            assert "retry-after" in told.headers
            meanwhile = httpx.get(f"{service.url}/dark-data")
            assert (meanwhile.status_code, meanwhile.headers["connection"]) == (200, "close")
            assert httpx.get(f"{service.url}/health/live").status_code == 200
            until(lambda: not takes_connections(service), "the door is closed")
            connection.sendall(BODY)
            (answer,) = answers(rest(connection))
            assert (answer.status, answer.headers["connection"]) == (201, "close")
        assert service.process.wait(timeout=20) == 0
        assert "Traceback" not in service.err


def takes_connections(service: Service) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", service.port)) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("options", [[], ["--workers", "2"]], ids=["alone", "workers"])
def test_a_second_signal_ends_it_at_once(number: signal.Signals, options: list[str]) -> None:
    with serving("--demo", *options, RATE_LIMITS="off") as service, begin(service) as connection:
        service.process.send_signal(number)
        until(lambda: not takes_connections(service), "the door is closed")
        assert service.process.poll() is None
        service.process.send_signal(number)
        assert service.process.wait(timeout=10) == 0  # the grace is longer
        assert b"201" not in connection.recv(100)


def _when(find: Callable[[], list[int]], number: int) -> list[int]:
    """What is found once there are so many."""
    return until(lambda: found if len(found := find()) >= number else [], f"{number} processes")


def test_a_worker_that_dies_is_replaced() -> None:
    with serving("--demo", "--workers", "2", RATE_LIMITS="off") as service:
        first = _when(lambda: workers(service), 2)
        for pid in first:
            os.kill(pid, signal.SIGKILL)
        until(lambda: len(set(workers(service)) - set(first)) == 2, "two others")
        service.wait_ready()
        assert "a worker ended and is replaced" in service.err
        assert service.stop() == 0


def connections_of(pids: list[int], service: Service) -> list[int]:
    """How many connections from here each process has."""
    ours = {f"socket:[{row.split()[9]}]" for row in Path("/proc/net/tcp").read_text().splitlines()[1:] if _is_of(row, service.port)}
    return [sum(str(each.readlink()) in ours for each in Path(f"/proc/{pid}/fd").iterdir()) for pid in pids]


def _is_of(row: str, port: int) -> bool:
    _, local, _, state, *_ = row.split()
    return local.endswith(f":{port:04X}") and state == "01"  # established


def test_connections_that_come_at_once_are_shared_by_all_workers_and_one_that_hangs_keeps_nobody_waiting() -> None:
    with serving("--demo", "--workers", "2", RATE_LIMITS="off") as service, ExitStack() as stack:
        both = _when(lambda: workers(service), 2)
        until(lambda: _both_take(both, service), "both take connections")
        for _ in range(60):
            stack.enter_context(socket.create_connection(("127.0.0.1", service.port)))
        until(lambda: sum(connections_of(both, service)) == 60, "all are taken")
        assert min(connections_of(both, service)) >= 20, "one worker has nearly all"
        os.kill(both[0], signal.SIGSTOP)
        try:
            assert _ask_health(service, 20) >= 10  # those that the stopped one had taken before wait for it
        finally:
            os.kill(both[0], signal.SIGCONT)


def _both_take(both: list[int], service: Service) -> bool:
    """Whether of so many connections each worker has some."""
    with ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(socket.create_connection(("127.0.0.1", service.port)))
        until(lambda: sum(connections_of(both, service)) == 8, "all are taken")
        return min(connections_of(both, service)) > 0


def _ask_health(service: Service, times: int) -> int:
    """How many of so many, each with a connection of its own, are answered well and soon."""
    well = 0
    for _ in range(times):
        with suppress(httpx.TransportError):
            well += httpx.get(f"{service.url}/health/live", timeout=1).status_code == 200
    return well


def test_workers_end_with_their_supervisor(folder: Path, database: str) -> None:
    with serving("--workers", "2", folder=folder, DATABASE_URL=database, RATE_LIMITS="off") as service:
        every = _when(lambda: processes(service), 3)
        assert service.stop(signal.SIGKILL) == -signal.SIGKILL
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in every), "all have ended")


def test_a_start_waits_for_the_database_and_says_so(folder: Path) -> None:
    with data_folder() as cluster:
        postgres = Postgres(cluster)
        postgres.close()
        service = Service(folder, DATABASE_URL=postgres.url, RATE_LIMITS="off")
        try:
            until(lambda: "the database does not answer yet" in service.err, "it says so")
            assert service.process.poll() is None
            postgres.start()
            service.wait_ready()
            assert service.stop() == 0
        finally:
            if service.process.poll() is None:
                service.process.kill()
            postgres.close()


def test_a_start_that_waits_can_be_stopped(folder: Path) -> None:
    service = Service(folder, DATABASE_URL="postgresql+asyncpg://zebra:zebra@127.0.0.1:9/zebra", RATE_LIMITS="off")
    until(lambda: "the database does not answer yet" in service.err, "it says so")
    assert service.stop() == 0
    assert "zebra" not in service.err
    assert "Traceback" not in service.err


def test_a_newer_schema_is_refused_in_one_line(folder: Path, database: str) -> None:
    assert run("migrate", folder=folder, DATABASE_URL=database).returncode == 0
    asyncio.run(_mark_newer(database))
    done = run("serve", folder=folder, DATABASE_URL=database)
    assert done.returncode == 3
    assert done.stderr.strip().splitlines() == [
        "complex-stories: The database has a newer schema than this program knows: install the newer program."
    ]


async def _mark_newer(url: str) -> None:
    async with connected(url) as connection:
        await connection.execute("UPDATE alembic_version SET version_num = 'from-the-future'")


def test_where_nothing_is_migrated_an_older_schema_is_refused_in_one_line(folder: Path, database: str) -> None:
    done = run("serve", "--no-migrate", folder=folder, DATABASE_URL=database)
    assert done.returncode == 3
    assert done.stderr.strip().splitlines() == [
        "complex-stories: The database has an older schema than this program needs: run complex-stories migrate."
    ]
    assert run("doctor", folder=folder, DATABASE_URL=database).returncode != 0  # nothing was brought there


@pytest.mark.parametrize("command", [["backup", "{folder}/copy.tar"], ["audit", "verify"], ["retention", "--older-than-days", "1"]])
def test_a_command_beside_an_older_service_does_not_change_its_schema(folder: Path, database: str, command: list[str]) -> None:
    older = known_revisions()[-2]
    asyncio.run(migrate(database, to=older))
    done = run(*(word.format(folder=folder) for word in command), folder=folder, DATABASE_URL=database)
    assert done.returncode == 3
    assert "older schema" in done.stderr
    assert asyncio.run(pending(database)) == [known_revisions()[-1]]


def test_two_that_start_at_once_migrate_once_and_make_one_admin(database: str) -> None:
    with data_folder() as one, data_folder() as other, ThreadPoolExecutor(2) as threads:
        services = [Service(folder, DATABASE_URL=database, RATE_LIMITS="off") for folder in (one, other)]
        try:
            list(threads.map(Service.wait_ready, services))
            assert sum(service.out.count("First start: sign in as admin") for service in services) == 1
            assert [service.stop() for service in services] == [0, 0]
        finally:
            for service in services:
                if service.process.poll() is None:
                    service.process.kill()
