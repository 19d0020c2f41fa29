"""Resources as whole tables: the sentences of `ResourceTables` and `ResourceSnapshot`, and that `COPY` writes what our writers write."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.postgres.database import Pool
from adapters.postgres.snapshots import SNAPSHOTS_AT_ONCE
from adapters.tabular.csv import CsvWriter
from application.ports import Part
from domain.errors import NotFound
from domain.export import ColumnType, Format, TooManyTables
from domain.resource import COLUMNS, DESCRIPTION_MAX, Filter, Resource, Status
from domain.user import User
from tests.contracts.stage import InMemory, InPostgres, Stage, stage_in_postgres
from tests.examples import NOW, resource
from tests.fakes.resource_table import cell
from tests.postgres import lent
from tests.tabular import csv_records, read_csv, time_of

ALL = Filter(project="story")
ODD = [
    "=1+1", "+1", "-1", "@x", "\t=1", "＝1", "＋1", "－1", "＠1", "'=1", " =1", '"', '""', '"=1', "a,b", 'a "b" c', "a\nb", "a\n", "\n",
    "\n\n7,x",
    "5\n6", "\\", "\\.", "\\n", "\\N", "NULL", "|", "\u2028", "\ufeffx", "\U0001f600 ü\u0301", "it's", "$1", "%", "{}", "[]", "\x7f",
]  # fmt: skip
CLEAN = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\x00") | st.sampled_from("\n\t")
TEXTS = st.sampled_from(ODD) | st.text(CLEAN, max_size=12)
NAMES = TEXTS.filter(lambda text: bool(text.strip()))
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.sampled_from([0.5, -1.25, 1e16, 5e-324]) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
MADE = st.fixed_dictionaries(
    {
        "description": st.none() | st.just("") | TEXTS,
        "status": st.sampled_from(Status),
        "attributes": st.dictionaries(TEXTS, JSONS, max_size=3),
        "updated_at": st.none() | st.timedeltas(timedelta(0), timedelta(days=3000)).map(lambda age: NOW + age),
    }
)
QUICK = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.differing_executors, HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


async def joined(parts: AsyncGenerator[Part, None]) -> tuple[bytes, int]:
    """The text of all parts, each of whole rows, and the rows that they say they bring."""
    async with aclosing(parts) as each:
        found = [part async for part in each]
    assert all(part.content.endswith(b"\n") for part in found)
    return b"".join([part.content for part in found]), sum(part.rows for part in found)


async def table(stage: Stage, where: Filter = ALL, *, guarded: bool = False) -> list[tuple[Any, ...]]:
    """The rows, which are the same by records and by lines, and as many as are counted."""
    header = ",".join(column.name for column in COLUMNS).encode() + b"\r\n"
    async with stage.tables.snapshot(where) as snapshot:
        count = await snapshot.count()
        records, rows = await joined(snapshot.records(guarded=guarded))
        plain, _ = await joined(snapshot.records(guarded=False))
        lines, lines_rows = await joined(snapshot.lines())
    found = read_csv(header + records, COLUMNS)
    assert count == rows == lines_rows == len(found)
    by_records = [_with_json(row) for row in read_csv(header + plain, COLUMNS)]
    assert by_records == [_row_of(line) for line in lines.split(b"\n")[:-1]]
    return found


def _with_json(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*row[:5], json.loads(row[5]), *row[6:])


def _row_of(line: bytes) -> tuple[Any, ...]:
    found = json.loads(line)
    assert list(found) == [column.name for column in COLUMNS]
    times = {column.name for column in COLUMNS if column.type is ColumnType.TIME}
    return tuple(time_of(value) if name in times and value is not None else value for name, value in found.items())


def expected(one: Resource) -> tuple[Any, ...]:
    return tuple(cell(one, column.name, as_text=False) for column in COLUMNS)


async def add(stage: Stage, by: User, name: str, **fields: Any) -> Resource:
    updated_at = fields.pop("updated_at", None)
    added = await stage.resources.add(replace(resource(name, by=by), **fields))
    if updated_at is None:
        return added
    revised = replace(added, updated_at=updated_at, version=added.version + 1)
    async with stage.unit_of_work() as work:
        await work.resources.save(revised)
        await work.commit()
    return revised


class ResourceTablesContract:
    @QUICK
    @given(made=st.lists(st.tuples(NAMES, MADE), min_size=1, max_size=6))
    async def test_every_cell_is_that_of_the_resource(self, stage: Stage, made: list[tuple[str, dict[str, Any]]]) -> None:
        slug = f"s{stage_number()}"
        await stage.project(slug)
        by = await stage.user(f"ada{stage_number()}")
        wanted = [await add(stage, by, f"{text} {number}", project=slug, **fields) for number, (text, fields) in enumerate(made)]
        found = await table(stage, Filter(project=slug))
        assert [_with_json(row) for row in found] == [expected(one) for one in wanted]

    @pytest.mark.parametrize("text", ODD)
    async def test_guarded_only_what_a_spreadsheet_would_run_differs(self, stage: Stage, text: str) -> None:
        await stage.project()
        name = text if text.strip() else "a name"
        await add(stage, await stage.user(), name, description=text)
        (plain,), (guarded,) = await table(stage), await table(stage, guarded=True)
        runs = text[0] in "=+-@\t\r＝＋－＠"
        assert guarded[3] == ("'" + text if runs else text)
        assert guarded[2] == ("'" + name if runs else name)
        assert (*guarded[:2], *guarded[4:]) == (*plain[:2], *plain[4:])

    async def test_null_and_empty_are_told_apart(self, stage: Stage) -> None:
        await stage.project()
        by = await stage.user()
        await add(stage, by, "a", description=None)
        await add(stage, by, "b", description="")
        async with stage.tables.snapshot(ALL) as snapshot:
            records, _ = await joined(snapshot.records(guarded=True))
        assert [record[3] for record in csv_records(records.decode())] == [None, ""]

    async def test_filters_are_those_of_the_list(self, stage: Stage) -> None:
        await stage.project()
        await stage.project("other")
        by = await stage.user()
        await add(stage, by, "One 100%", status=Status.PENDING)
        await add(stage, by, "two", description="ONE")
        await add(stage, by, "one", project="other")
        gone = await add(stage, by, "one, put away")
        async with stage.unit_of_work() as work:
            await work.resources.save(replace(gone, deleted_at=NOW, updated_at=NOW, version=2))
            await work.commit()

        async def names(**where: Any) -> list[str]:
            return [row[2] for row in await table(stage, Filter(project="story", **where))]

        assert await names() == ["One 100%", "two"]
        assert await names(search="one") == ["One 100%", "two"]
        assert await names(search="0%") == ["One 100%"]
        assert await names(search="_") == []
        assert await names(status=Status.PENDING) == ["One 100%"]
        assert await names(status=Status.PENDING, search="two") == []

    async def test_a_project_that_is_not_there_has_no_table(self, stage: Stage) -> None:
        await stage.project()
        await stage.put_away()
        for slug in ("story", "unknown"):
            with pytest.raises(NotFound):
                async with stage.tables.snapshot(Filter(project=slug)):
                    pass

    async def test_what_changes_meanwhile_is_not_seen(self, stage: Stage) -> None:
        await stage.project()
        by = await stage.user()
        first = await add(stage, by, "first")
        async with stage.tables.snapshot(ALL) as snapshot:
            assert await snapshot.count() == 1
            await add(stage, by, "second")
            async with stage.unit_of_work() as work:
                await work.resources.save(replace(first, name="changed", updated_at=NOW, version=2))
                await work.commit()
            records, _ = await joined(snapshot.records(guarded=False))
            assert await snapshot.count() == 1
        assert [record[2] for record in csv_records(records.decode())] == ["first"]

    async def test_too_many_at_once_are_refused_until_one_is_left(self, stage: Stage) -> None:
        await stage.project()
        async with AsyncExitStack() as held:
            for _ in range(SNAPSHOTS_AT_ONCE):
                await held.enter_async_context(stage.tables.snapshot(ALL))
            for _ in range(2):
                with pytest.raises(TooManyTables) as refused:
                    await table(stage)
                assert 1 <= refused.value.retry_after <= 60
        for _ in range(2 * SNAPSHOTS_AT_ONCE):
            with pytest.raises(NotFound):
                async with stage.tables.snapshot(Filter(project="unknown")):
                    pass
        assert await table(stage) == []

    async def test_who_leaves_early_leaves_room(self, stage: Stage) -> None:
        await stage.project()
        await add(stage, await stage.user(), "one")

        async def dawdle(begun: asyncio.Event) -> None:
            async with stage.tables.snapshot(ALL) as snapshot, aclosing(snapshot.records(guarded=True)) as parts:
                async for _ in parts:
                    begun.set()
                    await asyncio.Event().wait()

        for _ in range(2 * SNAPSHOTS_AT_ONCE):
            begun = asyncio.Event()
            task = asyncio.create_task(dawdle(begun))
            await begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert len(await table(stage)) == 1


_number = 0


def stage_number() -> int:
    global _number
    _number += 1
    return _number


class TestFakeResourceTables(InMemory, ResourceTablesContract):
    pass


class TestPostgresResourceTables(InPostgres, ResourceTablesContract):
    @QUICK
    @given(made=st.lists(st.tuples(NAMES, MADE), min_size=1, max_size=6), guarded=st.booleans())
    async def test_copy_writes_the_bytes_that_our_writer_writes(
        self, stage: Stage, made: list[tuple[str, dict[str, Any]]], *, guarded: bool
    ) -> None:
        slug = f"s{stage_number()}"
        await stage.project(slug)
        by = await stage.user(f"ada{stage_number()}")
        for number, (text, fields) in enumerate(made):
            await add(stage, by, f"{text} {number}", project=slug, **fields)
        async with stage.tables.snapshot(Filter(project=slug)) as snapshot:
            copied, _ = await joined(snapshot.records(guarded=guarded))
            plain, _ = await joined(snapshot.records(guarded=False))
        writer = CsvWriter(COLUMNS, guarded=guarded)
        header = writer.begin()
        assert copied == writer.rows(read_csv(CsvWriter(COLUMNS, guarded=False).begin() + plain, COLUMNS))
        assert header == b"id,project,name,description,status,attributes,created_by,created_at,updated_at,is_active,version\r\n"


MANY = """
INSERT INTO resources (project_id, name, name_key, search_text, description, status, attributes, created_by, owner_id, created_at, version)
SELECT $1, 'r' || n, 'r' || n, 'r' || n, repeat('x', 200), 'active', '{}', $2, $2, now(), 1 FROM generate_series(1, $3) AS n
"""


async def fill(pool: Pool, project_id: int, user_id: int, number: int) -> None:
    """Put so many resources there, which may take longer than a request has."""
    async with lent(pool) as connection, connection.transaction():
        await connection.execute("SET LOCAL statement_timeout = '60s'")
        await connection.execute(MANY, project_id, user_id, number)


OPEN = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND xact_start IS NOT NULL AND pid != pg_backend_pid()
"""


