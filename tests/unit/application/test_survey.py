"""Publishing a survey: the first, the same, an addition, and what would break answers."""

import pytest

from application.survey import Publication
from domain.access import NotAllowed
from domain.errors import NotFound, Stale
from domain.survey import BreakingChange, Definition, Kind
from domain.user import User
from tests.examples import AGE, NOTE, definition
from tests.unit.application.conftest import World


@pytest.fixture(autouse=True)
async def story(world: World, admin: User) -> None:
    await world.create_project(slug="story", title="A story", by=admin)


async def publish(world: World, of: Definition, by: User, *, expected: frozenset[int] | None = None) -> Publication:
    return await world.publish(project="story", definition=of, expected=expected, by=by)


async def test_the_first_publication_is_new(world: World, admin: User) -> None:
    first = await publish(world, definition(AGE), admin)
    assert (first.is_new, first.survey.version, first.survey.is_open) == (True, 1, True)
    assert [change.change for change in first.changes] == [Kind.ADDED]
    assert await world.get_survey(project="story") == first.survey


async def test_the_same_again_is_not(world: World, admin: User) -> None:
    first = await publish(world, definition(AGE), admin)
    assert await publish(world, definition(AGE), admin) == Publication(survey=first.survey, is_new=False, changes=())


async def test_an_addition_is_the_next_version(world: World, admin: User) -> None:
    await publish(world, definition(AGE), admin)
    second = await publish(world, definition(AGE, NOTE), admin, expected=frozenset({1}))
    assert (second.is_new, second.survey.version) == (True, 2)
    assert [(change.field, change.change) for change in second.changes] == [("note", Kind.ADDED)]
    assert await world.get_survey(project="story") == second.survey


async def test_a_breaking_change_is_refused_and_stores_nothing(world: World, admin: User) -> None:
    first = await publish(world, definition(AGE, NOTE), admin)
    with pytest.raises(BreakingChange) as refused:
        await publish(world, definition(AGE), admin)
    assert [(change.field, change.change) for change in refused.value.changes] == [("note", Kind.REMOVED)]
    assert await world.get_survey(project="story") == first.survey


async def test_stale_comes_before_breaking(world: World, admin: User) -> None:
    with pytest.raises(Stale):
        await publish(world, definition(AGE), admin, expected=frozenset({1}))
    await publish(world, definition(AGE, NOTE), admin)
    with pytest.raises(Stale):
        await publish(world, definition(AGE), admin, expected=frozenset({2}))


async def test_only_an_admin_publishes_and_only_in_a_project(world: World, admin: User, member: User) -> None:
    with pytest.raises(NotAllowed):
        await world.publish(project="unknown", definition=definition(), expected=None, by=member)
    with pytest.raises(NotFound):
        await world.publish(project="unknown", definition=definition(), expected=None, by=admin)


async def test_without_a_survey_none_is_shown(world: World) -> None:
    with pytest.raises(NotFound):
        await world.get_survey(project="story")
