"""Tables of resources on their way in: the sentences of `ResourceImports`, told by the use case over it."""

import asyncio
import io
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from adapters.postgres.database import Pool, Statement
from adapters.postgres.resource import reader as reading
from adapters.postgres.resource_import import ahead, repository, statements
from adapters.postgres.resource_import.ahead import Ahead, RowsBroken
from adapters.postgres.resource_import.lines import lines_of
from application.resource_import import Imported, ImportResources, TableFile
from domain.abridgement import WHOLE_BYTES, abridged
from domain.access import Role
from domain.audit import AuditFilter
from domain.errors import NotFound, Unavailable
from domain.resource import Filter, NameTaken, SearchTooShort, Sort, Status
from domain.resource_import import InvalidRows, Judged, Judging, Mode, Piece, PlanOutdated, TableKind, Unreadable
from domain.user import User
from tests.conftest import EMPTY
from tests.contracts.stage import InMemory, InPostgres, Stage, stage_in_memory, stage_in_postgres
from tests.examples import NOW, resource
from tests.fakes.resource_import import FakeImportTables
from tests.fakes.system import FakeClock
from tests.postgres import lent

Rows = list[dict[str, Any]]

FIELDS = ("name", "description", "status", "attributes")


def importing(stage: Stage) -> ImportResources:
    return ImportResources(unit_of_work=stage.unit_of_work, tables=FakeImportTables(), clock=FakeClock())


def table_of(rows: Rows) -> TableFile:
    data = b"".join(json.dumps(row).encode() + b"\n" for row in rows) or b"\n"
    return TableFile(kind=TableKind.NDJSON, file=io.BytesIO(data), digest=sha256(data).digest())


async def send(stage: Stage, by: User, rows: Rows, mode: Mode, project: str = "story", **options: Any) -> Imported:
    return await importing(stage)(table=table_of(rows), project=project, mode=mode, by=by, **options)


async def living(stage: Stage, project: str = "story", *others: str) -> Rows:
    """What every live resource holds, by id."""
    page = await stage.reader.page(Filter(project=project), sort=Sort.ID, limit=1000)
    return [{field: each[field] for field in (*FIELDS, *others)} for each in json.loads(page.json)]


def counts(done: Imported) -> tuple[int, int, int, int]:
    return done.inserted, done.updated, done.deleted, done.unchanged


def full(name: str, description: str | None = None, status: str = "active", attributes: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"name": name, "description": description, "status": status, "attributes": attributes or {}}


