"""Applying a declared story: what is made, changed and left alone, all or nothing."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from application.story import Applied, Effect, Story
from domain.access import NotAllowed
from domain.errors import Invalid
from domain.project import SlugReserved
from domain.resource import Filter, NameTaken, Sort, Status
from domain.survey import BreakingChange
from domain.user import User
from tests.examples import AGE, NOTE, declaration, definition
from tests.unit.application.conftest import World


def figure(name: str = "Figure 1", **content: Any) -> dict[str, Any]:
    return {"name": name, "description": None, "status": Status.ACTIVE, "attributes": {"n": 1}} | content


STORY = Story(
    slug="dark-data",
    title="Dark data",
    description="A story",
    definition=definition(AGE, NOTE),
    resources=(figure("Figure 1"), figure("Figure 2")),
)


async def apply(world: World, by: User, story: Story = STORY, **rest: Any) -> Applied:
    return await world.apply_story(story, by=by, **rest)


async def state(world: World) -> list[Any]:
    """All there is of the story, versions and times included."""
    project, counts = await world.get_project(project="dark-data")
    page = await world.list_resources(Filter(project="dark-data"), sort=Sort.ID, limit=100)
    return [project, counts, await world.get_survey(project="dark-data"), page.json]


async def test_what_is_not_there_is_made(world: World, admin: User) -> None:
    applied = await apply(world, admin)
    assert (applied.project, applied.survey, applied.survey_version) == (Effect.CREATED, Effect.CREATED, 1)
    assert applied.resources == {"Figure 1": Effect.CREATED, "Figure 2": Effect.CREATED}
    assert [(change.field, change.change.value) for change in applied.changes] == [("age", "added"), ("note", "added")]
    project, counts, survey, _ = await state(world)
    assert (project.title, project.description, counts.resources, survey.is_open) == ("Dark data", "A story", 2, True)


async def test_a_second_time_changes_nothing(world: World, admin: User) -> None:
    await apply(world, admin)
    before = await state(world)
    world.clock.advance(timedelta(days=1))
    again = await apply(world, admin)
    assert again == Applied(
        project=Effect.UNCHANGED,
        survey=Effect.UNCHANGED,
        survey_version=1,
        changes=(),
        resources={"Figure 1": Effect.UNCHANGED, "Figure 2": Effect.UNCHANGED},
    )
    assert await state(world) == before


async def test_only_what_differs_changes(world: World, admin: User) -> None:
    await apply(world, admin)
    resources = (figure("FIGURE 1"), figure("Figure 2"), figure("Figure 3", status=Status.PENDING))
    newer = replace(STORY, title="Darker data", definition=definition(AGE, NOTE | {"label": "?"}), resources=resources)
    applied = await apply(world, admin, newer)
    assert (applied.project, applied.survey, applied.survey_version) == (Effect.UPDATED, Effect.UPDATED, 2)
    assert applied.resources == {"FIGURE 1": Effect.UPDATED, "Figure 2": Effect.UNCHANGED, "Figure 3": Effect.CREATED}
    assert [(change.field, change.change.value) for change in applied.changes] == [("note", "relabelled")]
    assert (await apply(world, admin, newer)).resources["FIGURE 1"] is Effect.UNCHANGED


@pytest.mark.parametrize("attributes", [{"n": True}, {"n": 1.0}, {"n": 1, "m": None}, {}])
async def test_attributes_that_are_other_json_are_a_change(world: World, admin: User, attributes: dict[str, Any]) -> None:
    await apply(world, admin)
    applied = await apply(world, admin, replace(STORY, resources=(figure(attributes=attributes),)))
    assert applied.resources == {"Figure 1": Effect.UPDATED}


async def test_what_is_not_declared_stays(world: World, admin: User) -> None:
    await apply(world, admin)
    before = await state(world)
    applied = await apply(world, admin, replace(STORY, definition=None, resources=()))
    assert applied == Applied(project=Effect.UNCHANGED, survey=Effect.UNCHANGED, survey_version=None, changes=(), resources={})
    assert await state(world) == before


async def test_a_dry_run_tells_the_same_and_does_nothing(world: World, admin: User) -> None:
    told = await apply(world, admin, dry_run=True)
    assert not await world.projects.was_used("dark-data")
    assert await apply(world, admin) == told
    before = await state(world)
    newer = replace(STORY, title="Darker data", definition=definition(AGE), resources=(figure("Figure 3"),))
    told = await apply(world, admin, newer, dry_run=True)
    assert await state(world) == before
    assert await apply(world, admin, newer) == told


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"title": ""}, Invalid),
        ({"slug": "admin"}, SlugReserved),
        ({"slug": "Dark Data"}, Invalid),
        ({"resources": (figure("Figure 1"), figure(""))}, Invalid),
        ({"resources": (figure("Figure 1"), figure("Figure 2", attributes={"n": float("nan")}))}, Invalid),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else value.__name__,
)
async def test_it_is_made_whole_or_not_at_all(world: World, admin: User, wrong: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        await apply(world, admin, replace(STORY, **wrong))
    assert await world.list_projects(after="", limit=10) == []
    assert (await apply(world, admin)).project is Effect.CREATED


async def test_it_is_changed_whole_or_not_at_all(world: World, admin: User) -> None:
    await apply(world, admin)
    before = await state(world)
    with pytest.raises(Invalid):
        await apply(world, admin, replace(STORY, title="Darker", definition=definition(NOTE), resources=(figure(), figure("\x00"))))
    assert await state(world) == before


async def test_a_breaking_change_is_refused_and_nothing_else_is_done(world: World, admin: User) -> None:
    await apply(world, admin)
    await world.save(project="dark-data", fingerprint="fingerprint-1", answers={"age": 42, "note": "x"})
    before = await state(world)
    newer = replace(STORY, title="Darker data", definition=definition(AGE), resources=(figure("Figure 3"),))
    for dry_run in (True, False):
        with pytest.raises(BreakingChange) as refused:
            await apply(world, admin, newer, dry_run=dry_run, accept_breaking=frozenset({"age"}))
        assert [(change.field, change.touched) for change in refused.value.changes] == [("note", 1)]
    assert await state(world) == before
    applied = await apply(world, admin, newer, accept_breaking=frozenset({"note"}))
    assert (applied.survey, applied.survey_version, applied.project) == (Effect.UPDATED, 2, Effect.UPDATED)


async def test_a_name_that_is_declared_twice_is_refused(world: World, admin: User) -> None:
    twice = replace(STORY, resources=(figure("Figure 1"), figure("FIGURE 1", description="Another")))
    with pytest.raises((NameTaken, Invalid)):
        await apply(world, admin, twice)


async def test_a_story_that_was_put_away_is_made_anew(world: World, admin: User) -> None:
    await apply(world, admin)
    await world.delete_project(project="dark-data", expected=None, by=admin)
    applied = await apply(world, admin)
    assert (applied.project, applied.survey_version) == (Effect.CREATED, 1)
    assert applied.resources == {"Figure 1": Effect.CREATED, "Figure 2": Effect.CREATED}


async def test_a_closed_survey_stays_closed(world: World, admin: User) -> None:
    await apply(world, admin)
    await world.switch(project="dark-data", is_open=False, by=admin)
    assert (await apply(world, admin)).survey is Effect.UNCHANGED
    assert not (await world.get_survey(project="dark-data")).is_open


async def test_only_an_admin_applies(world: World, member: User, other: User) -> None:
    for by in (member, other):
        with pytest.raises(NotAllowed):
            await apply(world, by, replace(STORY, title=""))


async def test_label_sets_are_made_changed_and_left_alone(world: World, admin: User) -> None:
    story = replace(STORY, label_sets={"topic": declaration(), "sound": declaration(type="boolean", choices=None)})
    applied = await apply(world, admin, story)
    assert applied.label_sets == {"topic": Effect.CREATED, "sound": Effect.CREATED}
    assert [(change.field, change.change.value) for change in applied.changes[-2:]] == [("topic", "added"), ("sound", "added")]
    again = await apply(world, admin, story)
    assert again.label_sets == {"topic": Effect.UNCHANGED, "sound": Effect.UNCHANGED}
    wider = await apply(world, admin, replace(STORY, label_sets={"topic": declaration(choices=[{"value": each} for each in "abc"])}))
    assert wider.label_sets == {"topic": Effect.UPDATED}
    assert [each.name for each in await world.list_label_sets(project="dark-data", after="", limit=9, by=admin)] == ["sound", "topic"]


async def test_a_label_set_that_breaks_annotations_undoes_the_whole_story(world: World, admin: User) -> None:
    await apply(world, admin, replace(STORY, label_sets={"topic": declaration()}))
    page = await world.list_resources(Filter(project="dark-data"), sort=Sort.ID, limit=1)
    resource_id = json.loads(page.json)[0]["id"]
    await world.annotate(project="dark-data", resource_id=resource_id, label_set="topic", value="b", by=admin)
    before, narrower = await state(world), replace(STORY, title="Other", label_sets={"topic": declaration(choices=[{"value": "a"}])})
    with pytest.raises(BreakingChange):
        await apply(world, admin, narrower)
    assert await state(world) == before
    accepted = await apply(world, admin, narrower, accept_breaking=frozenset({"topic"}))
    assert accepted.label_sets == {"topic": Effect.UPDATED}
