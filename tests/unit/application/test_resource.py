"""Resources: who may change them, and in which order a change is refused."""

import json
from typing import Any

import pytest

from domain.access import NotAllowed, NotTheOwner
from domain.errors import Invalid, NotFound, Stale
from domain.resource import Filter, NameTaken, Resource, Sort
from domain.user import User
from tests.unit.application.conftest import World

STALE = frozenset({7})


@pytest.fixture(autouse=True)
async def story(world: World, admin: User) -> None:
    await world.create_project(slug="story", title="A story", by=admin)


async def create(world: World, by: User, name: str = "Figure 1", **content: Any) -> Resource:
    return await world.create_resource(project="story", name=name, attributes={}, by=by, **content)


async def update(world: World, found: Resource, by: User, *, expected: frozenset[int] | None = None, **changes: Any) -> Resource:
    return await world.update_resource(project="story", resource_id=found.id, changes=changes, expected=expected, by=by)


async def names(world: World) -> list[str]:
    page = await world.list_resources(Filter(project="story"), sort=Sort.ID, limit=10)
    return [entry["name"] for entry in json.loads(page.json)]


async def test_whoever_makes_a_resource_owns_it(world: World, member: User) -> None:
    made = await create(world, member)
    assert (made.created_by, made.created_by_id, made.version, made.updated_at) == ("ada", member.id, 1, None)
    assert json.loads((await world.get_resource(project="story", resource_id=made.id)).json)["created_by"] == "ada"


async def test_a_name_is_taken_whatever_its_case(world: World, member: User, other: User) -> None:
    await create(world, member, "Straße")
    with pytest.raises(NameTaken):
        await create(world, other, " STRASSE")


async def test_a_resource_needs_a_project_and_a_name(world: World, member: User) -> None:
    with pytest.raises(NotFound):
        await world.create_resource(project="unknown", name="x", attributes={}, by=member)
    with pytest.raises(Invalid):
        await create(world, member, "")


async def test_owner_and_admin_change_it_and_nobody_else(world: World, admin: User, member: User, other: User) -> None:
    made = await create(world, member)
    assert (await update(world, made, member, name="Figure 2")).version == 2
    assert (await update(world, made, admin, description="By an admin")).version == 3
    with pytest.raises(NotTheOwner):
        await update(world, made, other, name="Mine")
    assert await names(world) == ["Figure 2"]


async def test_only_the_fields_sent_change(world: World, member: User) -> None:
    made = await create(world, member, description="Kept")
    world.clock.at = made.created_at.replace(hour=13)
    changed = await update(world, made, member, name="Figure 2")
    assert (changed.description, changed.updated_at) == ("Kept", world.clock.now())
    assert await update(world, made, member) == changed
    assert await update(world, made, member, name="Figure 2") == changed


async def test_absent_comes_before_invalid_invalid_before_owner_owner_before_stale(world: World, member: User, other: User) -> None:
    made = await create(world, member)
    with pytest.raises(NotFound):
        await world.update_resource(project="story", resource_id=made.id + 1, changes={"name": ""}, expected=STALE, by=other)
    with pytest.raises(Invalid):
        await update(world, made, other, name="", expected=STALE)
    with pytest.raises(NotTheOwner):
        await update(world, made, other, name="Mine", expected=STALE)
    with pytest.raises(Stale):
        await update(world, made, member, name="Mine", expected=STALE)
    assert await names(world) == ["Figure 1"]


async def test_stale_comes_before_a_taken_name(world: World, member: User) -> None:
    await create(world, member, "Figure 1")
    second = await create(world, member, "Figure 2")
    with pytest.raises(Stale):
        await update(world, second, member, name="Figure 1", expected=STALE)
    with pytest.raises(NameTaken):
        await update(world, second, member, name="Figure 1", expected=frozenset({1}))
    assert await names(world) == ["Figure 1", "Figure 2"]


async def test_only_an_admin_deletes_and_restores(world: World, admin: User, member: User) -> None:
    made = await create(world, member)
    with pytest.raises(NotAllowed):
        await world.delete_resource(project="story", resource_id=made.id, expected=None, by=member)
    await world.delete_resource(project="story", resource_id=made.id, expected=frozenset({1}), by=admin)
    assert await names(world) == []
    with pytest.raises(NotAllowed):
        await world.restore_resource(project="story", resource_id=made.id, expected=None, by=member)
    restored = await world.restore_resource(project="story", resource_id=made.id, expected=frozenset({2}), by=admin)
    assert (restored.name, restored.version, await names(world)) == ("Figure 1", 3, ["Figure 1"])


async def test_the_role_is_told_before_what_is_absent(world: World, member: User) -> None:
    with pytest.raises(NotAllowed):
        await world.delete_resource(project="unknown", resource_id=1, expected=None, by=member)
    with pytest.raises(NotAllowed):
        await world.restore_resource(project="unknown", resource_id=1, expected=None, by=member)


async def test_what_is_deleted_is_gone_for_everything_but_restoring(world: World, admin: User, member: User) -> None:
    made = await create(world, member)
    with pytest.raises(Stale):
        await world.delete_resource(project="story", resource_id=made.id, expected=STALE, by=admin)
    await world.delete_resource(project="story", resource_id=made.id, expected=None, by=admin)
    with pytest.raises(NotFound):
        await world.delete_resource(project="story", resource_id=made.id, expected=None, by=admin)
    with pytest.raises(NotFound):
        await update(world, made, member, name="Figure 2")
    with pytest.raises(NotFound):
        await world.get_resource(project="story", resource_id=made.id)


async def test_a_restored_resource_needs_its_name(world: World, admin: User, member: User) -> None:
    made = await create(world, member)
    await world.delete_resource(project="story", resource_id=made.id, expected=None, by=admin)
    await create(world, member, "FIGURE 1")
    with pytest.raises(NameTaken):
        await world.restore_resource(project="story", resource_id=made.id, expected=None, by=admin)


async def test_restoring_a_live_resource_changes_nothing(world: World, admin: User, member: User) -> None:
    made = await create(world, member)
    assert await world.restore_resource(project="story", resource_id=made.id, expected=None, by=admin) == made