async def test_parts_are_small_and_the_server_waits_for_them(pool: Pool) -> None:
    stage = stage_in_postgres(pool)
    project, by = await stage.project(), await stage.user()
    await fill(pool, project.id, by.id, 60_000)
    async with stage.tables.snapshot(ALL) as snapshot, aclosing(snapshot.records(guarded=True)) as parts:
        first = await anext(parts)
        await asyncio.sleep(0.3)  # time enough to run ahead, for a server that would
        async with lent(pool) as connection:
            state = await connection.fetchrow(
                "SELECT state, wait_event FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'COPY%'"
            )
        assert state is not None
        assert (state["state"], state["wait_event"]) == ("active", "ClientWrite")
        sizes = [len(first.content)] + [len(part.content) async for part in parts]
    assert sum(sizes) > 15_000_000
    assert max(sizes) < 600_000


@pytest.mark.parametrize("kind", [Format.CSV, Format.NDJSON])
async def test_leaving_midway_ends_the_work_of_the_server_at_once(pool: Pool, kind: Format) -> None:
    stage = stage_in_postgres(pool)
    project, by = await stage.project(), await stage.user()
    await fill(pool, project.id, by.id, 60_000)
    async with stage.tables.snapshot(ALL) as snapshot:
        async with aclosing(snapshot.records(guarded=True) if kind is Format.CSV else snapshot.lines()) as parts:
            await anext(parts)
    async with lent(pool) as connection:
        async with asyncio.timeout(10):
            while await connection.fetchval(OPEN):  # noqa: ASYNC110 - what is waited for happens in another process
                await asyncio.sleep(0.02)
    assert pool.used == 0


async def test_a_description_of_the_greatest_length_is_one_row(pool: Pool) -> None:
    stage = stage_in_postgres(pool)
    await stage.project()
    long = "=" + '"\n' * (DESCRIPTION_MAX // 2 - 1)
    await add(stage, await stage.user(), "long", description=long)
    (row,) = await table(stage)
    assert row[3] == long
