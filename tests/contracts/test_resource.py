"""Resources, for changing and for reading: the sentences of `Resources` and `ResourceReader`."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from application.ports import After
from application.resource import resource_entry
from domain.audit import AuditFilter, Recorded
from domain.errors import NotFound
from domain.resource import Filter, NameTaken, Resource, Sort, Status
from domain.user import User
from tests.contracts.stage import REQUEST, InMemory, InPostgres, Stage
from tests.examples import NOW, resource

STORY = Filter(project="story")
SECOND = timedelta(seconds=1)


async def save(stage: Stage, changed: Resource) -> Resource:
    async with stage.unit_of_work() as work:
        await work.resources.lock(project=changed.project, resource_id=changed.id, deleted=True)
        await work.resources.save(changed)
        await work.commit()
    return changed


async def put_away(stage: Stage, found: Resource) -> Resource:
    return await save(stage, replace(found, deleted_at=NOW, updated_at=NOW, version=found.version + 1))


class ResourcesContract:
    @pytest.fixture
    async def ada(self, stage: Stage) -> User:
        await stage.project("story")
        return await stage.user("ada")

    async def test_a_resource_is_found_again(self, stage: Stage, ada: User) -> None:
        content: dict[str, Any] = {
            "attributes": {"b": [1, 2.5, None, True, "ü\U0001f600"], "a": {}},
            "description": "",
            "status": Status.PENDING,
        }
        added = await stage.resources.add(resource("Figure 1", by=ada, **content))
        assert added.id > 0
        async with stage.unit_of_work() as work:
            assert await work.resources.lock(project="story", resource_id=added.id) == added

    async def test_without_its_project_a_resource_has_no_place(self, stage: Stage, ada: User) -> None:
        with pytest.raises(NotFound):
            await stage.resources.add(resource(by=ada, project="unknown"))
        await stage.put_away("story")
        with pytest.raises(NotFound):
            await stage.resources.add(resource(by=ada))

    @pytest.mark.parametrize("same", ["Straße", "STRASSE", " strasse\n", "\tSTRAßE "])
    async def test_a_name_is_taken_whatever_its_case_composition_or_margins(self, stage: Stage, ada: User, same: str) -> None:
        await stage.resources.add(resource("Straße", by=ada))
        with pytest.raises(NameTaken):
            await stage.resources.add(resource(same, by=ada))

    async def test_a_name_is_taken_in_one_project_only(self, stage: Stage, ada: User) -> None:
        await stage.project("other")
        first = await stage.resources.add(resource("Figure 1", by=ada))
        second = await stage.resources.add(resource("Figure 1", by=ada, project="other"))
        assert first.id != second.id

    async def test_a_name_is_free_once_its_resource_was_deleted(self, stage: Stage, ada: User) -> None:
        await put_away(stage, await stage.resources.add(resource("Figure 1", by=ada)))
        assert await stage.resources.add(resource("Figure 1", by=ada))

    async def test_ids_are_found_by_name_where_the_resource_lives(self, stage: Stage, ada: User) -> None:
        await stage.project("elsewhere")
        one = await stage.resources.add(resource("One", by=ada))
        gone = await stage.resources.add(resource("Gone", by=ada))
        await stage.resources.add(resource("Two", by=ada, project="elsewhere"))
        async with stage.unit_of_work() as work:
            await work.resources.save(replace(gone, deleted_at=NOW, updated_at=NOW, version=2))
            assert await work.resources.ids(project="story", names=["one", "gone", "two", "x"]) == {"one": one.id}

    async def test_of_many_who_want_a_name_at_once_one_gets_it(self, stage: Stage, ada: User) -> None:
        made = await asyncio.gather(*(stage.resources.add(resource("Figure 1", by=ada)) for _ in range(8)), return_exceptions=True)
        assert sorted(type(each).__name__ for each in made) == ["NameTaken"] * 7 + ["Resource"]

    async def test_what_was_saved_is_what_is_there(self, stage: Stage, ada: User) -> None:
        added = await stage.resources.add(resource(by=ada, description="Old"))
        changed = replace(
            added, name="Figure 2", description=None, status=Status.INACTIVE, attributes={"a": 1}, updated_at=NOW + SECOND, version=2
        )
        await save(stage, changed)
        async with stage.unit_of_work() as work:
            assert await work.resources.lock(project="story", resource_id=added.id) == changed

    async def test_a_rename_to_a_taken_name_is_refused_and_stores_nothing(self, stage: Stage, ada: User) -> None:
        await stage.resources.add(resource("Figure 1", by=ada))
        second = await stage.resources.add(resource("Figure 2", by=ada))
        with pytest.raises(NameTaken):
            await save(stage, replace(second, name="FIGURE 1", updated_at=NOW, version=2))
        async with stage.unit_of_work() as work:
            assert await work.resources.lock(project="story", resource_id=second.id) == second

    async def test_a_restored_resource_needs_its_name(self, stage: Stage, ada: User) -> None:
        gone = await put_away(stage, await stage.resources.add(resource("Figure 1", by=ada)))
        await stage.resources.add(resource("figure 1", by=ada))
        with pytest.raises(NameTaken):
            await save(stage, replace(gone, deleted_at=None))

    async def test_a_resource_keeps_its_own_name_when_it_is_saved(self, stage: Stage, ada: User) -> None:
        added = await stage.resources.add(resource("Figure 1", by=ada))
        assert await save(stage, replace(added, name="FIGURE 1", updated_at=NOW, version=2))

    async def test_only_what_is_there_is_found(self, stage: Stage, ada: User) -> None:
        await stage.project("other")
        added = await stage.resources.add(resource(by=ada))
        async with stage.unit_of_work() as work:
            for project, resource_id in [("story", added.id + 1), ("other", added.id), ("unknown", added.id)]:
                with pytest.raises(NotFound):
                    await work.resources.lock(project=project, resource_id=resource_id)

    async def test_a_deleted_resource_is_found_only_when_asked_for(self, stage: Stage, ada: User) -> None:
        gone = await put_away(stage, await stage.resources.add(resource(by=ada)))
        async with stage.unit_of_work() as work:
            with pytest.raises(NotFound):
                await work.resources.lock(project="story", resource_id=gone.id)
            assert await work.resources.lock(project="story", resource_id=gone.id, deleted=True) == gone

    @pytest.mark.parametrize("same", ["Straße", "STRASSE", " strasse\n", "\tSTRAßE "])
    async def test_a_live_resource_is_found_by_its_name_whatever_its_case(self, stage: Stage, ada: User, same: str) -> None:
        await stage.project("other")
        added = await stage.resources.add(resource("Straße", by=ada, attributes={"a": [1]}))
        await stage.resources.add(resource("Straßen", by=ada))
        await stage.resources.add(resource("Straße", by=ada, project="other"))
        async with stage.unit_of_work() as work:
            assert await work.resources.lock_by_name(project="story", name=same) == added

    async def test_by_name_only_what_is_there_is_found(self, stage: Stage, ada: User) -> None:
        await stage.project("other")
        await put_away(stage, await stage.resources.add(resource("Figure 1", by=ada)))
        async with stage.unit_of_work() as work:
            for project, name in [
                ("story", "Figure 1"),
                ("story", "Figure"),
                ("other", "Figure 1"),
                ("unknown", "Figure 1"),
                ("story", ""),
            ]:
                assert await work.resources.lock_by_name(project=project, name=name) is None
        again = await stage.resources.add(resource("Figure 1", by=ada))
        async with stage.unit_of_work() as work:
            assert await work.resources.lock_by_name(project="story", name="Figure 1") == again
            await work.commit()
        await stage.put_away("story")
        async with stage.unit_of_work() as work:
            assert await work.resources.lock_by_name(project="story", name="Figure 1") is None

    async def test_what_was_locked_by_its_name_stands_until_the_unit_of_work_ends(self, stage: Stage, ada: User) -> None:
        await stage.resources.add(resource("Figure 1", by=ada, description=""))

        async def lengthen() -> None:
            async with stage.unit_of_work() as work:
                found = await work.resources.lock_by_name(project="story", name="figure 1")
                assert found is not None
                await work.resources.save(found.revise({"description": f"{found.description}!"}, by=ada, at=NOW))
                await work.commit()

        await asyncio.gather(*(lengthen() for _ in range(10)))
        async with stage.unit_of_work() as work:
            found = await work.resources.lock_by_name(project="story", name="Figure 1")
            assert found is not None
            assert (found.description, found.version) == ("!" * 10, 11)


class ResourceEditsContract:
    @pytest.fixture
    async def ada(self, stage: Stage) -> User:
        await stage.project("story")
        return await stage.user("ada")

    async def swap(self, stage: Stage, before: Resource, after: Resource, *, by: User) -> bool:
        return await stage.edits.swap(before, after, entry=resource_entry("resource.update", before, after, by=by))

    async def told(self, stage: Stage) -> list[Recorded]:
        return [each.record for each in await stage.audit.page(AuditFilter(), before=None, limit=100)]

    async def test_only_a_live_resource_of_a_live_project_is_found(self, stage: Stage, ada: User) -> None:
        await stage.project("other")
        added = await stage.resources.add(resource("Figure 1", by=ada, attributes={"a": [1, None]}, status=Status.PENDING))
        gone = await put_away(stage, await stage.resources.add(resource("Figure 2", by=ada)))
        assert await stage.edits.get(project="story", resource_id=added.id) == added
        for project, resource_id in [("story", gone.id), ("story", 10**12), ("other", added.id), ("unknown", added.id)]:
            with pytest.raises(NotFound):
                await stage.edits.get(project=project, resource_id=resource_id)
        await stage.put_away("story")
        with pytest.raises(NotFound):
            await stage.edits.get(project="story", resource_id=added.id)

    async def test_what_was_stored_is_there_and_told_of(self, stage: Stage, ada: User) -> None:
        added = await stage.resources.add(resource("Figure 1", by=ada, description="Old"))
        changes = {"name": "Figure 2", "description": None, "status": Status.INACTIVE, "attributes": {"a": [1, 2.5, None, "ü"]}}
        revised = added.revise(changes, by=ada, at=NOW + SECOND)
        assert await self.swap(stage, added, revised, by=ada)
        assert await stage.edits.get(project="story", resource_id=added.id) == revised
        assert ids((await stage.reader.page(Filter(project="story", search="GURE 2"), sort=Sort.ID, limit=9)).json) == [added.id]
        (only,) = await self.told(stage)
        assert only.entry == resource_entry("resource.update", added, revised, by=ada)
        assert only.request_id == REQUEST

    async def test_what_has_changed_meanwhile_stays_as_it_is(self, stage: Stage, ada: User) -> None:
        added = await stage.resources.add(resource("Figure 1", by=ada))
        current = await save(stage, replace(added, description="Newer", updated_at=NOW, version=2))
        assert not await self.swap(stage, added, added.revise({"description": "Older"}, by=ada, at=NOW), by=ada)
        assert await stage.edits.get(project="story", resource_id=added.id) == current
        assert await self.told(stage) == []

    async def test_what_was_put_away_meanwhile_stays_away(self, stage: Stage, ada: User) -> None:
        one, two = [await stage.resources.add(resource(name, by=ada)) for name in ("One", "Two")]
        gone = await save(stage, replace(one, deleted_at=NOW, updated_at=NOW, version=2))
        await stage.put_away("story")
        for before in (one, gone, two):
            assert not await self.swap(stage, before, before.revise({"description": "New"}, by=ada, at=NOW), by=ada)
        assert await self.told(stage) == []

    async def test_a_taken_name_is_refused_and_stores_nothing(self, stage: Stage, ada: User) -> None:
        await stage.resources.add(resource("Figure 1", by=ada))
        second = await stage.resources.add(resource("Figure 2", by=ada))
        with pytest.raises(NameTaken):
            await self.swap(stage, second, second.revise({"name": "FIGURE 1"}, by=ada, at=NOW), by=ada)
        assert await stage.edits.get(project="story", resource_id=second.id) == second
        assert await self.told(stage) == []

    async def test_of_many_at_once_one_stores(self, stage: Stage, ada: User) -> None:
        added = await stage.resources.add(resource("Figure 1", by=ada))
        revised = [added.revise({"description": f"{number}"}, by=ada, at=NOW) for number in range(16)]
        stored = await asyncio.gather(*(self.swap(stage, added, each, by=ada) for each in revised))
        assert sum(stored) == 1
        assert await stage.edits.get(project="story", resource_id=added.id) == revised[stored.index(True)]
        assert len(await self.told(stage)) == 1


async def fill(stage: Stage) -> list[Resource]:
    """Resources in a project `story`: names that sort unlike their ids, and times that tie or are missing."""
    ada = await stage.user("ada")
    await stage.project("story")
    await stage.project("other")
    await stage.resources.add(resource("elsewhere", by=ada, project="other"))
    await put_away(stage, await stage.resources.add(resource("gone", by=ada)))
    names = ["b", "B", "a", "ä", "Я", "я", "_", "~", "ab", "A", "\U0001f600", "\uff61"]
    found = []
    for place, name in enumerate(names):
        made = resource(f"{name}{'' if place % 2 else ' x'}", by=ada, status=list(Status)[place % 3])
        added = await stage.resources.add(replace(made, created_at=NOW + SECOND * (place % 4)))
        if place % 3:
            added = await save(stage, replace(added, updated_at=NOW - SECOND * (place % 5), version=2))
        found.append(added)
    return found


def ids(page: bytes) -> list[int]:
    return [entry["id"] for entry in json.loads(page)]


def in_order(resources: Sequence[Resource], sort: Sort) -> list[int]:
    """The ids in the order that the contract asks for, said in another way than the adapters do."""
    present = [each for each in resources if getattr(each, sort.column) is not None]
    absent = [each for each in resources if getattr(each, sort.column) is None]
    ordered = [
        *sorted(present, key=lambda each: (getattr(each, sort.column), each.id), reverse=sort.descending),
        *sorted(absent, key=lambda each: each.id, reverse=sort.descending),
    ]
    return [each.id for each in ordered]


class ResourceReaderContract:
    async def test_a_resource_is_the_json_of_the_contract(self, stage: Stage) -> None:
        ada = await stage.user("ada")
        await stage.project("story")
        content: dict[str, Any] = {"attributes": {"b": [1, 2.5, None, True, 'ü"\\\U0001f600'], "a": {}}, "description": 'Line\n"two"'}
        added = await stage.resources.add(resource("Figure 1", by=ada, status=Status.PENDING, **content))
        found = await stage.reader.get(project="story", resource_id=added.id)
        assert found.version == 1
        document = json.loads(found.json)
        assert document == {
            "id": added.id,
            "project": "story",
            "name": "Figure 1",
            "description": 'Line\n"two"',
            "status": "pending",
            "attributes": {"b": [1, 2.5, None, True, 'ü"\\\U0001f600'], "a": {}},
            "created_by": "ada",
            "created_at": "2026-11-24T12:00:00.123456Z",
            "updated_at": None,
            "is_active": True,
            "version": 1,
        }
        assert " ".join(document) == "id project name description status attributes created_by created_at updated_at is_active version"
        assert document["attributes"]["b"][3] is True

    async def test_a_time_always_has_microseconds(self, stage: Stage) -> None:
        ada = await stage.user("ada")
        await stage.project("story")
        added = await stage.resources.add(replace(resource(by=ada), created_at=datetime.fromisoformat("2026-11-24T13:00:00+01:00")))
        await save(stage, replace(added, updated_at=NOW.replace(microsecond=100), version=2))
        found = await stage.reader.get(project="story", resource_id=added.id)
        document = json.loads(found.json)
        assert (document["created_at"], document["updated_at"]) == ("2026-11-24T12:00:00.000000Z", "2026-11-24T12:00:00.000100Z")
        assert (found.version, document["version"]) == (2, 2)

    async def test_only_what_is_there_is_found(self, stage: Stage) -> None:
        resources = await fill(stage)
        gone = await put_away(stage, resources[0])
        for project, resource_id in [("story", gone.id), ("story", 10**12), ("other", resources[1].id), ("unknown", resources[1].id)]:
            with pytest.raises(NotFound):
                await stage.reader.get(project=project, resource_id=resource_id)

    async def test_an_absent_project_is_not_found_and_an_empty_one_is_empty(self, stage: Stage) -> None:
        await stage.project("story")
        assert await stage.reader.count(STORY) == 0
        page = await stage.reader.page(STORY, sort=Sort.ID, limit=10)
        assert (page.json, page.next) == (b"[]", None)
        numbered = await stage.reader.numbered_page(STORY, sort=Sort.ID, page=1, per_page=10)
        assert (numbered.json, numbered.total) == (b"[]", 0)
        await stage.put_away("story")
        with pytest.raises(NotFound):
            await stage.reader.count(STORY)
        with pytest.raises(NotFound):
            await stage.reader.page(STORY, sort=Sort.ID, limit=10)
        with pytest.raises(NotFound):
            await stage.reader.numbered_page(STORY, sort=Sort.ID, page=1, per_page=10)

    @pytest.mark.parametrize("sort", Sort)
    async def test_every_sort_is_total_and_puts_nulls_last(self, stage: Stage, sort: Sort) -> None:
        resources = await fill(stage)
        page = await stage.reader.page(STORY, sort=sort, limit=100)
        assert ids(page.json) == in_order(resources, sort)
        assert page.next is None

    @pytest.mark.parametrize("limit", [1, 2, 5, 12])
    @pytest.mark.parametrize("sort", Sort)
    async def test_page_by_page_the_list_is_whole_and_without_repetition(self, stage: Stage, sort: Sort, limit: int) -> None:
        resources = await fill(stage)
        found: list[int] = []
        after: After | None = None
        while True:
            page = await stage.reader.page(STORY, sort=sort, limit=limit, after=after)
            found += ids(page.json)
            assert len(ids(page.json)) <= limit
            if page.next is None:
                break
            after = After(key=json.loads(json.dumps(page.next.key)), id=page.next.id)
        assert found == in_order(resources, sort)

    async def test_a_place_holds_when_its_entry_is_gone(self, stage: Stage) -> None:
        resources = await fill(stage)
        first = await stage.reader.page(STORY, sort=Sort.NAME, limit=4)
        assert first.next is not None
        await put_away(stage, next(each for each in resources if each.id == first.next.id))
        rest = await stage.reader.page(STORY, sort=Sort.NAME, limit=100, after=first.next)
        assert ids(first.json) + ids(rest.json) == in_order(resources, Sort.NAME)

    @pytest.mark.parametrize("sort", Sort)
    async def test_skipping_leaves_out_the_first_few(self, stage: Stage, sort: Sort) -> None:
        resources = await fill(stage)
        page = await stage.reader.page(STORY, sort=sort, limit=4, skip=3)
        assert ids(page.json) == in_order(resources, sort)[3:7]
        assert page.next is not None
        beyond = await stage.reader.page(STORY, sort=sort, limit=4, skip=100)
        assert (beyond.json, beyond.next) == (b"[]", None)

    @pytest.mark.parametrize("sort", Sort)
    async def test_numbered_pages_make_up_the_list(self, stage: Stage, sort: Sort) -> None:
        resources = await fill(stage)
        pages = [await stage.reader.numbered_page(STORY, sort=sort, page=number, per_page=5) for number in (1, 2, 3, 4)]
        assert [page.total for page in pages] == [12] * 4
        assert [len(ids(page.json)) for page in pages] == [5, 5, 2, 0]
        assert [id for page in pages for id in ids(page.json)] == in_order(resources, sort)

    @pytest.mark.parametrize("status", Status)
    async def test_a_status_narrows_list_pages_and_count_alike(self, stage: Stage, status: Status) -> None:
        resources = [each for each in await fill(stage) if each.status is status]
        where = Filter(project="story", status=status, search="x")
        expected = in_order([each for each in resources if "x" in each.name], Sort.NAME)
        assert 0 < len(expected) < len(resources) or status is Status.ACTIVE
        assert ids((await stage.reader.page(where, sort=Sort.NAME, limit=100)).json) == expected
        numbered = await stage.reader.numbered_page(where, sort=Sort.NAME, page=1, per_page=100)
        assert (ids(numbered.json), numbered.total) == (expected, len(expected))
        assert await stage.reader.count(where) == len(expected)

    @pytest.mark.parametrize(
        ("search", "expected"),
        [
            ("%", {"100 % sure"}),
            ("_", {"snake_case"}),
            ("\\", {"back\\slash"}),
            ("k\\s", {"back\\slash"}),
            ("\\%", set()),
            ("0 % s", {"100 % sure"}),
            ("SNAKE", {"snake_case"}),
            ("r", {"100 % sure", "Straße", "Статья"}),
            ("ke", {"snake_case"}),
            ("ss", {"Straße"}),
            ("СТАТЬЯ", {"Статья"}),
            ("тья", {"Статья"}),
            ("С", {"Статья"}),
            ("caf\u00e9", {"Caf\u00e9"}),
            ("cafe\u0301", {"Caf\u00e9"}),
            ("CAFE\u0301", {"Caf\u00e9"}),
            ("of the sea", {"Статья"}),
            ("sure\x1f", {"100 % sure"}),
            ("sureof", set()),
            ("'; --", set()),
            ("\U0001f600", {"snake_case"}),
            ("", {"100 % sure", "snake_case", "back\\slash", "Straße", "Статья", "Caf\u00e9"}),
        ],
    )
    async def test_a_search_is_literal_in_any_case_and_composition(self, stage: Stage, search: str, expected: set[str]) -> None:
        ada = await stage.user("ada")
        await stage.project("story")
        descriptions = {"Статья": "Birds OF THE SEA", "snake_case": "\U0001f600"}
        for name in ("100 % sure", "snake_case", "back\\slash", "Straße", "Статья", "Caf\u00e9"):
            await stage.resources.add(resource(name, by=ada, description=descriptions.get(name)))
        where = Filter(project="story", search=search)
        found = json.loads((await stage.reader.page(where, sort=Sort.ID, limit=100)).json)
        assert {entry["name"] for entry in found} == expected
        assert await stage.reader.count(where) == len(expected)

    async def test_a_place_and_a_filter_go_together(self, stage: Stage) -> None:
        resources = [each for each in await fill(stage) if "x" in each.name]
        where = Filter(project="story", search="X")
        first = await stage.reader.page(where, sort=Sort.UPDATED_DESC, limit=3)
        rest = await stage.reader.page(where, sort=Sort.UPDATED_DESC, limit=3, after=first.next)
        assert ids(first.json) + ids(rest.json) == in_order(resources, Sort.UPDATED_DESC)


class TestFakeResources(InMemory, ResourcesContract):
    pass


class TestPostgresResources(InPostgres, ResourcesContract):
    pass


class TestFakeResourceEdits(InMemory, ResourceEditsContract):
    pass


class TestPostgresResourceEdits(InPostgres, ResourceEditsContract):
    pass


class TestFakeResourceReader(InMemory, ResourceReaderContract):
    pass


class TestPostgresResourceReader(InPostgres, ResourceReaderContract):
    pass
