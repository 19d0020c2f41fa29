"""The PostgreSQL of one's own: start, stop, start again, and what an earlier process left behind."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest

from adapters.postgres.embedded import EmbeddedPostgres, EmbeddedPostgresError
from tests.postgres import connected, embedded_folder

PASSWORD = "a password with spaces, @ and /"
START_AND_DIE = """
import os, signal, sys
from pathlib import Path
from adapters.postgres.embedded import EmbeddedPostgres
EmbeddedPostgres(Path(sys.argv[1]), password=sys.argv[2]).start()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with embedded_folder() as made:
        yield made / "postgres"


def has_postmaster(folder: Path) -> bool:
    return (folder / "postmaster.pid").exists()


def is_private(folder: Path) -> bool:
    """Whether nobody but its owner may look into the folder, and nothing was left beside it."""
    return folder.stat().st_mode & 0o077 == 0 and list(folder.parent.iterdir()) == [folder]


def with_a_long_name(folder: Path) -> Path:
    """A folder too deep for a socket to lie in it, whose parents may be entered."""
    parent = folder / ("x" * 60)
    for each in (folder, parent):
        each.mkdir()
        each.chmod(0o711)
    return parent / ("y" * 60)


def postmaster(folder: Path) -> int:
    return int((folder / "postmaster.pid").read_text().splitlines()[0])


async def test_it_starts_stops_and_starts_again_with_what_it_had(folder: Path) -> None:
    server = EmbeddedPostgres(folder, password=PASSWORD)
    server.start()
    try:
        async with connected(server.url) as connection:
            await connection.execute("CREATE TABLE kept AS SELECT 'this' AS text")
            settings = await connection.fetchrow(
                "SELECT current_setting('listen_addresses') AS listen, current_setting('fsync') AS fsync, "
                "current_setting('server_encoding') AS encoding, current_setting('server_version_num')::int AS version"
            )
        assert settings is not None
        assert (settings["listen"], settings["fsync"], settings["encoding"]) == ("", "on", "UTF8")
        assert settings["version"] >= 150000
    finally:
        server.stop()
    assert not has_postmaster(folder)
    server.stop()
    server.start()
    try:
        async with connected(server.url) as connection:
            assert await connection.fetchval("SELECT text FROM kept") == "this"
    finally:
        server.stop()


async def test_a_start_while_it_runs_is_the_same_server(folder: Path) -> None:
    first, second = (EmbeddedPostgres(folder, password=PASSWORD) for _ in range(2))
    first.start()
    try:
        pid = postmaster(folder)
        second.start()
        assert postmaster(folder) == pid
    finally:
        second.stop()
    assert not has_postmaster(folder)


async def test_an_orphan_of_a_killed_process_is_adopted(folder: Path) -> None:
    environment = os.environ | {"PYTHONPATH": "src"}
    died = await asyncio.create_subprocess_exec(sys.executable, "-c", START_AND_DIE, str(folder), PASSWORD, env=environment)
    assert await died.wait() == -signal.SIGKILL
    server = EmbeddedPostgres(folder, password=PASSWORD)
    try:
        pid = postmaster(folder)
        server.start()
        assert postmaster(folder) == pid
        async with connected(server.url) as connection:
            assert await connection.fetchval("SELECT 1") == 1
    finally:
        server.stop()


async def test_only_who_knows_the_password_enters_and_only_the_owner_reads_the_files(folder: Path) -> None:
    server = EmbeddedPostgres(folder, password=PASSWORD)
    server.start()
    try:
        with pytest.raises(asyncpg.InvalidPasswordError):
            async with connected(EmbeddedPostgres(folder, password="another").url):
                pass
        assert is_private(folder)
    finally:
        server.stop()


async def test_a_folder_with_a_long_name_will_do(folder: Path) -> None:
    server = EmbeddedPostgres(with_a_long_name(folder), password=PASSWORD)
    try:
        server.start()
        async with connected(server.url) as connection:
            assert await connection.fetchval("SELECT 1") == 1
    finally:
        server.stop()
        server._socket.rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be made to give away what is not its own")
def test_a_link_planted_where_the_socket_of_a_long_folder_goes_is_not_followed(folder: Path) -> None:
    deep, victim = with_a_long_name(folder), folder.parent / "victim"
    place = EmbeddedPostgres(deep, password=PASSWORD)._socket
    place.rmdir()
    victim.mkdir()
    place.symlink_to(victim)
    try:
        with suppress(EmbeddedPostgresError):
            EmbeddedPostgres(deep, password=PASSWORD)
        assert victim.stat().st_uid == 0
    finally:
        place.unlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs it as somebody else")
def test_a_folder_that_its_user_may_not_reach_is_told_in_one_sentence(folder: Path) -> None:
    folder.parent.chmod(0o700)
    with pytest.raises(EmbeddedPostgresError, match="may not enter") as refused:
        EmbeddedPostgres(folder, password=PASSWORD).start()
    assert str(folder.parent) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_folder_with_something_else_in_it_is_left_alone(folder: Path) -> None:
    folder.mkdir()
    (folder / "precious").write_text("data")
    with pytest.raises(EmbeddedPostgresError):
        EmbeddedPostgres(folder, password=PASSWORD).start()
    assert (folder / "precious").read_text() == "data"
