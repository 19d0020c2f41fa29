"""Exports of many responses: `python -m tests.drills.export --responses 100000` compares every cell with the database.

The demo survey in two versions is filled with generated responses through SQL. Each format is then exported by the use case in a
process of its own, whose peak of memory is told, and read back by parsers that share nothing with the writers.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from importlib.resources import files
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from adapters.postgres.database import Pool
from adapters.postgres.response.reader import PostgresResponseReader
from adapters.postgres.schema import migrate
from adapters.postgres.snapshots import Snapshots
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from adapters.tabular.tables import TabularTables
from application.response import ExportResponses
from application.survey import PublishSurvey
from domain.access import Role
from domain.export import Column, ColumnType, Format
from domain.project import new_project
from domain.survey import definition_from
from domain.user import User
from tests.examples import NOW, user
from tests.fakes.results import FakeShared
from tests.fakes.system import FakeClock
from tests.postgres import connected, lent, make_database, postgres_server
from tests.tabular import READERS, Row, typed

PROJECT = "dark-data"
REMOVED = "demographicsMatter"
MORE: list[dict[str, Any]] = [
    {"field": "why", "type": "text"},
    {"field": "share", "type": "number", "min": -1, "max": 1},
    {"field": "born", "type": "date"},
    {"field": "member", "type": "boolean"},
    {"field": "big", "type": "integer"},
]
TEXTS = ["", "=1+1", "-1", "＝1", "a,b", 'a "quote"', "line\nline", "\ttab", "NULL", "\U0001f600 ü\u0301", "it's", "|", "\u2028", " "]
OURS = [
    Column(name="respondent", type=ColumnType.TEXT),
    Column(name="created_at", type=ColumnType.TIME),
    Column(name="updated_at", type=ColumnType.TIME),
    Column(name="revision", type=ColumnType.INTEGER),
]
TYPES = {
    "choice": ColumnType.CATEGORY,
    "multi_choice": ColumnType.TEXTS,
    "scale": ColumnType.INTEGER,
    "integer": ColumnType.INTEGER,
    "number": ColumnType.NUMBER,
    "boolean": ColumnType.BOOLEAN,
    "text": ColumnType.TEXT,
    "date": ColumnType.DATE,
}
INSERT = """
INSERT INTO responses (project_id, pseudonym, token_hash, answers, seqs, versions, revision, survey_version, last_save,
                       created_at, updated_at, is_test, is_owned, changes)
SELECT $1, sha256(who), sha256(sha256(who)), answers::jsonb, '{}', versions::jsonb, revision, 2, gen_random_uuid(),
       created_at, updated_at, false, false, 0
FROM unnest($2::bytea[], $3::text[], $4::text[], $5::int[], $6::timestamptz[], $7::timestamptz[])
     AS given (who, answers, versions, revision, created_at, updated_at)