class ResourceImportsContract:
    @pytest.fixture
    async def ada(self, stage: Stage) -> User:
        await stage.project("story")
        return await stage.user("ada", role=Role.ADMIN)

    async def test_new_rows_become_resources_of_who_imports(self, stage: Stage, ada: User) -> None:
        rows = [
            full("Ä", "\t\\N\r\n".replace("\r", ""), "pending", {"b": [1, 2.5, None, True, "\\ü\n"], "a": {}}),
            full("b", ""),
            {"name": "c"},
        ]
        done = await send(stage, ada, rows, Mode.INSERT)
        assert (done.rows, counts(done), done.dry_run) == (3, (3, 0, 0, 0), False)
        assert await living(stage) == [*rows[:2], full("c")]
        owners = await living(stage, "story", "created_by", "version", "updated_at")
        assert {(each["created_by"], each["version"], each["updated_at"]) for each in owners} == {("ada", 1, None)}

    async def test_only_what_a_row_gives_changes(self, stage: Stage, ada: User) -> None:
        await stage.resources.add(resource("Figure", by=ada, description="Old", status=Status.PENDING, attributes={"a": 1}))
        assert counts(await send(stage, ada, [{"name": " FIGURE"}], Mode.UPSERT)) == (0, 1, 0, 0)
        assert await living(stage) == [full(" FIGURE", "Old", "pending", {"a": 1})]
        assert counts(await send(stage, ada, [{"name": " FIGURE", "description": "New"}], Mode.UPSERT)) == (0, 1, 0, 0)
        assert await living(stage) == [full(" FIGURE", "New", "pending", {"a": 1})]
        assert await stage.reader.count(Filter(project="story", search="figure")) == 1
        assert await stage.reader.count(Filter(project="story", search="new")) == 1
        assert await stage.reader.count(Filter(project="story", search="old")) == 0

    async def test_null_clears_a_description_and_stands_for_a_default(self, stage: Stage, ada: User) -> None:
        await stage.resources.add(resource("a", by=ada, description="Old", status=Status.PENDING, attributes={"a": 1}))
        row = {"name": "a", "description": None, "status": None, "attributes": None}
        assert counts(await send(stage, ada, [row], Mode.UPSERT)) == (0, 1, 0, 0)
        assert await living(stage, "story", "version") == [full("a") | {"version": 2}]
        assert counts(await send(stage, ada, [row], Mode.UPSERT)) == (0, 0, 0, 1)

    async def test_what_is_imported_again_stays_as_it_is(self, stage: Stage, ada: User) -> None:
        rows = [full("a", "x", "pending", {"n": 1.0, "m": [1e16, True]}), full("b")]
        await send(stage, ada, rows, Mode.INSERT)
        before = await living(stage, "story", "version", "updated_at")
        for mode in (Mode.UPSERT, Mode.REPLACE):
            assert counts(await send(stage, ada, rows, mode)) == (0, 0, 0, 2)
        assert await living(stage, "story", "version", "updated_at") == before

    async def test_true_is_not_one(self, stage: Stage, ada: User) -> None:
        await send(stage, ada, [full("a", attributes={"x": True})], Mode.INSERT)
        assert counts(await send(stage, ada, [full("a", attributes={"x": 1})], Mode.UPSERT)) == (0, 1, 0, 0)

    async def test_replacing_puts_away_what_is_not_named_and_frees_its_name(self, stage: Stage, ada: User) -> None:
        await stage.project("other")
        await send(stage, ada, [full("a"), full("b"), full("c")], Mode.INSERT)
        await send(stage, ada, [full("a")], Mode.INSERT, project="other")
        assert counts(await send(stage, ada, [full("b"), full("c", "new"), full("d")], Mode.REPLACE)) == (1, 1, 1, 1)
        assert await living(stage) == [full("b"), full("c", "new"), full("d")]
        assert await living(stage, "other") == [full("a")]
        assert counts(await send(stage, ada, [full("a")], Mode.INSERT)) == (1, 0, 0, 0)

    async def test_faults_are_told_by_row_and_nothing_is_stored(self, stage: Stage, ada: User) -> None:
        await send(stage, ada, [full("taken")], Mode.INSERT)
        rows: Rows = [
            {"name": "TAKEN "},
            {"name": "x" * 256},
            {"name": "a"},
            {"name": "A", "status": "lost"},
            {"name": "b", "description": "\x00", "attributes": []},
            {"description": "nobody"},
            {"name": "B"},
            {"name": "fine"},
        ]
        with pytest.raises(InvalidRows) as caught:
            await send(stage, ada, rows, Mode.INSERT)
        assert [(each.row, each.field, each.code) for each in caught.value.row_faults] == [
            (1, "name", "name-taken"),
            (2, "name", "too-long"),
            (4, "status", "bad-status"),
            (4, "name", "name-repeated"),
            (5, "description", "control-character"),
            (5, "attributes", "bad-type"),
            (6, "name", "missing"),
            (7, "name", "name-repeated"),
        ]
        assert caught.value.rows_failed == 6
        assert await living(stage) == [full("taken")]

    async def test_the_first_thousand_faults_are_told_and_all_rows_counted(self, stage: Stage, ada: User) -> None:
        rows = [{"name": "same"} if number % 2 else {"name": ""} for number in range(2400)]
        with pytest.raises(InvalidRows) as caught:
            await send(stage, ada, rows, Mode.UPSERT)
        assert len(caught.value.row_faults) == 1000
        assert [each.row for each in caught.value.row_faults][-1] == 1001
        assert caught.value.rows_failed == 2399

    async def test_a_dry_run_says_what_the_import_does_and_does_nothing(self, stage: Stage, ada: User) -> None:
        await send(stage, ada, [full("a"), full("b")], Mode.INSERT)
        rows = [full("b", "new"), full("c")]
        planned = await send(stage, ada, rows, Mode.REPLACE, dry_run=True)
        assert await living(stage) == [full("a"), full("b")]
        assert await send(stage, ada, rows, Mode.REPLACE, dry_run=True) == planned
        done = await send(stage, ada, rows, Mode.REPLACE, plan=planned.plan)
        assert done == replace(planned, dry_run=False)
        with pytest.raises(PlanOutdated):
            await send(stage, ada, rows, Mode.REPLACE, plan=planned.plan)

    @pytest.mark.parametrize("change", ["version", "new", "gone", "rows", "mode", "nonsense"])
    async def test_a_plan_is_outdated_by_whatever_changes_what_it_does(self, stage: Stage, ada: User, change: str) -> None:
        await send(stage, ada, [full("a"), full("b")], Mode.INSERT)
        rows, mode = [full("b", "new"), full("c")], Mode.REPLACE
        plan = (await send(stage, ada, rows, mode, dry_run=True)).plan
        match change:
            case "version":
                await send(stage, ada, [full("a", "other")], Mode.UPSERT)
            case "new":
                await send(stage, ada, [full("z")], Mode.UPSERT)
            case "gone":
                await send(stage, ada, [full("a")], Mode.REPLACE)
            case "rows":
                rows = [full("b", "new"), full("d")]
            case "mode":
                mode = Mode.UPSERT
            case "nonsense":
                plan = "x"
        before = await living(stage)
        with pytest.raises(PlanOutdated):
            await send(stage, ada, rows, mode, plan=plan)
        assert await living(stage) == before

    async def test_a_plan_of_new_rows_holds_and_nothing_is_stored_under_another(self, stage: Stage, ada: User) -> None:
        await send(stage, ada, [full("a")], Mode.INSERT)
        rows = [full("b"), full("c")]
        planned = await send(stage, ada, rows, Mode.INSERT, dry_run=True)
        for plan, sent in ((planned.plan, rows[:1]), ("x", rows)):
            with pytest.raises(PlanOutdated):
                await send(stage, ada, sent, Mode.INSERT, plan=plan)
        assert await living(stage) == [full("a")]
        assert await send(stage, ada, rows, Mode.INSERT, plan=planned.plan) == replace(planned, dry_run=False)
        assert await living(stage) == [full("a"), *rows]

    async def test_new_rows_are_stored_as_they_come(self, stage: Stage, ada: User) -> None:
        rows = [full(f"n{number}", "x" if number % 2 else None, attributes={"n": number}) for number in range(20)]
        pieces = list(FakeImportTables().pieces(TableKind.NDJSON, table_of(rows).file))
        assert len(pieces) == 20
        async with stage.unit_of_work() as work:
            await work.imports.begin("story")
            effect = await work.imports.insert(Judging().judged(pieces), by=ada, at=FakeClock().now())
            assert effect is not None
            assert (effect.inserted, effect.updated, effect.deleted, effect.unchanged) == (20, 0, 0, 0)
            await work.commit()
        assert await living(stage) == rows

    @pytest.mark.parametrize(
        ("last", "code"),
        [({"name": "TAKEN"}, "name-taken"), ({"name": " N3"}, "name-repeated"), ({"name": "x", "status": "lost"}, "bad-status")],
    )
    async def test_what_was_inserted_before_a_fault_goes_with_it(self, stage: Stage, ada: User, last: dict[str, Any], code: str) -> None:
        await send(stage, ada, [full("taken")], Mode.INSERT)
        rows: Rows = [*(full(f"n{number}") for number in range(20)), last, full("fine")]
        pieces = list(FakeImportTables().pieces(TableKind.NDJSON, table_of(rows).file))
        async with stage.unit_of_work() as work:
            await work.imports.begin("story")
            assert await work.imports.insert(Judging().judged(pieces), by=ada, at=FakeClock().now()) is None
            await work.commit()
        assert await living(stage) == [full("taken")]
        with pytest.raises(InvalidRows) as caught:
            await send(stage, ada, rows, Mode.INSERT)
        assert [(each.row, each.code) for each in caught.value.row_faults] == [(21, code)]
        assert caught.value.rows_failed == 1
        assert await living(stage) == [full("taken")]
        assert counts(await send(stage, ada, rows[:20], Mode.INSERT)) == (20, 0, 0, 0)

    async def test_what_does_not_concern_it_leaves_a_plan_good(self, stage: Stage, ada: User) -> None:
        await send(stage, ada, [full("a"), full("b")], Mode.INSERT)
        plan = (await send(stage, ada, [full("b", "new")], Mode.UPSERT, dry_run=True)).plan
        await send(stage, ada, [full("a", "other"), full("z")], Mode.UPSERT)
        assert counts(await send(stage, ada, [full("b", "new")], Mode.UPSERT, plan=plan)) == (0, 1, 0, 0)

    async def test_without_its_project_a_table_has_no_place(self, stage: Stage, ada: User) -> None:
        with pytest.raises(NotFound):
            await send(stage, ada, [full("a")], Mode.INSERT, project="unknown")
        await stage.put_away("story")
        with pytest.raises(NotFound):
            await send(stage, ada, [full("a")], Mode.INSERT)

    async def test_a_table_without_rows_replaces_everything(self, stage: Stage, ada: User) -> None:
        await send(stage, ada, [full("a")], Mode.INSERT)
        assert counts(await send(stage, ada, [], Mode.UPSERT)) == (0, 0, 0, 0)
        assert counts(await send(stage, ada, [], Mode.REPLACE)) == (0, 0, 1, 0)
        assert await living(stage) == []

    async def test_leaving_without_a_commit_stores_nothing(self, stage: Stage, ada: User) -> None:
        async with stage.unit_of_work() as work:
            await importing(stage).within(work, table=table_of([full("a")]), project="story", mode=Mode.INSERT, by=ada)
        assert await living(stage) == []

    @pytest.mark.parametrize("pad", ["x", "é", "日", "🙂", '"'])
    async def test_of_a_large_value_the_trail_keeps_the_hash_and_the_beginning(self, stage: Stage, ada: User, pad: str) -> None:
        for size in range(WHOLE_BYTES - 30, WHOLE_BYTES, 7):
            old = {"bb": [1.5, -0.0, 1e21, 1e-7, True], "a": pad * size, "é": {"deep": None}}
            new = old | {"more": size}
            await send(stage, ada, [full("a", pad * size) | {"attributes": old}], Mode.UPSERT)
            await send(stage, ada, [full("a", "short") | {"attributes": new}], Mode.UPSERT)
            where = AuditFilter(action="resource.update")
            (told,) = await stage.audit.page(where, before=None, limit=1)
            found = {each.field: (each.before, each.after) for each in told.record.entry.changes}
            assert found == {"description": (abridged(pad * size), "short"), "attributes": (abridged(old), abridged(new))}


