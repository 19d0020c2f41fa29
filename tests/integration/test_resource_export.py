"""Exports of 2 000 generated resources, read back by hands that are not ours: csv, json, pyarrow and DuckDB."""

import asyncio
import csv
import io
import json
import random
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Self

import duckdb
import pyarrow.parquet as pq
import pytest

from adapters.postgres.annotation import PostgresAnnotationReader
from adapters.postgres.database import Pool
from adapters.postgres.export import PostgresExports
from adapters.postgres.label_set import PostgresLabelSets
from adapters.postgres.resource_table import PostgresResourceTables
from adapters.postgres.response import PostgresResponseReader
from adapters.postgres.snapshots import Snapshots
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from adapters.postgres.user import PostgresUsers
from adapters.storage.local import LocalFileStore
from adapters.tabular.tables import TabularTables
from application.export.keeping import SweepExports, UnnamedContents
from application.export.making import Made, MakeNextExport, Sheets
from application.export.resources import ExportResources
from application.export.stored import DeleteExport
from domain.access import Role
from domain.errors import NotFound
from domain.export import Export, Format, Progress, Quota, Subject, new_export
from domain.resource import COLUMNS, Filter
from tests.contracts.stage import stage_in_postgres
from tests.contracts.test_resource_table import ODD
from tests.examples import NOW
from tests.fakes.system import FakeClock, FakeRandom, FakeRespondents
from tests.postgres import lent

ROWS, SEED = 2000, 11
NAMES = [column.name for column in COLUMNS]
INSERT = """
INSERT INTO resources
  (project_id, name, name_key, search_text, description, status, attributes, created_by, owner_id, created_at, updated_at, version)
SELECT $1, name, name || row_number() OVER (), name, description, status, attributes::jsonb, $2, $2, created_at, updated_at, version
FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::timestamptz[], $9::int[])
  AS given (name, description, status, attributes, created_at, updated_at, version)
"""
STORED = """
SELECT r.id, p.slug, r.name, r.description, r.status, r.attributes::text, u.username, r.created_at, r.updated_at, true, r.version
FROM resources r JOIN projects p ON p.id = r.project_id JOIN users u ON u.id = r.created_by ORDER BY r.id
"""
FORMULAS = tuple("=+-@\t\r＝＋－＠")


def generated(rng: random.Random) -> tuple[Any, ...]:
    text = rng.choice(ODD) + rng.choice(["", "", " ", *ODD])
    description = rng.choice([None, "", rng.choice(ODD), text * rng.randint(1, 40)])
    attributes: dict[str, Any] = {
        rng.choice(ODD): rng.choice([None, True, 1, 0.5, rng.choice(ODD), [rng.choice(ODD)], {"a": {}}]) for _ in range(rng.randint(0, 3))
    }
    created_at = NOW + timedelta(microseconds=rng.randrange(10**13))
    updated_at = rng.choice([None, created_at + timedelta(seconds=rng.randrange(10**6))])
    status = rng.choice(["active", "inactive", "pending"])
    return text, description, status, json.dumps(attributes), created_at, updated_at, 1 if updated_at is None else rng.randint(2, 9)


async def fill(pool: Pool) -> list[tuple[Any, ...]]:
    """A project with the generated resources, and its cells as they are in the database."""
    stage, rng = stage_in_postgres(pool), random.Random(SEED)
    project, by = await stage.project(), await stage.user()
    rows = [generated(rng) for _ in range(ROWS)]
    async with lent(pool) as connection:
        await connection.execute(INSERT, project.id, by.id, *[list(column) for column in zip(*rows, strict=True)])
        return [tuple(row) for row in await connection.fetch(STORED)]


def exporter(pool: Pool) -> ExportResources:
    return ExportResources(resources=PostgresResourceTables(Snapshots(pool)), label_sets=PostgresLabelSets(pool), tables=TabularTables())


