"""Projects, and stories made whole."""

from typing import Any

import pytest

from domain.access import NotAllowed
from domain.errors import Invalid, NotFound, Stale
from domain.project import SlugReserved, SlugTaken
from domain.resource import NameTaken, Status
from domain.user import User
from tests.examples import gated
from tests.unit.application.conftest import World


async def create_story(world: World, by: User, *, names: tuple[str, ...] = ("Figure 1", "Figure 2"), title: str = "Dark data") -> bool:
    resources: list[dict[str, Any]] = [{"name": name, "status": Status.PENDING, "attributes": {"n": 1}} for name in names]
    return await world.create_story(slug="dark-data", title=title, description=None, definition=gated(), resources=resources, by=by)


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
    with pytest.raises(NotAllowed):
        await create_story(world, member)
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


async def test_a_story_is_made_once(world: World, admin: User) -> None:
    assert await create_story(world, admin)
    _, counts = await world.get_project(project="dark-data")
    assert (counts.resources, counts.survey_open) == (2, True)
    changed = await world.update_project(project="dark-data", changes={"title": "Edited"}, expected=None, by=admin)
    assert not await create_story(world, admin)
    assert (await world.get_project(project="dark-data"))[0] == changed


async def test_a_story_that_was_put_away_is_not_made_again(world: World, admin: User) -> None:
    await create_story(world, admin)
    await world.delete_project(project="dark-data", expected=None, by=admin)
    assert not await create_story(world, admin)
    assert await world.list_projects(after="", limit=10) == []


async def test_a_story_is_made_whole_or_not_at_all(world: World, admin: User) -> None:
    with pytest.raises(NameTaken):
        await create_story(world, admin, names=("Figure 1", "FIGURE 1"))
    with pytest.raises(Invalid):
        await create_story(world, admin, names=("Figure 1", ""))
    with pytest.raises(Invalid):
        await create_story(world, admin, title="")
    assert not await world.projects.was_used("dark-data")
    assert await create_story(world, admin)