def judged(*names: str) -> Judged:
    return next(Judging().judged([Piece(numbers=range(1, len(names) + 1), columns={"name": list(names)})]))


class TestAhead:
    """Lines are made ahead of whoever takes them."""

    async def test_every_piece_comes_once_and_in_order_however_little_waits(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ahead, "AHEAD_BYTES", 200)
        pieces = [judged(*(f"n{number} {row}" for row in range(number % 5))) for number in range(100)]
        async with Ahead(iter(pieces)) as lines:
            assert [each async for each in lines] == [each for each in map(lines_of, pieces) if each]

    @pytest.mark.parametrize("kind", [RowsBroken, Unreadable])
    async def test_what_is_wrong_is_told_before_what_waits(self, kind: type[Exception]) -> None:
        def rows() -> Iterator[Judged]:
            yield from map(judged, "abc")
            if kind is Unreadable:
                raise Unreadable
            yield judged("")
            raise AssertionError("it goes on after a fault")

        async with Ahead(rows()) as lines:
            with pytest.raises(kind):
                await lines._task
            with pytest.raises(kind):
                await anext(aiter(lines))

    async def test_it_goes_ahead_so_far_and_no_further(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ahead, "AHEAD_BYTES", 1000)
        made = threading.Semaphore(0)
        one = judged("a" * 100)
        size, number = len(lines_of(one)), 0

        def rows() -> Iterator[Judged]:
            while True:
                made.release()
                yield one

        async with Ahead(rows()) as lines:
            while number < 100 and await asyncio.to_thread(made.acquire, timeout=0.3):
                number += 1
            assert number * size < 1000 + 3 * size
            taken = aiter(lines)
            for _ in range(number - 1):
                await anext(taken)
            assert await asyncio.to_thread(made.acquire, timeout=10)


