"""Measure what a million resources cost: to import them from CSV over HTTP, to page through them, to search in them.

The service runs as it ships, on a database of its own that is gone afterwards. What it takes in memory is that of its process, the
largest during the import less that before. Times of reading are medians, taken in turns.
"""

import argparse
import asyncio
import json
import os
import secrets
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import NoReturn

from benchmarks.load import LOOPBACK
from benchmarks.report import machine
from benchmarks.stage import Server, StageError, connect, database, embedded, free_port, running
from domain.project import new_project
from entrypoints.http.query import encode_cursor
from entrypoints.runtime import FIRST_ADMIN, Deployment, prepare
from entrypoints.settings import PREFIX, SettingsError, load

SLUG = "a-million"
PASSWORD = "seven-wet-stones-in-a-row"
PAGE, DEEP_PAGE = 100, 9000
LEAST_ROWS_PER_SECOND, MOST_RISE, MOST_RATIO, MOST_SEARCH = 30_000, 128.0, 2.0, 50.0
TERMS = {"frequent": "readings", "rare": "station 4242,", "rarest": "set 0987654", "absent": "zeppelin", "short": "a2"}
PATIENCE_SECONDS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was measured: seconds, mebibytes, and milliseconds."""

    rows: int
    megabytes: float
    seconds: float
    rows_per_second: float
    memory_rise: float
    pages: dict[str, tuple[float, float]]
    searches: dict[str, tuple[float, int]]

    def missed(self) -> list[str]:
        """Which of the promises were not kept."""
        found = ["rows a second"] if self.rows_per_second < LEAST_ROWS_PER_SECOND else []
        found += ["memory"] if self.memory_rise > MOST_RISE else []
        found += [f"pages by {sort}" for sort, (first, deep) in self.pages.items() if deep > MOST_RATIO * max(first, 1.0)]
        return found + [f"search, {name}" for name, (milliseconds, _) in self.searches.items() if milliseconds > MOST_SEARCH]


def main() -> None:
    """The entry of `python -m benchmarks.imports`. Exit status: 0 done, 1 failed, or a promise was missed under `--check`, 2 bad use."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.imports", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="how many rows to import (default 1000000)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file as well")
    parser.add_argument("--check", action="store_true", help="fail when a promise is missed")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the servers end with this
    try:
        figures, described = measured(rows=options.rows)
    except (StageError, SettingsError, OSError) as error:
        _end(str(error) or repr(error))
    except KeyboardInterrupt:
        _end("interrupted")
    _show(figures)
    print(", ".join(f"{name} {value}" for name, value in described.items()))
    if options.json:
        options.json.write_text(json.dumps({"machine": described, "figures": asdict(figures)}, indent=2) + "\n")
    if options.check and figures.missed():
        _end(f"missed: {', '.join(figures.missed())}")


def measured(*, rows: int) -> tuple[Figures, dict[str, object]]:
    """Import so many rows, and read them."""
    with _service() as (service, url, folder):
        table = folder / "table.csv"
        size = _write(table, rows)
        token = _token(service)
        before = _reset_peak(service.pid)
        started = time.perf_counter()
        _import(service, token, table, size)
        seconds = time.perf_counter() - started
        rise = _peak(service.pid) - before
        asyncio.run(_execute(url, "ANALYZE"))
        figures = Figures(
            rows=rows,
            megabytes=size / 1e6,
            seconds=seconds,
            rows_per_second=rows / seconds,
            memory_rise=rise,
            pages={
                sort: _pages(service, sort, asyncio.run(_deep_place(url, sort))) for sort in ("id", "-name", "created_at", "updated_at")
            },
            searches={name: _search(service, term) for name, term in TERMS.items()},
        )
        return figures, dict(machine(asyncio.run(_execute(url, "SHOW server_version"))))


@contextmanager
def _service() -> Iterator[tuple[Server, str, Path]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="complex-stories-bench-")))
        folder.chmod(0o711)  # the database's own user passes through
        settings = load()
        server_url = settings.database_url or stack.enter_context(embedded(folder / "postgres"))
        url = stack.enter_context(database(server_url))
        deployment = Deployment(database_url=url, secret_keys=(secrets.token_hex(32),), pepper=secrets.token_hex(32))
        asyncio.run(_fill(deployment))
        environment = {
            f"{PREFIX}DATABASE_URL": url,
            f"{PREFIX}SECRET_KEY": deployment.secret_keys[0],
            f"{PREFIX}PEPPER": deployment.pepper,
            f"{PREFIX}RATE_LIMITS": "off",
            f"{PREFIX}LOG_FORMAT": "json",
        }
        port = free_port()
        program = [str(Path(sys.executable).with_name("complex-stories")), "serve", "--port", str(port)]
        yield stack.enter_context(running("service", program, environment, port=port, folder=folder)), url, folder


async def _fill(deployment: Deployment) -> None:
    settings = load().model_copy(update={"admin_password": PASSWORD})
    await prepare(deployment, settings, demo=False)
    container = deployment.container(settings)
    async with container.pool():
        await container.projects().add(new_project(slug=SLUG, title="A million", at=container.clock().now()))


