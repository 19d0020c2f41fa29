"""Exports of some thousand responses of the demo survey: every cell, in each format, is that of the database."""

import io
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import pyarrow.parquet as pq
import pytest

from adapters.postgres.database import Pool
from adapters.postgres.response.reader import BATCH, PostgresResponseReader
from adapters.postgres.snapshots import Snapshots
from adapters.postgres.survey import PostgresSurveys
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from adapters.tabular.tables import TabularTables
from application.response import GetCodebook, ListResponses
from application.trace import LeaveTrace
from domain.export import Format
from domain.survey import ResponseFilter
from domain.user import User
from tests.drills.export import OURS, PROJECT, QUESTIONS, REMOVED, columns, difference, expected, exporter, fill
from tests.examples import NOW
from tests.fakes.system import FakeClock
from tests.postgres import lent
from tests.tabular import READERS, typed

RESPONSES = 3 * BATCH + 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    pool: Pool
    project_id: int
    admin: User

    async def export(self, kind: Format, *, guarded: bool = False, version: int | None = None) -> bytes:
        export = exporter(self.pool)
        return b"".join([part async for part in export(project=PROJECT, kind=kind, guarded=guarded, version=version, by=self.admin)])

    async def expected(self, *, with_codes: bool = False, guarded: bool = False) -> list[tuple[object, ...]]:
        async with lent(self.pool) as connection:
            return await expected(connection, self.project_id, with_codes=with_codes, guarded=guarded)


@pytest.fixture
async def filled(pool: Pool) -> Filled:
    project_id, admin = await fill(pool, responses=RESPONSES, seed=7)
    return Filled(pool=pool, project_id=project_id, admin=admin)


async def test_every_format_has_every_cell_of_the_database(filled: Filled) -> None:
    for kind in Format:
        is_parquet = kind is Format.PARQUET
        names, wanted = columns(with_codes=is_parquet), await filled.expected(with_codes=is_parquet)
        assert len(wanted) == RESPONSES
        assert difference(READERS[kind](await filled.export(kind), names), wanted, names) is None


async def test_all_formats_are_equal_to_each_other(filled: Filled) -> None:
    names = columns(with_codes=False)
    first, *others = [typed(READERS[kind](await filled.export(kind), names)) for kind in (Format.CSV, Format.JSON, Format.NDJSON)]
    assert others == [first, first]
    table = pq.ParquetFile(io.BytesIO(await filled.export(Format.PARQUET))).read().select([column.name for column in names])
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    assert typed(READERS[Format.PARQUET](buffer.getvalue(), names)) == first


async def test_guarded_only_texts_that_a_spreadsheet_would_run_differ(filled: Filled) -> None:
    names = columns(with_codes=False)
    guarded, plain = [READERS[Format.CSV](await filled.export(Format.CSV, guarded=each), names) for each in (True, False)]
    assert difference(guarded, await filled.expected(guarded=True), names) is None
    cells = [cell for one, two in zip(guarded, plain, strict=True) for cell in zip(names, one, two, strict=True)]
    changed = {column.name for column, cell, another in cells if cell != another}
    assert changed == {"why"}


async def test_the_codebook_in_the_file_is_that_of_the_survey_and_names_its_columns(filled: Filled) -> None:
    file = pq.ParquetFile(io.BytesIO(await filled.export(Format.PARQUET)))
    schema = json.loads(file.metadata.metadata[b"codebook"])
    assert schema == await GetCodebook(surveys=PostgresSurveys(filled.pool))(project=PROJECT)
    assert [field["name"] for field in schema["fields"]] == [column.name for column in columns(with_codes=False)]


@pytest.mark.parametrize("version", [1, 2])
async def test_an_export_of_one_version_has_the_answers_given_under_it(filled: Filled, version: int) -> None:
    fields = [question["field"] for question in QUESTIONS]
    shown = fields[:12] if version == 1 else [name for name in fields if name != REMOVED]
    names = [column for column in columns(with_codes=False) if column in OURS or column.name in shown]
    async with lent(filled.pool) as connection:
        pinned = [row["versions"] for row in await connection.fetch("SELECT versions FROM responses ORDER BY id")]
    wanted = []
    for cells, versions in zip(await filled.expected(), pinned, strict=True):
        if version in versions.values():
            named = dict(zip([column.name for column in columns(with_codes=False)], cells, strict=True))
            ours = [named[column.name] for column in OURS]
            wanted.append((*ours, *(named[name] if versions.get(name) == version else None for name in shown)))
    assert 0 < len(wanted) < RESPONSES
    assert difference(READERS[Format.JSON](await filled.export(Format.JSON, version=version), names), wanted, names) is None


async def test_pages_are_the_rows_of_the_export(filled: Filled) -> None:
    leave_trace = LeaveTrace(unit_of_work=partial(PostgresUnitOfWork, filled.pool), clock=FakeClock())
    listing = ListResponses(responses=PostgresResponseReader(Snapshots(filled.pool)), tables=TabularTables(), leave_trace=leave_trace)
    rows, after = [], 0
    while True:
        page = await listing(project=PROJECT, after=after, limit=1000, by=filled.admin)
        rows += json.loads(page.json)
        if page.next is None:
            break
        after = page.next
    assert rows == json.loads(await filled.export(Format.JSON))


async def test_an_export_is_of_the_moment_when_it_began(filled: Filled) -> None:
    names, wanted = columns(with_codes=False), await filled.expected()
    export = exporter(filled.pool)
    parts = export(project=PROJECT, kind=Format.NDJSON, guarded=False, by=filled.admin)
    content = await anext(parts) + await anext(parts)
    async with lent(filled.pool) as connection:
        await connection.execute("UPDATE responses SET answers = '{}', revision = revision + 1, updated_at = $1", NOW + timedelta(days=1))
        await connection.execute("DELETE FROM responses WHERE id % 2 = 0")
    content += b"".join([part async for part in parts])
    assert difference(READERS[Format.NDJSON](content, names), wanted, names) is None


async def test_an_export_that_is_left_early_leaves_nothing_open(filled: Filled) -> None:
    reader = PostgresResponseReader(Snapshots(filled.pool))
    for _ in range(20):
        parts = exporter(filled.pool)(project=PROJECT, kind=Format.CSV, by=filled.admin)
        await anext(parts)
        await anext(parts)
        assert isinstance(parts, AsyncGenerator)
        await parts.aclose()
    async with reader.snapshot(PROJECT) as snapshot:
        assert len(await snapshot.page(ResponseFilter(), after=0, limit=10)) == 10