class TestFakeResourceImports(InMemory, ResourceImportsContract):
    pass


class TestPostgresResourceImports(InPostgres, ResourceImportsContract):
    async def test_a_second_import_of_a_project_is_told_to_wait(self, stage: Stage, ada: User) -> None:
        async with stage.unit_of_work() as work:
            await work.imports.begin("story")
            with pytest.raises(Unavailable):
                await send(stage, ada, [full("a")], Mode.INSERT)
        assert counts(await send(stage, ada, [full("a")], Mode.INSERT)) == (1, 0, 0, 0)

    @pytest.mark.parametrize("mode", Mode)
    async def test_what_moves_between_looking_and_doing_is_looked_at_again(self, stage: Stage, ada: User, mode: Mode) -> None:
        """A name is taken, a resource changed, another put away: each once the effect is known."""
        old = await stage.resources.add(resource("old", by=ada))
        async with stage.unit_of_work() as work:
            await work.imports.begin("story")
            table = table_of([full("new")] if mode is Mode.INSERT else [full("new"), full("old", "changed")])
            await work.imports.stage(Judging().judged(FakeImportTables().pieces(table.kind, table.file)))
            await work.imports.effect(deleting=mode is Mode.REPLACE)
            if mode is Mode.INSERT:
                await stage.resources.add(resource("NEW", by=ada))
            else:
                async with stage.unit_of_work() as other:
                    found = await other.resources.lock(project="story", resource_id=old.id)
                    await other.resources.save(replace(found, description="theirs", updated_at=NOW, version=found.version + 1))
                    await other.commit()
            assert not await work.imports.apply(by=ada, at=FakeClock().now())
            if mode is Mode.INSERT:
                assert [fault.code for fault in (await work.imports.faults(taken=True))[0]] == ["name-taken"]
            else:
                assert (await work.imports.effect(deleting=mode is Mode.REPLACE)).updated == 1
                assert await work.imports.apply(by=ada, at=FakeClock().now())
                await work.commit()
        assert len(await living(stage)) == 2

    async def test_among_creates_and_edits_nothing_is_lost_or_doubled(self, stage: Stage, ada: User) -> None:
        names = [f"n{number}" for number in range(30)]

        async def create(name: str) -> bool:
            try:
                await stage.resources.add(resource(name, by=ada, description="theirs"))
            except NameTaken:
                return False
            return True

        async def edit(name: str) -> int:
            async with stage.unit_of_work() as work:
                found = await work.resources.lock_by_name(project="story", name=name)
                if found is None:
                    return 0
                await work.resources.save(replace(found, attributes={"edited": True}, updated_at=NOW, version=found.version + 1))
                await work.commit()
            return 1

        async def load(first: int) -> int:
            rows = [{"name": name, "description": f"import {first}"} for name in names[first:]]
            while True:
                try:
                    done = await send(stage, ada, rows, Mode.UPSERT)
                except Unavailable:
                    await asyncio.sleep(0.01)  # its turn comes
                    continue
                return done.inserted + done.updated

        work = [*(create(name) for name in names), *(edit(name) for name in names), *(load(first) for first in (0, 10, 20))]
        results = await asyncio.gather(*work)
        found = await living(stage, "story", "version")
        assert sorted(each["name"] for each in found) == sorted(names)
        assert {each["description"] for each in found} <= {f"import {first}" for first in (0, 10, 20)} | {"theirs"}
        changes = sum(each["version"] for each in found)
        assert changes == sum(map(int, results))  # every change that was told of is there, and no other
        assert sum(each["attributes"] == {"edited": True} for each in found) == sum(map(int, results[30:60]))

    @pytest.mark.parametrize("is_owner", [True, False])
    async def test_the_search_index_is_put_in_order_beside(
        self, stage: Stage, ada: User, pool: Pool, monkeypatch: pytest.MonkeyPatch, *, is_owner: bool
    ) -> None:
        monkeypatch.setattr(repository, "MANY", 0)
        if not is_owner:  # whoever may not do it is no worse off
            monkeypatch.setattr(statements, "TIDY_SEARCH", Statement(text("SELECT CAST(NULL AS bigint) AS pages")))
        rows = [full(f"n{number}", "some words to be found") for number in range(200)]
        assert counts(await send(stage, ada, rows, Mode.INSERT)) == (200, 0, 0, 0)
        assert await stage.reader.count(Filter(project="story", search="words to be")) == 200
        async with lent(pool) as connection:
            left = await connection.fetchval("SELECT gin_clean_pending_list('ix_resources_search')")
        assert (left == 0) is is_owner

    async def test_every_change_is_told_in_the_trail(self, stage: Stage, ada: User, pool: Pool) -> None:
        await send(stage, ada, [full("a", "x"), full("b"), full("c")], Mode.INSERT)
        await send(stage, ada, [full("A", None, "pending"), full("b"), full("d")], Mode.REPLACE)
        async with lent(pool) as connection:
            rows = await connection.fetch("SELECT action, target_id, changes, actor_id, project FROM audit_entries ORDER BY id")
        assert {(row["actor_id"], row["project"]) for row in rows} == {(ada.id, "story")}
        told = [(row["action"], row["target_id"]) for row in rows]
        assert told[:4] == [("resource.create", 1), ("resource.create", 2), ("resource.create", 3), ("resource.import", "story")]
        assert told[4:6] == [("resource.delete", 3), ("resource.update", 1)]
        assert told[6][0] == "resource.create"
        assert told[7] == ("resource.import", "story")
        assert rows[0]["changes"] == rows[4]["changes"] == []
        assert rows[5]["changes"] == [
            {"field": "name", "from": "a", "to": "A"},
            {"field": "description", "from": "x", "to": None},
            {"field": "status", "from": "active", "to": "pending"},
        ]