async def _execute(url: str, sql: str) -> str:
    connection = await connect(url)
    try:
        return str(await connection.fetchval(sql))
    finally:
        await connection.close()


def _write(path: Path, rows: int) -> int:
    """A table as people have it: short texts, commas in them, some cells empty, a few letters beyond ASCII."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("name,description,status,attributes\r\n")
        for number in range(rows):
            description = f'"Readings of station {number * 7919 % 10_007}, checked"' if number % 10 else ""
            place = "" if number % 50 else " (Zürich)"
            status = ("active", "inactive", "")[number % 3]
            file.write(f'Set {number:07}{place},{description},{status},"{{""year"": {1950 + number % 75}}}"\r\n')
    return path.stat().st_size


def _ask(service: Server, method: str, path: str, body: object = None, **headers: str) -> tuple[bytes, float]:
    """The answer, and after how many milliseconds it was whole."""
    connection = HTTPConnection(LOOPBACK, service.port, timeout=PATIENCE_SECONDS)
    try:
        started = time.perf_counter()
        connection.request(method, path, body=body, headers=headers)  # type: ignore[arg-type]
        response = connection.getresponse()
        content = response.read()
        milliseconds = (time.perf_counter() - started) * 1000
    finally:
        connection.close()
    if response.status not in (200, 422) or (response.status == 422 and method != "GET"):
        raise StageError(f"{method} {path.partition('?')[0]} answered {response.status}: {content[:300]!r}")
    return content, milliseconds


def _token(service: Server) -> str:
    body = json.dumps({"username": FIRST_ADMIN, "password": PASSWORD})
    return str(json.loads(_ask(service, "POST", "/auth/login", body, **{"Content-Type": "application/json"})[0])["access_token"])


def _import(service: Server, token: str, table: Path, size: int) -> None:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "text/csv", "Content-Length": str(size)}
    with table.open("rb") as file:
        _ask(service, "POST", f"/admin/{SLUG}/resources/import?mode=insert", file, **headers)


def _reset_peak(pid: int) -> float:
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return _status(pid, "VmRSS")


def _peak(pid: int) -> float:
    return _status(pid, "VmHWM")


def _status(pid: int, name: str) -> float:
    """Mebibytes that the kernel tells of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))


async def _deep_place(url: str, sort: str) -> str:
    """The cursor of a page far back."""
    column, way = sort.removeprefix("-"), "DESC" if sort.startswith("-") else "ASC"
    connection = await connect(url)
    try:
        total = await connection.fetchval("SELECT count(*) FROM resources")
        skipped = min((DEEP_PAGE - 1) * PAGE, total - PAGE) - 1
        row = await connection.fetchrow(
            f"SELECT id, {column} AS key FROM resources ORDER BY {column} {way}, id {way} OFFSET {skipped} LIMIT 1"
        )
    finally:
        await connection.close()
    assert row is not None
    key = row["key"]
    return encode_cursor(sort, key.isoformat() if hasattr(key, "isoformat") else key, row["id"])


def _pages(service: Server, sort: str, cursor: str, *, rounds: int = 25) -> tuple[float, float]:
    """How long the first page takes, and one far back."""
    first, deep = (f"/{SLUG}/resources?limit={PAGE}&sort={sort}", f"/{SLUG}/resources?limit={PAGE}&sort={sort}&cursor={cursor}")
    times = [(_ask(service, "GET", first)[1], _ask(service, "GET", deep)[1]) for _ in range(rounds)]
    return statistics.median(one for one, _ in times), statistics.median(other for _, other in times)


def _search(service: Server, term: str, *, rounds: int = 15) -> tuple[float, int]:
    """How long a search takes, and how many it finds on its first page: -1 where it is refused."""
    path = f"/{SLUG}/resources?limit={PAGE}&search={term.replace(' ', '+')}"
    answers = [_ask(service, "GET", path) for _ in range(rounds)]
    found = json.loads(answers[0][0])
    return statistics.median(milliseconds for _, milliseconds in answers), len(found) if isinstance(found, list) else -1


def _show(figures: Figures) -> None:
    print(
        f"import: {figures.rows:,} rows, {figures.megabytes:.0f} MB of CSV in {figures.seconds:.1f} s: "
        f"{figures.rows_per_second:,.0f} rows/s, memory rise {figures.memory_rise:.0f} MiB"
    )
    for sort, (first, deep) in figures.pages.items():
        print(f"page 1 and {DEEP_PAGE:,} by {sort:10} {first:6.1f} ms {deep:6.1f} ms: {deep / first:.2f} times")
    for name, (milliseconds, found) in figures.searches.items():
        print(f"search, {name:10} {milliseconds:6.1f} ms: {'refused' if found < 0 else f'{found} on the first page'}")
    print(f"load average {os.getloadavg()[0]:.1f}")


def _end(line: str) -> NoReturn:
    print(f"benchmarks: {line}", file=sys.stderr)
    raise SystemExit(1)


if __name__ == "__main__":
    main()
