"""What resources were: the sentences of `ResourceVersions`, whichever way a resource changes."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from application.resource import UpdateResource
from domain.access import Role
from domain.errors import NotFound
from domain.resource import VERSIONS_MAX, NameTaken, Resource, ResourceVersion, Status
from domain.resource_import import Mode
from domain.user import User
from tests.contracts.stage import InMemory, InPostgres, Stage
from tests.contracts.test_resource_import import send
from tests.examples import NOW, resource
from tests.fakes.system import FakeClock

HOUR = timedelta(hours=1)


async def changed(stage: Stage, after: Resource) -> Resource:
    async with stage.unit_of_work() as work:
        await work.resources.lock(project=after.project, resource_id=after.id, deleted=True)
        await work.resources.save(after)
        await work.commit()
    return after


async def versions(stage: Stage, found: Resource) -> list[ResourceVersion]:
    return await stage.versions.page(found, before=None, limit=1000)


class ResourceVersionsContract:
    @pytest.fixture
    async def ada(self, stage: Stage) -> User:
        await stage.project("story")
        return await stage.user("ada", role=Role.ADMIN)

    async def test_what_was_made_is_its_first_version(self, stage: Stage, ada: User) -> None:
        content: dict[str, Any] = {"attributes": {"a": [1, None]}, "description": "What", "status": Status.PENDING}
        added = await stage.resources.add(resource("Figure 1", by=ada, **content))
        first = ResourceVersion(version=1, made_at=NOW, made_by="ada", owner="ada", name="Figure 1", is_active=True, **content)
        assert await versions(stage, added) == [first]
        assert await stage.versions.get(added, 1) == first

    async def test_each_change_keeps_what_was(self, stage: Stage, ada: User) -> None:
        emmy = await stage.user("emmy")
        added = await stage.resources.add(resource("Figure 1", by=ada, attributes={"a": 1}))
        update = UpdateResource(edits=stage.edits, unit_of_work=stage.unit_of_work, clock=FakeClock())
        await update(project="story", resource_id=added.id, changes={"attributes": {"b": 2}}, expected=None, by=ada)
        second = await stage.edits.get(project="story", resource_id=added.id)
        third = await changed(stage, second.give(to=emmy, by=ada, at=NOW + HOUR))
        fourth = await changed(stage, third.revise({"name": "Figure 2", "description": "New"}, by=emmy, at=NOW + 2 * HOUR))
        fifth = await changed(stage, fourth.delete(by=ada, at=NOW + 3 * HOUR))
        await changed(stage, fifth.restore(by=ada, at=NOW + 4 * HOUR))
        found = await versions(stage, added)
        told = [(each.version, each.name, each.description, each.attributes, each.owner, each.made_by, each.is_active) for each in found]
        assert told == [
            (6, "Figure 2", "New", {"b": 2}, "emmy", "ada", True),
            (5, "Figure 2", "New", {"b": 2}, "emmy", "ada", False),
            (4, "Figure 2", "New", {"b": 2}, "emmy", "emmy", True),
            (3, "Figure 1", None, {"b": 2}, "emmy", "ada", True),
            (2, "Figure 1", None, {"b": 2}, "ada", "ada", True),
            (1, "Figure 1", None, {"a": 1}, "ada", "ada", True),
        ]
        assert [each.made_at for each in found] == [NOW + hours * HOUR for hours in (4, 3, 2, 1, 0, 0)]
        assert [await stage.versions.get(added, each.version) for each in found] == found

    async def test_an_import_keeps_what_was(self, stage: Stage, ada: User) -> None:
        one = await stage.resources.add(resource("One", by=ada, attributes={"a": 1}))
        other = await stage.resources.add(resource("Other", by=ada))
        same = await stage.resources.add(resource("Same", by=ada))
        emmy = await stage.user("emmy", role=Role.ADMIN)
        await send(stage, emmy, [{"name": "one", "attributes": {"b": 2}}, {"name": "Same"}, {"name": "New"}], Mode.REPLACE)
        told = [
            [(each.version, each.name, each.attributes, each.made_by, each.is_active) for each in await versions(stage, found)]
            for found in (one, other, same)
        ]
        assert told == [
            [(2, "one", {"b": 2}, "emmy", True), (1, "One", {"a": 1}, "ada", True)],
            [(2, "Other", {}, "emmy", False), (1, "Other", {}, "ada", True)],
            [(1, "Same", {}, "ada", True)],
        ]

    async def test_what_is_refused_or_undone_keeps_nothing(self, stage: Stage, ada: User) -> None:
        one, two = [await stage.resources.add(resource(name, by=ada)) for name in ("One", "Two")]
        with pytest.raises(NameTaken):
            await changed(stage, two.revise({"name": "ONE"}, by=ada, at=NOW))
        async with stage.unit_of_work() as work:
            await work.resources.save((await work.resources.lock(project="story", resource_id=one.id)).delete(by=ada, at=NOW))
        assert [len(await versions(stage, each)) for each in (one, two)] == [1, 1]

    async def test_of_many_edits_at_once_each_keeps_what_it_replaced(self, stage: Stage, ada: User) -> None:
        added = await stage.resources.add(resource("Figure 1", by=ada))
        update = UpdateResource(edits=stage.edits, unit_of_work=stage.unit_of_work, clock=FakeClock())

        async def edit(number: int) -> Resource:
            return await update(project="story", resource_id=added.id, changes={"description": f"{number}"}, expected=None, by=ada)

        edited = sorted(await asyncio.gather(*map(edit, range(16))), key=lambda each: each.version)
        assert [each.version for each in edited] == list(range(2, 18))
        found = await versions(stage, added)
        assert [(each.version, each.description) for each in reversed(found)] == [
            (each.version, each.description) for each in [added, *edited]
        ]

    async def test_pages_go_back_from_the_newest(self, stage: Stage, ada: User) -> None:
        found = await stage.resources.add(resource("Figure 1", by=ada))
        for number in range(4):
            found = await changed(stage, found.revise({"description": f"{number}"}, by=ada, at=NOW))
        pages = [await stage.versions.page(found, before=before, limit=2) for before in (None, 4, 2, 1)]
        assert [[each.version for each in page] for page in pages] == [[5, 4], [3, 2], [1], []]

    @pytest.mark.parametrize("way", ["edit", "save", "import"])
    async def test_of_many_versions_the_oldest_go(self, stage: Stage, ada: User, way: str) -> None:
        found = await stage.resources.add(resource("Figure 1", by=ada))
        other = await stage.resources.add(resource("Figure 2", by=ada))
        await changed(stage, other.revise({"description": "x"}, by=ada, at=NOW))
        update = UpdateResource(edits=stage.edits, unit_of_work=stage.unit_of_work, clock=FakeClock())
        found = await changed(stage, replace(found, version=VERSIONS_MAX - 1, updated_at=NOW))
        for number in range(4):
            if way == "edit":
                await update(project="story", resource_id=found.id, changes={"description": f"{number}"}, expected=None, by=ada)
            elif way == "import":
                await send(stage, ada, [{"name": "Figure 1", "description": f"{number}"}], Mode.UPSERT)
            else:
                found = await changed(stage, found.revise({"description": f"{number}"}, by=ada, at=NOW))
        # With 103 the newest, 4 would be the oldest that may stay; of those before the jump only the first was there.
        assert [each.version for each in await versions(stage, found)] == [103, 102, 101, 100, 99]
        assert len(await versions(stage, other)) == 2

    async def test_a_version_that_is_not_there_is_not_found(self, stage: Stage, ada: User) -> None:
        found = await stage.resources.add(resource("Figure 1", by=ada))
        await stage.project("other")
        for strange in (replace(found, project="other"), replace(found, id=found.id + 1), replace(found, project="nowhere")):
            assert await versions(stage, strange) == []
            with pytest.raises(NotFound):
                await stage.versions.get(strange, 1)
        for number in (2, 2**31, 2**63 - 1):
            with pytest.raises(NotFound):
                await stage.versions.get(found, number)

    async def test_versions_are_let_go_of_by_when_another_took_their_place(self, stage: Stage, ada: User) -> None:
        found = await stage.resources.add(resource("Figure 1", by=ada))
        for hours in range(1, 5):
            found = await changed(stage, found.revise({"description": f"{hours}"}, by=ada, at=NOW + hours * HOUR))

        async def forget(before: datetime, limit: int) -> tuple[int, list[int]]:
            gone = await stage.versions.forget(before=before, limit=limit)
            return gone, [each.version for each in await versions(stage, found)]

        assert await forget(NOW + HOUR, 9) == (0, [5, 4, 3, 2, 1])
        assert await forget(NOW + 2 * HOUR, 9) == (1, [5, 4, 3, 2])
        gone, left = await forget(NOW + 9 * HOUR, 2)
        assert (gone, len(left), left[0]) == (2, 2, 5)
        assert await forget(NOW + 9 * HOUR, 9) == (1, [5])

    async def test_versions_go_with_their_resource(self, stage: Stage, ada: User) -> None:
        gone, there = [await stage.resources.add(resource(name, by=ada)) for name in ("Gone", "There")]
        await changed(stage, gone.delete(by=ada, at=NOW - HOUR))
        await changed(stage, there.revise({"description": "x"}, by=ada, at=NOW - HOUR))
        await stage.purge(before=NOW)
        assert [len(await versions(stage, each)) for each in (gone, there)] == [0, 2]


class TestFakeResourceVersions(InMemory, ResourceVersionsContract):
    pass


class TestPostgresResourceVersions(InPostgres, ResourceVersionsContract):
    pass