"""
STORED = """
SELECT encode(substring(pseudonym FOR 16), 'hex'), created_at, updated_at, revision, answers::text
FROM responses WHERE project_id = $1 ORDER BY id
"""


def first_version() -> dict[str, Any]:
    story: dict[str, Any] = json.loads((files("entrypoints") / "demo" / "dark-data.json").read_text())
    survey: dict[str, Any] = story["survey"]
    return survey


def second_version() -> dict[str, Any]:
    """The survey without one question, and with some of every other type."""
    survey = first_version()
    return survey | {"questions": [q for q in survey["questions"] if q["field"] != REMOVED] + MORE}


QUESTIONS: list[dict[str, Any]] = first_version()["questions"] + MORE


def columns(*, with_codes: bool) -> list[Column]:
    """What the contract says: our own columns, then each field ever published in order of appearance; in Parquet with codes."""
    found = list(OURS)
    for question in QUESTIONS:
        found.append(Column(name=question["field"], type=TYPES[question["type"]]))
        if with_codes and codes_of(question):
            found.append(Column(name=f"{question['field']}_code", type=ColumnType.INTEGER))
    return found


def codes_of(question: dict[str, Any]) -> dict[str, int]:
    if question["type"] != "choice":
        return {}
    return {choice["value"]: choice["code"] for choice in question["choices"] if "code" in choice}


# --- responses ---------------------------------------------------------------------------------------------------------------


def _answer(question: dict[str, Any], rng: random.Random) -> Any:
    match question["type"]:
        case "choice":
            return rng.choice(question["choices"])["value"]
        case "multi_choice":
            return [choice["value"] for choice in question["choices"] if rng.random() < 0.4]
        case "scale":
            return rng.randint(question["min"], question["max"])
        case "integer":
            return rng.randint(question.get("min", -(2**63)), question.get("max", 2**63 - 1))
        case "number":
            return rng.choice([rng.uniform(-1, 1), 0.0, 1.0, -0.5, 5e-324, 1e-7])
        case "boolean":
            return rng.random() < 0.5
        case "date":
            return date.fromordinal(rng.randint(1, date.max.toordinal())).isoformat()
        case _:
            return rng.choice(TEXTS)


def _given(rng: random.Random) -> tuple[dict[str, Any], dict[str, int]]:
    """Some answers, and the versions that they were given under."""
    kind = rng.random()
    if kind < 0.05:
        return {}, {}
    if kind < 0.1:
        return {"consent": "declined"}, {"consent": rng.choice([1, 2])}
    answers = {question["field"]: _answer(question, rng) for question in QUESTIONS if rng.random() < 0.85} | {"consent": "accepted"}
    newer = {question["field"] for question in MORE}
    return answers, {name: 2 if name in newer else 1 if name == REMOVED else rng.choice([1, 2]) for name in answers}


def _batches(number: int, rng: random.Random, *, size: int = 5000) -> Iterator[list[list[Any]]]:
    """Columns of parameters, so many rows at a time."""
    for start in range(0, number, size):
        rows = []
        for place in range(start, min(start + size, number)):
            answers, versions = _given(rng)
            created_at = NOW + timedelta(microseconds=rng.randrange(10**12))
            updated_at = created_at + timedelta(seconds=rng.random() * 1000) if rng.random() < 0.7 else None
            spelled = json.dumps(answers, ensure_ascii=False), json.dumps(versions)
            rows.append((f"respondent {place}".encode(), *spelled, 1 if updated_at is None else rng.randint(2, 40), created_at, updated_at))
        yield [list(column) for column in zip(*rows, strict=True)]


async def fill(pool: Pool, *, responses: int, seed: int) -> tuple[int, User]:
    """The demo's project with its survey in two versions and so many responses; its id, and an admin of it."""
    clock = FakeClock()
    async with PostgresUnitOfWork(pool) as work:
        project = await work.projects.add(new_project(slug=PROJECT, title="Dark data", at=NOW))
        admin = await work.users.add(user("grace", role=Role.ADMIN))
        await work.commit()
    publish = PublishSurvey(unit_of_work=partial(PostgresUnitOfWork, pool), clock=clock, shared=FakeShared())
    for document in (first_version(), second_version()):
        await publish(project=PROJECT, definition=definition_from(document), by=admin)
    async with lent(pool) as connection:
        for batch in _batches(responses, random.Random(seed)):
            await connection.execute(INSERT, project.id, *batch)
    return project.id, admin


async def expected(connection: Any, project_id: int, *, with_codes: bool, guarded: bool) -> list[tuple[Any, ...]]:
    """The cells of every response as they are in the database, in the order of the contract."""
    found = []
    for who, created_at, updated_at, revision, answers in await connection.fetch(STORED, project_id):
        given = json.loads(answers)
        cells = [who, created_at, updated_at, revision]
        for question in QUESTIONS:
            answer = given.get(question["field"])
            cells.append(_guarded(answer) if guarded else answer)
            if with_codes and (codes := codes_of(question)):
                cells.append(codes.get(answer))
        found.append(tuple(cells))
    return found


