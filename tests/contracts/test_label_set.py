"""Label sets: the sentences of `LabelSets`."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from domain.access import Role
from domain.annotation import annotate
from domain.errors import NotFound
from domain.label_set import LabelSet
from domain.survey import FieldChange, Kind
from domain.user import User
from tests.contracts.stage import InMemory, InPostgres, Stage
from tests.examples import NOW, declaration, resource


async def admin_of(stage: Stage) -> User:
    await stage.project()
    return await stage.user("grace", role=Role.ADMIN)


async def stored(stage: Stage, label_set: LabelSet) -> LabelSet:
    async with stage.unit_of_work() as work:
        await work.label_sets.lock("story", label_set.name)
        saved = await work.label_sets.save(label_set, (FieldChange(field=label_set.name, change=Kind.RELABELLED, touched=3),))
        await work.commit()
    return saved


class LabelSetsContract:
    async def test_a_label_set_is_got_as_it_was_saved(self, stage: Stage) -> None:
        made = await stage.label_set(by=await admin_of(stage))
        assert made.id > 0
        for found in (await stage.label_sets.get("story", "topic"), await stage.label_sets.hold("story", "topic")):
            assert found == made
        async with stage.unit_of_work() as work:
            assert await work.label_sets.lock("story", "topic") == (made.project_id, made)

    @pytest.mark.parametrize(
        "changes",
        [
            {"type": "choice", "choices": [{"value": "ä b", "label": "Ä", "code": -7}, {"value": "x", "code": 2**40}], "level": "interval"},
            {"type": "scale", "choices": None, "min": -3, "max": 7, "blind": False, "copies": 5},
            {"type": "boolean", "choices": None},
            {"type": "text", "choices": None},
        ],
    )
    async def test_every_type_comes_back_as_declared(self, stage: Stage, changes: dict[str, Any]) -> None:
        made = await stage.label_set(by=await admin_of(stage), **changes)
        assert (await stage.label_sets.get("story", "topic")).declaration == made.declaration == declaration(**changes)

    async def test_label_sets_are_counted_by_project(self, stage: Stage) -> None:
        admin = await admin_of(stage)
        made = [await stage.label_set(name, by=admin) for name in ("topic", "sound")]
        assert await stage.label_sets.count(made[0].project_id) == 2
        assert await stage.label_sets.count((await stage.project("other")).id) == 0

    async def test_what_is_not_there_is_not_found(self, stage: Stage) -> None:
        admin = await admin_of(stage)
        await stage.label_set(by=admin)
        await stage.project("other")
        for project, name in (("other", "topic"), ("story", "Topic"), ("nowhere", "topic")):
            with pytest.raises(NotFound):
                await stage.label_sets.get(project, name)
            with pytest.raises(NotFound):
                await stage.label_sets.hold(project, name)
        with pytest.raises(NotFound):
            await stage.label_sets.page("nowhere", after="", limit=9)
        async with stage.unit_of_work() as work:
            with pytest.raises(NotFound):
                await work.label_sets.lock("nowhere", "topic")
            assert (await work.label_sets.lock("other", "topic"))[1] is None

    async def test_nothing_of_a_deleted_project_is_found(self, stage: Stage) -> None:
        await stage.label_set(by=await admin_of(stage))
        await stage.put_away()
        with pytest.raises(NotFound):
            await stage.label_sets.get("story", "topic")
        await stage.project()
        assert await stage.label_sets.page("story", after="", limit=9) == []

    async def test_a_new_version_takes_the_place_of_the_old(self, stage: Stage) -> None:
        made = await stage.label_set(by=await admin_of(stage))
        newer = replace(made, version=2, declaration=declaration(type="boolean", choices=None, copies=3))
        assert await stored(stage, newer) == newer == await stage.label_sets.get("story", "topic")
        questions = await stage.label_sets.questions(made.id)
        assert questions == [made.declaration.question, newer.declaration.question]

    async def test_label_sets_are_listed_by_name(self, stage: Stage) -> None:
        admin = await admin_of(stage)
        made = {name: await stage.label_set(name, by=admin) for name in ("b", "a", "B", "c-1")}
        assert await stage.label_sets.page("story", after="", limit=9) == [made[name] for name in ("B", "a", "b", "c-1")]
        assert await stage.label_sets.page("story", after="a", limit=1) == [made["b"]]
        assert await stage.label_sets.page("story", after="c-1", limit=1) == []

    async def test_the_labels_that_stand_are_counted(self, stage: Stage) -> None:
        admin = await admin_of(stage)
        made, other = await stage.label_set(by=admin), await stage.label_set("other", by=admin)
        figure = await stage.resources.add(resource(by=admin))
        for number, label in enumerate("aab"):
            by = await stage.user(f"annotator-{number}", role=Role.ANNOTATOR)
            async with stage.unit_of_work() as work:
                for label_set in (made, other)[: 1 + number // 2]:
                    await work.annotations.lock(label_set, resource_id=figure.id, annotator_id=by.id)
                    await work.annotations.save(label_set, annotate(label_set, None, resource_id=figure.id, value=label, by=by, at=NOW))
                await work.commit()
        assert sorted(await stage.label_sets.labels(made.id)) == [("a", 2), ("b", 1)]
        assert await stage.label_sets.labels(other.id) == [("b", 1)]


class TestFakeLabelSets(InMemory, LabelSetsContract):
    pass


class TestPostgresLabelSets(InPostgres, LabelSetsContract):
    async def test_many_hold_a_label_set_at_the_same_time(self, stage: Stage) -> None:
        made = await stage.label_set(by=await admin_of(stage))
        async with stage.unit_of_work() as one, stage.unit_of_work() as other, asyncio.timeout(5):
            assert await one.label_sets.hold("story", "topic") == await other.label_sets.hold("story", "topic") == made
