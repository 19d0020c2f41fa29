"""Importing labels: all or nothing, each as if its annotator had given it."""

import io
from typing import Any

import pytest

from application.annotation_import import LabelsImported
from domain.access import NotAllowed
from domain.annotation_import import ROWS_MAX
from domain.errors import NotFound
from domain.resource_import import InvalidRows
from domain.user import User
from tests.examples import declaration
from tests.unit.application.conftest import World

HEADER = "resource_name,label_set,annotator,value,confidence,note\n"


@pytest.fixture
async def figures(world: World, admin: User) -> list[int]:
    """Two resources of a project with two label sets."""
    await world.create_project(slug="story", title="A story", description=None, by=admin)
    await world.publish_label_set(project="story", name="topic", declaration=declaration(), by=admin)
    scale = declaration(type="scale", choices=None, min=1, max=5)
    await world.publish_label_set(project="story", name="clear", declaration=scale, by=admin)
    return [(await world.create_resource(project="story", name=name, attributes={}, by=admin)).id for name in ("One", "Two")]


async def send(world: World, rows: str, by: User, *, header: str = HEADER, **rest: Any) -> LabelsImported:
    return await world.import_annotations(file=io.BytesIO((header + rows).encode()), project="story", by=by, **rest)


async def listed(world: World, by: User) -> list[tuple[Any, ...]]:
    found = await world.list_annotations(project="story", after=0, limit=99, by=by)
    return [(each.resource_id, each.label_set, each.annotator, each.value, each.confidence, each.note, each.version) for each in found]


async def test_labels_are_inserted_updated_and_left(world: World, figures: list[int], other: User, admin: User) -> None:
    await world.annotate(project="story", resource_id=figures[0], label_set="topic", value="a", note="mine", by=other)
    rows = "one,topic,EMMY,b,2,\nONE,topic,grace,a,,so\ntwo,clear,emmy,3,,\n"
    for dry_run in (True, False):
        done = await send(world, rows, admin, dry_run=dry_run)
        assert done == LabelsImported(dry_run=dry_run, rows=3, inserted=2, updated=1, unchanged=0)
        assert len(await listed(world, admin)) == (1 if dry_run else 3)
    assert sorted(await listed(world, admin)) == [
        (figures[0], "topic", "emmy", "b", 2, None, 2),
        (figures[0], "topic", "grace", "a", None, "so", 1),
        (figures[1], "clear", "emmy", 3, None, None, 1),
    ]
    assert (await send(world, rows, admin)).unchanged == 3
    told = [entry for _, entry in sorted(world.store.tables.audit.items()) if entry.action == "annotation.import"]
    assert [(each.field, each.after) for each in told[0].changes] == [("rows", 3), ("inserted", 2), ("updated", 1), ("unchanged", 0)]
    judgement = world.store.tables.judgements[(await world.get_label_set(project="story", name="topic", by=admin)).id, figures[0]]
    assert (judgement.annotators, judgement.label, judgement.dispute) == (tuple(sorted((other.id, admin.id))), None, 1.0)


async def test_every_fault_is_told_by_row_and_field_and_nothing_is_stored(
    world: World, figures: list[int], other: User, member: User, admin: User
) -> None:
    bad = [
        ("three,topic,emmy,a,,", {("resource_name", "unknown-resource")}),
        ("one,x,nobody,a,,", {("label_set", "unknown-label-set"), ("annotator", "unknown-annotator")}),
        ("one,topic,ada,a,,", {("annotator", "not-an-annotator")}),
        ("one,topic,emmy,c,,", {("value", "invalid-label")}),
        ("one,topic,emmy,a,,", {("annotator", "label-repeated")}),
        ("one,clear,emmy,9,,", {("value", "invalid-label")}),
        ("one,clear,grace,2,6,", {("confidence", "out-of-range")}),
        ("two,topic,emmy,a,high,", {("confidence", "bad-type")}),
        ("two,topic,emmy,,,", {("value", "missing")}),
        ("o\0ne,topic,em\0my,a,,", {("resource_name", "unknown-resource"), ("annotator", "unknown-annotator")}),
        ("two,topic,grace,a", {("", "bad-row")}),
    ]
    with pytest.raises(InvalidRows) as refused:
        await send(world, "two,topic,emmy,a,,\n" + "\n".join(row for row, _ in bad), admin)
    found = {(fault.row, fault.field, fault.code) for fault in refused.value.row_faults}
    assert found == {(row, *fault) for row, (_, faults) in enumerate(bad, start=2) for fault in faults}
    assert refused.value.rows_failed == len(bad)
    assert await listed(world, admin) == []


async def test_who_may_and_how_many(world: World, figures: list[int], other: User, admin: User) -> None:
    with pytest.raises(NotAllowed):
        await send(world, "", other)
    with pytest.raises(NotFound):
        await world.import_annotations(file=io.BytesIO(HEADER.encode()), project="elsewhere", by=admin)
    by_id = "resource_id,label_set,annotator,value\n"
    for id in ("0", "-1", "01", "1.0", str(2**63), "one"):
        with pytest.raises(InvalidRows) as refused:
            await send(world, f"{id},topic,emmy,a\n", admin, header=by_id)
        assert [(fault.field, fault.code) for fault in refused.value.row_faults] == [("resource_id", "bad-type")]
    with pytest.raises(InvalidRows) as refused:
        await send(world, "1,t,e,a\n" * (ROWS_MAX + 1), admin, header=by_id)
    assert [fault.code for fault in refused.value.row_faults] == ["too-many-rows"]
