"""Annotations and their queue: the sentences of `Annotations` and `AnnotationReader`."""

from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from sqlalchemy import select

from adapters.postgres.database import Statement
from adapters.postgres.snapshots import SNAPSHOTS_AT_ONCE
from adapters.postgres.tables import annotation_changes
from domain.access import Role
from domain.annotation import LEASE, Annotation, AnnotationFilter, Given, annotate, is_seen, judged
from domain.errors import NotFound
from domain.export import TooManyTables
from domain.label_set import LabelSet
from domain.resource import Filter, Resource, Sort
from domain.user import User
from tests.contracts.stage import InMemory, InPostgres, Stage
from tests.examples import NOW, resource

A_MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A project with a label set of two copies, annotators and resources."""

    stage: Stage
    label_set: LabelSet
    people: list[User]
    figures: list[Resource]

    async def say(self, person: int, figure: int, label: Any, *, label_set: LabelSet | None = None, **rest: Any) -> Annotation:
        """What somebody says of a figure, as the use case has it stored."""
        here, by, id = label_set or self.label_set, self.people[person], self.figures[figure].id
        async with self.stage.unit_of_work() as work:
            found = await work.annotations.lock(here, resource_id=id, annotator_id=by.id)
            saved = await work.annotations.save(here, annotate(here, found, resource_id=id, value=label, by=by, at=NOW, **rest))
            given = await work.annotations.given(here, resource_id=id)
            await work.annotations.settle(here, judged(here, given), resource_id=id, given_back_by=by.id)
            await work.commit()
        return saved

    async def draw(self, person: int, *, later: timedelta = timedelta(0)) -> int | None:
        """The place of the figure that somebody is handed out."""
        async with self.stage.unit_of_work() as work:
            at = NOW + later
            drawn = await work.annotations.draw(self.label_set, annotator_id=self.people[person].id, at=at, until=at + LEASE)
            await work.commit()
        return None if drawn is None else [figure.id for figure in self.figures].index(drawn)

    async def list(self, **where: Any) -> list[Annotation]:
        found = await self.stage.annotation_reader.page(AnnotationFilter(project="story", **where), after=0, limit=99)
        async with self.stage.annotation_reader.snapshot("story") as snapshot:
            assert snapshot.project_id == self.label_set.project_id
            named = [each async for batch in snapshot.batches(AnnotationFilter(project="story", **where)) for each in batch]
            assert await snapshot.count(AnnotationFilter(project="story", **where)) == len(named)
        assert [each.annotation for each in named] == found
        names = {figure.id: figure.name for figure in self.figures}
        assert all(each.resource_name == names[each.annotation.resource_id] for each in named)
        return found

    async def delete(self, figure: int) -> None:
        async with self.stage.unit_of_work() as work:
            found = await work.resources.lock(project="story", resource_id=self.figures[figure].id)
            await work.resources.save(replace(found, deleted_at=NOW, updated_at=NOW, version=2))
            await work.commit()


async def scene(stage: Stage, *, figures: int = 3, people: int = 4, **declared: Any) -> Scene:
    await stage.project()
    admin = await stage.user("grace", role=Role.ADMIN)
    made = [await stage.resources.add(resource(f"Figure {number}", by=admin)) for number in range(figures)]
    crowd = [await stage.user(f"annotator-{number}", role=Role.ANNOTATOR) for number in range(people)]
    return Scene(stage=stage, label_set=await stage.label_set(by=admin, **declared), people=crowd, figures=made)


class AnnotationsContract:
    async def test_an_annotation_is_had_as_it_was_saved(self, stage: Stage) -> None:
        here = await scene(stage)
        said = await here.say(0, 1, "a", confidence=5, note="Sure.\n")
        assert said.id > 0
        async with stage.unit_of_work() as work:
            place = {"resource_id": here.figures[1].id, "annotator_id": here.people[0].id}
            assert await work.annotations.lock(here.label_set, **place) == said
            assert await work.annotations.lock(here.label_set, **place | {"annotator_id": here.people[1].id}) is None
            assert await work.annotations.given(here.label_set, resource_id=here.figures[1].id) == [
                Given(annotator_id=here.people[0].id, value="a")
            ]

    async def test_saying_it_anew_takes_the_place_of_what_was_said(self, stage: Stage) -> None:
        here = await scene(stage)
        first = await here.say(0, 0, "a", note="?")
        second = await here.say(0, 0, "b", confidence=1)
        assert (second.id, second.version, second.note) == (first.id, 2, None)
        assert await here.list() == [second]

    async def test_a_resource_that_is_gone_or_elsewhere_is_not_found(self, stage: Stage) -> None:
        here = await scene(stage)
        await here.delete(0)
        await stage.project("other")
        elsewhere = await stage.resources.add(resource(by=here.people[0], project="other"))
        for id in (here.figures[0].id, elsewhere.id, 10**6):
            async with stage.unit_of_work() as work:
                with pytest.raises(NotFound):
                    await work.annotations.lock(here.label_set, resource_id=id, annotator_id=here.people[0].id)

    async def test_what_is_removed_is_gone_and_may_be_said_again(self, stage: Stage) -> None:
        here = await scene(stage)
        said = await here.say(0, 0, "a")
        async with stage.unit_of_work() as work:
            await work.annotations.lock(here.label_set, resource_id=here.figures[0].id, annotator_id=here.people[0].id)
            await work.annotations.remove(said, at=NOW)
            await work.commit()
        assert await here.list() == []
        again = await here.say(0, 0, "a")
        assert (again.version, again.id != said.id) == (1, True)

    async def test_many_are_saved_and_settled_as_each_would_be(self, stage: Stage) -> None:
        here = await scene(stage)
        first = await here.say(0, 0, "a", note="?")
        await here.delete(2)
        ids = [figure.id for figure in here.figures]
        assert await here.draw(1) == 0
        async with stage.unit_of_work() as work:
            for hold in (False, True):
                live, standing = await work.annotations.standing(here.label_set, resource_ids=[*ids[:3], 10**6], hold=hold)
                assert (live, standing) == (frozenset(ids[:2]), [first])
            anew = annotate(here.label_set, first, resource_id=ids[0], value="b", note='"é\\', by=here.people[0], at=NOW + A_MOMENT)
            more = [
                annotate(here.label_set, None, resource_id=ids[n], value="a", confidence=5, by=here.people[1], at=NOW) for n in range(2)
            ]
            await work.annotations.save_all(here.label_set, [anew, *more])
            for id in ids[:2]:
                given = await work.annotations.given(here.label_set, resource_id=id)
                await work.annotations.settle_all(here.label_set, {id: judged(here.label_set, given)})
            await work.commit()
        assert [replace(each, id=0) for each in await here.list()] == [replace(anew, id=0), *more]
        assert (await here.list())[0].id == first.id
        assert await here.draw(2) == 1  # which has one label; the other has two, in dispute, and was given back
        assert await here.draw(2) == 0

    # --- the queue

    async def test_every_resource_is_handed_out_once_in_order_until_nothing_is_left(self, stage: Stage) -> None:
        here = await scene(stage)
        assert [await here.draw(person) for person in (0, 1, 0, 2)] == [0, 1, 2, None]

    async def test_a_lease_returns_when_it_ends(self, stage: Stage) -> None:
        here = await scene(stage, figures=1)
        assert await here.draw(0) == 0
        for person in (0, 1):
            assert await here.draw(person, later=LEASE - A_MOMENT) is None
        assert await here.draw(1, later=LEASE) == 0
        assert await here.draw(0, later=LEASE) is None

    async def test_a_lease_is_given_back_by_annotating(self, stage: Stage) -> None:
        here = await scene(stage, figures=1)
        assert await here.draw(0) == 0
        await here.say(0, 0, "a")
        assert await here.draw(0) is None
        assert await here.draw(1) == 0

    async def test_who_annotates_without_a_lease_takes_none_away(self, stage: Stage) -> None:
        here = await scene(stage, figures=1)
        assert await here.draw(0) == 0
        await here.say(1, 0, "a")
        assert await here.draw(2) is None
        assert await here.draw(2, later=LEASE) == 0

    async def test_what_has_enough_is_handed_out_no_more(self, stage: Stage) -> None:
        here = await scene(stage, figures=1)
        await here.say(0, 0, "a")
        await here.say(1, 0, "a")
        assert await here.draw(2) is None

    async def test_what_was_begun_comes_first(self, stage: Stage) -> None:
        here = await scene(stage)
        await here.say(0, 2, "a")
        assert [await here.draw(1), await here.draw(0), await here.draw(0), await here.draw(0)] == [2, 0, 1, None]

    async def test_then_comes_what_is_most_in_dispute(self, stage: Stage) -> None:
        scale: dict[str, Any] = {"type": "scale", "choices": None, "min": 1, "max": 7, "level": "interval"}
        here = await scene(stage, figures=4, **scale)
        for figure, (one, other) in enumerate([(3, 4), (2, 2), (1, 7), (2, 5)]):
            await here.say(0, figure, one)
            await here.say(1, figure, other)
        assert [await here.draw(2) for _ in range(4)] == [2, 3, 0, None]
        assert await here.draw(0) is None

    async def test_what_lacks_copies_comes_before_disputes(self, stage: Stage) -> None:
        here = await scene(stage, figures=2)
        await here.say(0, 0, "a")
        await here.say(1, 0, "b")
        assert [await here.draw(2), await here.draw(2), await here.draw(2)] == [1, 0, None]

    async def test_nobody_is_handed_out_what_is_gone_or_new_resources_late(self, stage: Stage) -> None:
        here = await scene(stage)
        await here.delete(0)
        assert [await here.draw(0), await here.draw(0), await here.draw(0)] == [1, 2, None]
        here.figures.append(await stage.resources.add(resource("Figure 9", by=here.people[0])))
        assert await here.draw(0) == 3

    # --- what most said

    async def test_resources_are_found_by_the_label_that_most_gave(self, stage: Stage) -> None:
        here = await scene(stage, figures=4)
        for figure, labels in enumerate(["aab", "ab", "bb", "a"]):
            for person, label in enumerate(labels):
                await here.say(person, figure, label)

        async def found(label: str, **rest: Any) -> list[int]:
            where = Filter(project="story", labels=(("topic", label),), **rest)
            page = await stage.reader.page(where, sort=Sort.ID, limit=9)
            numbered = await stage.reader.numbered_page(where, sort=Sort.ID, page=1, per_page=9)
            ids = [index for index, figure in enumerate(here.figures) if f'"id":{figure.id},' in page.json.decode().replace(": ", ":")]
            assert len(ids) == numbered.total == await stage.reader.count(where)
            return ids

        assert (await found("a"), await found("b"), await found("c")) == ([0], [2], [])
        assert await found("a", search="figure 2") == []
        await here.say(1, 1, "a")
        assert await found("a") == [0, 1]
        both = Filter(project="story", labels=(("topic", "a"), ("topic", "b")))
        assert await stage.reader.count(both) == 0

    async def test_a_label_may_be_long(self, stage: Stage) -> None:
        here = await scene(stage, type="text", choices=None, copies=1)
        long = "\U0001f600" * 2000
        await here.say(0, 0, long)
        await here.say(0, 1, long[:-1])
        assert await stage.reader.count(Filter(project="story", labels=(("topic", long),))) == 1


class AnnotationReaderContract:
    async def test_annotations_are_listed_by_id_and_filtered(self, stage: Stage) -> None:
        here = await scene(stage)
        other = await stage.label_set("other", by=await stage.user("hopper", role=Role.ADMIN))
        said = [await here.say(person, figure, "a") for figure, person in product(range(2), range(3))]
        elsewhere = await here.say(1, 0, "b", label_set=other)
        assert await here.list() == [*said, elsewhere]
        assert await here.list(label_set="other") == [elsewhere]
        assert await here.list(annotator="annotator-1", label_set="topic") == [said[1], said[4]]
        assert await here.list(resource_id=here.figures[1].id, annotator="annotator-2") == [said[5]]
        assert await here.list(label_set="topic", resource_id=here.figures[0].id) == said[:3]
        assert await here.list(label_set="nothing") == await here.list(annotator="nobody") == await here.list(resource_id=10**6) == []
        assert await stage.annotation_reader.page(AnnotationFilter(project="story"), after=said[1].id, limit=2) == said[2:4]

    @pytest.mark.parametrize("blind", [True, False])
    async def test_each_sees_what_the_rule_says(self, stage: Stage, blind: object) -> None:
        here = await scene(stage, blind=bool(blind))
        said = [await here.say(person, figure, "a") for person, figure in ((0, 0), (1, 0), (1, 1), (2, 1), (2, 2))]
        places = {(each.annotator_id, each.resource_id) for each in said}
        for viewer in (None, *(person.id for person in here.people)):
            rule = [
                each for each in said if is_seen(each, blind=bool(blind), seen_by=viewer, own=(viewer or 0, each.resource_id) in places)
            ]
            assert await here.list(seen_by=viewer) == rule
        await here.say(3, 2, "a", label_set=await stage.label_set("other", by=await stage.user("hopper", role=Role.ADMIN)))
        assert len(await here.list(seen_by=here.people[3].id, label_set="topic")) == (0 if blind else len(said))
        mine = await here.list(seen_by=here.people[0].id)
        assert mine == (said[:2] if blind else said)

    async def test_what_is_deleted_is_not_listed(self, stage: Stage) -> None:
        here = await scene(stage)
        kept, _ = await here.say(0, 0, "a"), await here.say(0, 1, "a")
        await here.delete(1)
        assert await here.list() == [kept]
        await stage.put_away()
        with pytest.raises(NotFound):
            await stage.annotation_reader.page(AnnotationFilter(project="story"), after=0, limit=9)
        with pytest.raises(NotFound):
            async with stage.annotation_reader.snapshot("story"):
                pass

    async def test_a_snapshot_does_not_move(self, stage: Stage) -> None:
        here = await scene(stage)
        said = await here.say(0, 0, "a")
        async with stage.annotation_reader.snapshot("story") as snapshot:
            await here.say(1, 0, "b")
            found = [each.annotation async for batch in snapshot.batches(AnnotationFilter(project="story")) for each in batch]
        assert found == [said]

    async def test_only_so_many_snapshots_are_open_at_once(self, stage: Stage) -> None:
        await scene(stage)
        opened = [stage.annotation_reader.snapshot("story") for _ in range(SNAPSHOTS_AT_ONCE + 1)]
        for each in opened[:-1]:
            await each.__aenter__()
        with pytest.raises(TooManyTables):
            await opened[-1].__aenter__()
        for each in opened[:-1]:
            await each.__aexit__(None, None, None)
        async with stage.annotation_reader.snapshot("story"):
            pass


class TestFakeAnnotations(InMemory, AnnotationsContract):
    pass


class TestPostgresAnnotations(InPostgres, AnnotationsContract):
    async def test_the_history_of_an_annotation_is_kept(self, stage: Stage) -> None:
        here = await scene(stage)
        await here.say(0, 0, "a", note="first")
        said = await here.say(0, 0, "b", confidence=2)
        async with stage.unit_of_work() as work:
            await work.annotations.lock(here.label_set, resource_id=here.figures[0].id, annotator_id=here.people[0].id)
            await work.annotations.remove(said, at=NOW + A_MOMENT)
            await work.commit()
        async with stage.unit_of_work() as work:
            rows = await work.annotations._run.rows(_HISTORY)  # type: ignore[attr-defined]
        assert {row["annotation_id"] for row in rows} == {said.id}
        told = [(row["version"], row["value"], row["confidence"], row["note"], row["changed_at"]) for row in rows]
        assert told == [(1, "a", None, "first", NOW), (2, "b", 2, None, NOW), (3, None, None, None, NOW + A_MOMENT)]


class TestFakeAnnotationReader(InMemory, AnnotationReaderContract):
    pass


class TestPostgresAnnotationReader(InPostgres, AnnotationReaderContract):
    pass


_HISTORY = Statement(select(annotation_changes).order_by(annotation_changes.c.version))
