"""Who learns how far annotators agree, and how often it is worked out."""

from typing import Any

import pytest

from application.agreement import Agreement, Disputed, NamedPair
from domain.access import NotAllowed, Role
from domain.errors import NotFound
from domain.user import User
from tests.examples import declaration, user
from tests.unit.application.conftest import World


class Team:
    """An admin, two annotators and three resources of a project."""

    def __init__(self, world: World, admin: User, people: list[User]) -> None:
        self.world, self.admin, self.people = world, admin, people
        self.resources: list[int] = []

    async def declare(self, **changes: Any) -> None:
        await self.world.publish_label_set(
            project="story", name="topic", declaration=declaration(**changes), accept_breaking=frozenset({"topic"}), by=self.admin
        )

    async def say(self, person: int, resource: int, value: Any) -> None:
        at = self.resources[resource]
        await self.world.annotate(project="story", resource_id=at, label_set="topic", value=value, by=self.people[person])

    async def ask(self, by: User, **rest: Any) -> Agreement:
        return await self.world.get_agreement(project="story", label_set="topic", by=by, **rest)


@pytest.fixture
async def team(world: World, admin: User) -> Team:
    await world.create_project(slug="story", title="A story", by=admin)
    made = Team(world, admin, [await world.users.add(user(name, role=Role.ANNOTATOR)) for name in ("zoe", "abe")])
    for name in ("One", "Two", "Three"):
        made.resources.append((await world.create_resource(project="story", name=name, attributes={}, by=admin)).id)
    await made.declare()
    return made


async def test_pairs_are_told_by_name_and_disputes_without(team: Team) -> None:
    for resource, (zoe, abe) in enumerate([("a", "a"), ("b", "b"), ("b", "a")]):
        await team.say(0, resource, zoe)
        await team.say(1, resource, abe)
    found = await team.ask(team.admin)
    assert found.pairs == [NamedPair(a="abe", b="zoe", items=3, kappa=0.4)]
    assert found.disputed == [Disputed(resource_id=team.resources[2], values=("a", "b"))]
    assert (found.figures.annotations, found.figures.items, found.figures.annotators) == (6, 3, 2)
    assert found.figures.raw == pytest.approx(2 / 3)


async def test_in_a_blind_set_annotators_see_disputes_that_they_have_part_in(team: Team, other: User) -> None:
    await team.say(0, 0, "a")
    await team.say(1, 0, "b")
    assert len((await team.ask(team.people[0])).disputed) == 1
    assert (await team.ask(other)).disputed == []
    assert (await team.ask(other)).figures.raw == 0
    assert len((await team.ask(team.admin)).disputed) == 1
    await team.declare(blind=False)
    assert len((await team.ask(other)).disputed) == 1


async def test_it_is_worked_out_once_until_something_changes(team: Team) -> None:
    await team.say(0, 0, "a")
    for by in (team.admin, *team.people, team.admin):
        assert (await team.ask(by)).figures.annotations == 1
    assert team.world.reliability.asked == 1
    await team.ask(team.admin, seed=1)
    assert team.world.reliability.asked == 2
    await team.say(1, 1, "a")
    assert (await team.ask(team.admin)).figures.annotations == 2
    await team.say(1, 1, "b")
    await team.ask(team.admin)
    assert team.world.reliability.asked == 4
    await team.world.delete_resource(project="story", resource_id=team.resources[1], expected=None, by=team.admin)
    assert (await team.ask(team.admin)).figures.annotations == 1


async def test_a_new_version_is_asked_anew_and_what_it_does_not_take_is_left_out(team: Team) -> None:
    await team.say(0, 0, "a")
    await team.say(1, 0, "b")
    assert (await team.ask(team.admin)).figures.annotations == 2
    await team.declare(choices=[{"value": "a"}, {"value": "c"}], level="ordinal")
    found = await team.ask(team.admin)
    assert (found.figures.annotations, found.level) == (1, "ordinal")


async def test_it_is_for_the_team(team: Team, member: User) -> None:
    with pytest.raises(NotAllowed):
        await team.ask(member)
    with pytest.raises(NotFound):
        await team.world.get_agreement(project="story", label_set="nothing", by=team.admin)
