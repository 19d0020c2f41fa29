"""Projects: who may make, change and put them away."""

import pytest

from domain.access import NotAllowed
from domain.errors import Invalid, NotFound, Stale
from domain.project import SlugReserved, SlugTaken
from domain.user import User
from tests.unit.application.conftest import World


async def test_an_admin_makes_changes_and_puts_away_a_project(world: World, admin: User) -> None:
    made = await world.create_project(slug="story", title="A story", by=admin)
    assert await world.list_projects(after="", limit=10) == [made]
    changed = await world.update_project(project="story", changes={"title": "Another"}, expected=frozenset({1}), by=admin)
    assert (await world.get_project(project="story"))[0] == changed
    await world.delete_project(project="story", expected=frozenset({2}), by=admin)
    with pytest.raises(NotFound):
        await world.get_project(project="story")
    assert (await world.create_project(slug="story", title="Again", by=admin)).id != made.id


async def test_nobody_else_does(world: World, admin: User, member: User) -> None:
    made = await world.create_project(slug="story", title="A story", by=admin)
    with pytest.raises(NotAllowed):
        await world.create_project(slug="other", title="x", by=member)
    with pytest.raises(NotAllowed):
        await world.update_project(project="story", changes={"title": "Mine"}, expected=None, by=member)
    with pytest.raises(NotAllowed):
        await world.delete_project(project="story", expected=None, by=member)
    assert await world.list_projects(after="", limit=10) == [made]


async def test_the_role_is_told_before_what_is_absent_and_what_is_invalid(world: World, member: User) -> None:
    with pytest.raises(NotAllowed):
        await world.update_project(project="unknown", changes={"title": ""}, expected=None, by=member)
    with pytest.raises(NotAllowed):
        await world.create_project(slug="Bad Slug", title="", by=member)


async def test_a_slug_is_free_valid_and_not_our_own(world: World, admin: User) -> None:
    await world.create_project(slug="story", title="A story", by=admin)
    for slug, error in [("story", SlugTaken), ("admin", SlugReserved), ("Story", Invalid)]:
        with pytest.raises(error):
            await world.create_project(slug=slug, title="A story", by=admin)


async def test_a_change_of_nothing_keeps_the_version(world: World, admin: User) -> None:
    made = await world.create_project(slug="story", title="A story", by=admin)
    assert await world.update_project(project="story", changes={}, expected=None, by=admin) == made
    assert await world.update_project(project="story", changes={"title": "A story"}, expected=None, by=admin) == made
    with pytest.raises(Stale):
        await world.update_project(project="story", changes={}, expected=frozenset({2}), by=admin)