async def export(pool: Pool, kind: Format, *, guarded: bool = False) -> bytes:
    parts = exporter(pool)(Filter(project="story"), kind=kind, guarded=guarded)
    return b"".join([part async for part in parts])


def spelled(time: datetime | None) -> str | None:
    return None if time is None else time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def queried(sql: str) -> list[tuple[Any, ...]]:
    """What DuckDB answers."""
    with duckdb.connect() as connection:
        return connection.execute(sql).fetchall()


def as_text(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*row[:7], spelled(row[7]), spelled(row[8]), row[9], row[10])


async def test_csv_read_by_csv_and_by_duckdb(pool: Pool, tmp_path: Path) -> None:
    wanted, content = await fill(pool), await export(pool, Format.CSV)
    header, *records = csv.reader(io.StringIO(content.decode(), newline=""), strict=True)
    assert header == NAMES
    flat = [[str(cell).lower() if isinstance(cell, bool) else "" if cell is None else str(cell) for cell in as_text(row)] for row in wanted]
    assert records == flat
    (tmp_path / "file.csv").write_bytes(content)
    types = dict.fromkeys(NAMES, "VARCHAR") | {"id": "BIGINT", "is_active": "BOOLEAN", "version": "BIGINT"}
    found = queried(
        f"SELECT * FROM read_csv('{tmp_path}/file.csv', header=true, columns={types}, nullstr='', allow_quoted_nulls=false,"
        " quote='\"', escape='\"', delim=',', auto_detect=false, new_line='\\r\\n')"
    )
    assert found == [as_text(row) for row in wanted]


async def test_guarded_csv_differs_only_where_a_spreadsheet_would_run_it(pool: Pool) -> None:
    wanted, content = await fill(pool), await export(pool, Format.CSV, guarded=True)
    _, *records = csv.reader(io.StringIO(content.decode(), newline=""), strict=True)
    for record, row in zip(records, wanted, strict=True):
        for cell, text in ((record[2], row[2]), (record[3], row[3] or "")):
            assert cell == (f"'{text}" if text.startswith(FORMULAS) else text)
        assert not any(cell.startswith(FORMULAS) for cell in record)


@pytest.mark.parametrize("kind", [Format.JSON, Format.NDJSON])
async def test_json_read_by_json_and_by_duckdb(pool: Pool, tmp_path: Path, kind: Format) -> None:
    wanted, content = await fill(pool), await export(pool, kind)
    rows = json.loads(content) if kind is Format.JSON else [json.loads(line) for line in content.decode().split("\n")[:-1]]
    assert [tuple(row) for row in rows] == [tuple(NAMES)] * ROWS
    plain = [tuple(row.values()) for row in rows]
    assert plain == [(*row[:5], json.loads(row[5]), *row[6:]) for row in map(as_text, wanted)]
    (tmp_path / "file.json").write_bytes(content)
    types = dict.fromkeys(NAMES, "VARCHAR") | {"id": "BIGINT", "is_active": "BOOLEAN", "version": "BIGINT", "attributes": "JSON"}
    form = "array" if kind is Format.JSON else "newline_delimited"
    found = queried(f"SELECT * FROM read_json('{tmp_path}/file.json', format='{form}', columns={types}, maximum_object_size=9999999)")
    assert [(*row[:5], json.loads(row[5]), *row[6:]) for row in found] == plain


