"""Annotating, drawing, listing and exporting: the rules of the use cases, over fakes."""

import json
from typing import Any

import pytest

from application.annotation import Drawn
from domain.access import NotAllowed, Role
from domain.annotation import LEASE
from domain.errors import Invalid, NotFound, Stale
from domain.export import Format
from domain.resource import Filter, Sort
from domain.survey import BreakingChange
from domain.user import User
from tests.examples import declaration, user
from tests.unit.application.conftest import World

PLACE: dict[str, Any] = {"project": "story", "label_set": "topic"}


@pytest.fixture
async def figures(world: World, admin: User) -> list[int]:
    """Two resources of a project with a label set."""
    await world.create_project(slug="story", title="A story", description=None, by=admin)
    await world.publish_label_set(project="story", name="topic", declaration=declaration(), by=admin)
    return [(await world.create_resource(project="story", name=name, attributes={}, by=admin)).id for name in ("one", "two")]


async def actions(world: World) -> list[str]:
    return [entry.action for _, entry in sorted(world.store.tables.audit.items()) if entry.target.type in ("annotation", "label-set")]


async def test_drawing_and_annotating_until_nothing_is_left(world: World, figures: list[int], other: User, admin: User) -> None:
    for by in (other, admin):
        for figure in figures:
            drawn = await world.draw(**PLACE, by=by)
            assert drawn is not None
            assert (drawn.resource.id, drawn.lease_until) == (figure, world.clock.now() + LEASE)
            done = await world.annotate(**PLACE, resource_id=figure, value="a", by=by)
            assert (done.is_new, done.annotation.annotator) == (True, by.username)
            assert world.store.tables.leases == {}
        assert await world.draw(**PLACE, by=by) is None


async def test_an_abandoned_lease_returns(world: World, figures: list[int], other: User, admin: User) -> None:
    assert [isinstance(await world.draw(**PLACE, by=by), Drawn) for by in (other, admin, admin)] == [True, True, False]
    world.clock.advance(LEASE)
    again = await world.draw(**PLACE, by=admin)
    assert again is not None
    assert again.resource.id == figures[0]


async def test_annotating_anew_and_withdrawing_are_recorded_and_the_same_again_is_not(
    world: World, figures: list[int], other: User
) -> None:
    say = {**PLACE, "resource_id": figures[0], "by": other}
    for value in ("a", "a", "b"):
        done = await world.annotate(**say, value=value)
    assert (done.is_new, done.annotation.version) == (False, 2)
    with pytest.raises(Stale):
        await world.withdraw(**say, expected=frozenset({1}))
    await world.withdraw(**say, expected=frozenset({2}))
    with pytest.raises(NotFound):
        await world.withdraw(**say)
    assert await actions(world) == ["label-set.create", "annotation.create", "annotation.update", "annotation.delete"]
    assert world.store.tables.judgements[done.annotation.label_set_id, figures[0]].annotators == ()


async def test_what_is_refused_leaves_nothing_behind(world: World, figures: list[int], other: User, member: User) -> None:
    refusals: list[tuple[type[Exception], dict[str, Any]]] = [
        (Invalid, {"value": "c"}),
        (NotFound, {"resource_id": 10**6}),
        (NotFound, {"label_set": "x"}),
        (NotAllowed, {"by": member}),
    ]
    for refused, change in refusals:
        with pytest.raises(refused):
            await world.annotate(**{**PLACE, "resource_id": figures[0], "value": "a", "by": other, **change})
    assert await actions(world) == ["label-set.create"]
    assert world.store.tables.annotations == {}
    with pytest.raises(NotAllowed):
        await world.draw(**PLACE, by=member)
    with pytest.raises(NotAllowed):
        await world.withdraw(**PLACE, resource_id=figures[0], by=member)


async def test_annotators_see_less_than_admins(world: World, figures: list[int], other: User, admin: User) -> None:
    third = await world.users.add(user("hopper", role=Role.ANNOTATOR))
    for figure in figures:
        await world.annotate(**PLACE, resource_id=figure, value="a", by=third)
    await world.annotate(**PLACE, resource_id=figures[0], value="b", by=other)

    async def seen(by: User) -> list[tuple[int, str]]:
        listed = await world.list_annotations(project="story", after=0, limit=9, by=by)
        exported = await exported_by(world, by)
        assert len(exported) == len(listed)
        return [(each.resource_id, each.annotator) for each in listed]

    assert await seen(admin) == [(figures[0], "hopper"), (figures[1], "hopper"), (figures[0], "emmy")]
    assert await seen(other) == [(figures[0], "hopper"), (figures[0], "emmy")]


async def exported_by(world: World, by: User, **rest: Any) -> list[dict[str, Any]]:
    parts = [part async for part in world.export_annotations(project="story", kind=Format.JSON, by=by, **rest)]
    rows: list[dict[str, Any]] = json.loads(b"".join(parts))
    return rows


async def test_files_tell_names_to_admins_who_ask(world: World, figures: list[int], other: User, admin: User) -> None:
    await world.annotate(**PLACE, resource_id=figures[0], value="a", by=other)
    (named,), (unnamed,) = await exported_by(world, admin, names=True), await exported_by(world, admin)
    assert named["annotator"] == "emmy"
    assert unnamed["annotator"] not in ("emmy", str(other.id))
    assert unnamed | {"annotator": ""} == named | {"annotator": ""}
    with pytest.raises(NotAllowed):
        await exported_by(world, other, names=True)
    exports = [entry for entry in world.store.tables.audit.values() if entry.action == "annotation.export"]
    assert [[change.after for change in entry.changes] for entry in exports] == [["json", True], ["json", False]]


async def test_resources_are_found_by_what_most_said(world: World, figures: list[int], other: User, admin: User) -> None:
    for by in (other, admin):
        await world.annotate(**PLACE, resource_id=figures[1], value="b", by=by)

    async def found(*labels: tuple[str, str]) -> list[int]:
        page = await world.list_resources(Filter(project="story", labels=labels), sort=Sort.ID, limit=9)
        return [each["id"] for each in json.loads(page.json)]

    assert (await found(("topic", "b")), await found(("topic", "a"))) == ([figures[1]], [])
    for bad in ([("topic", "c")], [("nothing", "a")], [(f"topic-{n}", "a") for n in range(9)]):
        with pytest.raises(Invalid):
            await found(*bad)


async def test_a_label_set_is_versioned_with_its_verdict(world: World, figures: list[int], other: User, admin: User) -> None:
    await world.annotate(**PLACE, resource_id=figures[0], value="b", by=other)
    publish: dict[str, Any] = {"project": "story", "name": "topic", "declaration": declaration(choices=[{"value": "a"}])}
    with pytest.raises(NotAllowed):
        await world.publish_label_set(**publish, by=other)
    with pytest.raises(BreakingChange):
        await world.publish_label_set(**publish, by=admin)
    accepted = await world.publish_label_set(**publish, accept_breaking=frozenset({"topic"}), by=admin)
    again = await world.publish_label_set(**publish, by=admin)
    assert [(each.is_first, each.is_new, each.label_set.version) for each in (accepted, again)] == [(False, True, 2), (False, False, 2)]
    assert [(each.change.value, each.touched) for each in accepted.changes] == [("narrowed", 1)]
    assert await world.get_label_set(project="story", name="topic", by=other) == accepted.label_set
    assert await world.list_label_sets(project="story", after="", limit=9, by=other) == [accepted.label_set]
    assert (await actions(world)).count("label-set.update") == 1