def _guarded(answer: Any) -> Any:
    """What the guard against formulas leaves of an answer; no choice of the demo begins like a formula."""
    return f"'{answer}" if isinstance(answer, str) and answer[:1] in tuple("=+-@\t\r＝＋－＠") else answer


def difference(found: Sequence[Row], wanted: Sequence[Row], names: Sequence[Column]) -> str | None:
    """Where two tables differ first, cells and their types."""
    if len(found) != len(wanted):
        return f"{len(found)} rows instead of {len(wanted)}"
    for number, (row, other) in enumerate(zip(typed(found), typed(wanted), strict=True), start=1):
        for column, cell, another in zip(names, row, other, strict=True):
            if cell != another:
                return f"row {number}, {column.name}: {cell} instead of {another}"
    return None


# --- the drill ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What an export took: seconds, and MiB of memory before it and at its peak."""

    seconds: float
    before: int
    peak: int


def export_to_file(url: str, admin: User, kind: Format, path: Path) -> Exported:
    """Export to a file, in a process that does nothing else."""
    before = _peak_memory()
    began = time.perf_counter()
    asyncio.run(_export_to_file(url, admin, kind, path))
    return Exported(seconds=time.perf_counter() - began, before=before, peak=_peak_memory())


def exporter(pool: Pool) -> ExportResponses:
    """The export over this database."""
    work = partial(PostgresUnitOfWork, pool)
    return ExportResponses(responses=PostgresResponseReader(Snapshots(pool)), tables=TabularTables(), unit_of_work=work, clock=FakeClock())


async def _export_to_file(url: str, admin: User, kind: Format, path: Path) -> None:
    async with Pool(url, size=2) as pool:
        export = exporter(pool)
        with path.open("wb") as file:
            async for part in export(project=PROJECT, kind=kind, by=admin):
                file.write(part)


def _peak_memory() -> int:
    """The most memory that this process has had, in MiB."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) // 1024


async def _prepare(server: str, *, responses: int, seed: int) -> tuple[str, int, User]:
    url = await make_database(server)
    await migrate(url)
    async with Pool(url, size=2) as pool:
        project_id, admin = await fill(pool, responses=responses, seed=seed)
    return url, project_id, admin


async def _compare(url: str, project_id: int, kind: Format, content: bytes) -> tuple[int, str | None]:
    is_parquet = kind is Format.PARQUET
    async with connected(url) as connection:
        wanted = await expected(connection, project_id, with_codes=is_parquet, guarded=kind is Format.CSV)
    names = columns(with_codes=is_parquet)
    found = READERS[kind](content, names)
    return len(found), difference(found, wanted, names)


def main() -> int:
    """Export every response in each format; 1 when any cell differs from the database."""
    parser = argparse.ArgumentParser(prog="python -m tests.drills.export", description=__doc__)
    parser.add_argument("--responses", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    faults = 0
    with postgres_server() as server, TemporaryDirectory() as folder:
        began = time.perf_counter()
        url, project_id, admin = asyncio.run(_prepare(server, responses=options.responses, seed=options.seed))
        print(f"{options.responses} responses made in {time.perf_counter() - began:.1f} s", flush=True)
        print(f"{'format':8} {'rows':>8} {'MiB':>7} {'seconds':>8} {'before':>7} {'peak MiB':>9}  differs", flush=True)
        for kind in Format:
            path = Path(folder) / f"responses.{kind}"
            with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as process:
                took = process.submit(export_to_file, url, admin, kind, path).result()
            rows, fault = asyncio.run(_compare(url, project_id, kind, path.read_bytes()))
            faults += fault is not None
            size = path.stat().st_size / 2**20
            print(f"{kind:8} {rows:8} {size:7.1f} {took.seconds:8.2f} {took.before:7} {took.peak:9}  {fault or 'nowhere'}", flush=True)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