async def test_parquet_read_by_pyarrow_and_by_duckdb(pool: Pool, tmp_path: Path) -> None:
    wanted, content = await fill(pool), await export(pool, Format.PARQUET)
    table = pq.read_table(io.BytesIO(content))
    assert table.column_names == NAMES
    assert [tuple(row.values()) for row in table.to_pylist()] == wanted
    (tmp_path / "file.parquet").write_bytes(content)
    times = "epoch_us(created_at) AS created_at, epoch_us(updated_at) AS updated_at"
    found = queried(f"SELECT * REPLACE ({times}) FROM '{tmp_path}/file.parquet'")
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    micro = [tuple((cell - epoch) // timedelta(microseconds=1) if isinstance(cell, datetime) else cell for cell in row) for row in wanted]
    assert found == micro


@pytest.mark.parametrize("kind", Format)
async def test_an_export_is_of_the_moment_when_it_began(pool: Pool, kind: Format) -> None:
    await fill(pool)
    wanted = await export(pool, kind)
    parts = exporter(pool)(Filter(project="story"), kind=kind, guarded=False)
    content = await anext(parts)
    async with lent(pool) as connection:
        # The first part of CSV and Parquet needs no row, but the moment is that of the snapshot, which was taken for it.
        await connection.execute("UPDATE resources SET description = 'changed', version = version + 1")
        await connection.execute("DELETE FROM resources WHERE id % 2 = 0")
    content += b"".join([part async for part in parts])
    assert content == wanted


async def test_an_export_that_is_left_early_leaves_nothing_open(pool: Pool) -> None:
    await fill(pool)
    export_them = exporter(pool)
    for kind in list(Format) * 5:
        parts = export_them(Filter(project="story"), kind=kind)
        assert isinstance(parts, AsyncGenerator)
        await anext(parts)
        await anext(parts)
        await parts.aclose()
    assert len([part async for part in export_them(Filter(project="story"), kind=Format.CSV)]) > 1


# --- making stored exports ---------------------------------------------------------------------------------------------------


class SlowStore(LocalFileStore):
    """Tells when a content is begun."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.begun = asyncio.Event()

    def incoming(self) -> Any:
        self.begun.set()
        return super().incoming()


def maker(pool: Pool, store: LocalFileStore, clock: FakeClock) -> MakeNextExport:
    snapshots = Snapshots(pool)
    sheets = Sheets(
        resources=PostgresResourceTables(snapshots),
        responses=PostgresResponseReader(snapshots),
        annotations=PostgresAnnotationReader(pool, snapshots),
        respondents=FakeRespondents(),
        tables=TabularTables(),
    )
    work = partial(PostgresUnitOfWork, pool)
    return MakeNextExport(exports=PostgresExports(pool), sheets=sheets, store=store, clock=clock, unit_of_work=work)


async def asked(pool: Pool, number: int) -> list[Export]:
    stage, random_ = stage_in_postgres(pool), FakeRandom()
    by = await stage.user("annotator", role=Role.ANNOTATOR)
    made = [
        new_export(id=random_.uuid(), project="story", what=Subject.RESOURCES, format=Format.CSV, filters={}, by=by, at=NOW)
        for _ in range(number)
    ]
    for each in made:
        await stage.exports.add(each, quota=Quota())
    return made


async def test_two_makers_make_each_export_once(pool: Pool, tmp_path: Path) -> None:
    await fill(pool)
    wanted, made = await export(pool, Format.CSV, guarded=True), await asked(pool, 12)
    store, clock = LocalFileStore(tmp_path), FakeClock()

    async def work() -> int:
        make, number = maker(pool, store, clock), 0
        while await make() is not None:
            number += 1
        return number

    assert sum(await asyncio.gather(work(), work(), work())) == len(made)
    for each in made:
        found = await PostgresExports(pool).get(project="story", export_id=each.id)
        manifest, content = found.whole()
        assert b"".join([part async for part in store.read(f"exports/{content}")]) == wanted
        assert (manifest.rows, manifest.size) == (ROWS, len(wanted))
    assert len([each async for each in store.stored("exports")]) == len(made)


async def test_a_maker_that_was_overtaken_leaves_nothing(pool: Pool, tmp_path: Path) -> None:
    await fill(pool)
    (made,) = await asked(pool, 1)
    store, clock, exports = LocalFileStore(tmp_path), FakeClock(), PostgresExports(pool)

    class Overtaken(PostgresUnitOfWork):
        """Between the bytes and the row, the claim runs out, and another makes the export."""

        async def __aenter__(self) -> Self:
            clock.advance(timedelta(minutes=1))
            assert await maker(pool, store, clock)() is not None
            return await super().__aenter__()

    overtaken = replace(maker(pool, store, clock), unit_of_work=partial(Overtaken, pool))
    assert await overtaken() is not None
    found = await exports.get(project="story", export_id=made.id)
    assert found.status is Progress.DONE
    assert [each.name async for each in store.stored("exports")] == [f"exports/{found.content}"]


async def test_an_export_that_was_deleted_while_it_was_made_leaves_nothing(pool: Pool, tmp_path: Path) -> None:
    await fill(pool)
    (made,) = await asked(pool, 1)
    store, clock, exports = LocalFileStore(tmp_path), FakeClock(), PostgresExports(pool)
    work = partial(PostgresUnitOfWork, pool)
    delete = DeleteExport(unit_of_work=work, store=store, clock=clock)
    maker_of_it = await PostgresUsers(pool).get(made.created_by_id)

    class Deleted(PostgresUnitOfWork):
        """Between the bytes and the row, its maker has deleted it."""

        async def __aenter__(self) -> Self:
            await delete(project="story", export_id=made.id, expected=None, by=maker_of_it)
            return await super().__aenter__()

    assert await replace(maker(pool, store, clock), unit_of_work=partial(Deleted, pool))() is not None
    with pytest.raises(NotFound):
        await exports.get(project="story", export_id=made.id)
    assert [each.name async for each in store.stored("exports")] == []


@pytest.mark.parametrize("beside", [False, True])
async def test_an_export_for_which_there_is_no_room_fails_and_leaves_nothing(pool: Pool, tmp_path: Path, *, beside: bool) -> None:
    await fill(pool)
    size = len(await export(pool, Format.CSV, guarded=True))
    first, second = await asked(pool, 2)
    store, clock, exports = LocalFileStore(tmp_path), FakeClock(), PostgresExports(pool)
    if beside:  # of two that are alike there is room for one
        assert await maker(pool, store, clock)() == Made(export_id=first.id)
        size *= 2
    found = await replace(maker(pool, store, clock), quota=Quota(bytes=size - 1))()
    failed = second if beside else first
    assert found == Made(export_id=failed.id, reason="quota-exceeded")
    assert (await exports.get(project="story", export_id=failed.id)).status is Progress.FAILED
    assert len([each.name async for each in store.stored("exports")]) == int(beside)


async def test_a_maker_that_is_cancelled_leaves_the_export_to_be_made_at_once(pool: Pool, tmp_path: Path) -> None:
    await fill(pool)
    (made,) = await asked(pool, 1)
    store, clock, exports = SlowStore(tmp_path), FakeClock(), PostgresExports(pool)
    task = asyncio.create_task(maker(pool, store, clock)())
    await store.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await exports.get(project="story", export_id=made.id)).status is Progress.QUEUED
    assert await maker(pool, store, clock)() is not None
    assert (await exports.get(project="story", export_id=made.id)).status is Progress.DONE


async def test_what_is_swept_is_only_what_nobody_names(pool: Pool, tmp_path: Path) -> None:
    await fill(pool)
    await asked(pool, 2)
    store, clock, exports = LocalFileStore(tmp_path), FakeClock(), PostgresExports(pool)
    assert await maker(pool, store, clock)() is not None
    claim = await exports.claim(at=NOW, until=NOW + timedelta(hours=1))
    assert claim is not None
    for name in (f"exports/{claim.content}", f"exports/{FakeRandom().uuid()}"):
        async with store.incoming() as incoming:
            await incoming.write(b"x")
            await incoming.keep(name)
    sweep = SweepExports(unnamed=UnnamedContents(exports=exports, store=store), store=store)
    assert [await sweep(), await sweep()] == [1, 0]
    assert f"exports/{claim.content}" in [each.name async for each in store.stored("exports")]