@pytest.mark.parametrize("term", ["a", "ab", "-", "日本", "a-b"])
async def test_a_text_that_no_index_knows_is_refused_where_resources_are_many(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, term: str
) -> None:
    stage = stage_in_postgres(pool)
    await stage.project("story")
    ada = await stage.user("ada", role=Role.ADMIN)
    await send(stage, ada, [full(f"{term} {number}") for number in range(3)], Mode.INSERT)
    where = Filter(project="story", search=term)
    assert await stage.reader.count(where) == 3
    monkeypatch.setattr(reading, "SCANNED", 2)
    for asked in (
        stage.reader.count(where),
        stage.reader.page(where, sort=Sort.ID, limit=1),
        stage.reader.numbered_page(where, sort=Sort.ID, page=1, per_page=1),
    ):
        with pytest.raises(SearchTooShort):
            await asked
    assert await stage.reader.count(Filter(project="story", search=f"{term} ab1")) == 0


NAMES = st.sampled_from(["a", "A", " a", "b", "B ", "ß", "SS", "é", "e\u0301", "c", "d"])
TEXTS = st.none() | st.sampled_from(["", "x", "Ünder\tlined\n", "İstanbul ΣΊΣΥΦΟΣ", "\\N", "a\\tb"])
OBJECTS = st.none() | st.sampled_from([{}, {"x": 1}, {"x": True}, {"x": 1.5}, {"y": ["\\", '"', "\n", None]}, {"x": 1e16}])
ROW = st.fixed_dictionaries(
    {"name": NAMES},
    optional={"description": TEXTS, "status": st.none() | st.sampled_from([*map(str, Status), "lost"]), "attributes": OBJECTS},
)
STEP = st.tuples(st.lists(ROW, max_size=6), st.sampled_from(Mode), st.booleans())


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEP, min_size=1, max_size=4))
async def test_postgres_and_the_model_agree_on_any_run_of_imports(pool: Pool, steps: list[tuple[Rows, Mode, bool]]) -> None:
    async with lent(pool) as connection:
        await connection.execute(EMPTY)
    stages = [stage_in_memory(), stage_in_postgres(pool)]
    people = [await stage.user("ada", role=Role.ADMIN) for stage in stages]
    for stage in stages:
        await stage.project("story")
    for rows, mode, plans_first in steps:
        outcomes: list[Any] = []
        for stage, by in zip(stages, people, strict=True):
            try:
                plan = (await send(stage, by, rows, mode, dry_run=True)).plan if plans_first else None
                done = await send(stage, by, rows, mode, plan=plan)
                outcomes.append((done.rows, counts(done)))
            except InvalidRows as error:
                outcomes.append((error.row_faults, error.rows_failed))
        assert outcomes[0] == outcomes[1]
        found = [sorted(await living(stage, "story", "version"), key=lambda each: str(each["name"])) for stage in stages]
        assert found[0] == found[1]
        for word in ("ünder", "straße", "i̇stanbul σίσυφος", "ss", "x"):
            numbers = [await stage.reader.count(Filter(project="story", search=word)) for stage in stages]
            assert numbers[0] == numbers[1]
