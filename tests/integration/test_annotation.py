"""What holds when many annotate at once, shown with the use cases themselves on real PostgreSQL."""

import asyncio
import io
from collections import Counter
from functools import partial
from typing import Any

import pytest

from adapters.postgres.database import Pool
from adapters.postgres.label_set import PostgresLabelSets
from adapters.postgres.resource import count_statement
from adapters.postgres.resource.reader import page_statement
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from adapters.tabular.import_tables import TabularImportTables
from application.annotation import Annotate, Annotated, DrawNext, WithdrawAnnotation
from application.annotation_import import ImportAnnotations, LabelsImported
from application.label_set import PublishLabelSet
from domain.access import Role
from domain.annotation import Given, annotate, judged
from domain.errors import Invalid, NotFound, Unavailable
from domain.resource import Sort
from domain.survey import BreakingChange
from domain.user import User
from tests.contracts.stage import Stage, stage_in_postgres
from tests.drills.queue import drill
from tests.examples import declaration, resource
from tests.fakes.system import FakeClock
from tests.postgres import lent

CLOCK = FakeClock()
ITEMS = "SELECT annotators, annotations, label, dispute FROM annotation_items"


@pytest.fixture
async def stage(pool: Pool) -> Stage:
    return stage_in_postgres(pool)


@pytest.fixture
async def admin(stage: Stage) -> User:
    await stage.project()
    return await stage.user("grace", role=Role.ADMIN)


async def annotators(stage: Stage, number: int) -> list[User]:
    return [await stage.user(f"annotator-{n}", role=Role.ANNOTATOR) for n in range(number)]


async def rows(pool: Pool, query: str) -> list[dict[str, Any]]:
    async with lent(pool) as connection:
        return [dict(row) for row in await connection.fetch(query)]


async def test_nobody_is_given_anything_twice_and_nothing_is_held_by_two(pool: Pool) -> None:
    outcome = await drill(pool, annotators=12, resources=150, seed=7)
    assert outcome.faults == []
    assert outcome.drawn > 2 * 150 + 2 * 150


async def test_of_32_first_annotations_by_one_person_one_is_made_and_each_is_logged(pool: Pool, stage: Stage, admin: User) -> None:
    await stage.label_set(by=admin, type="scale", choices=None, min=0, max=99)
    figure = await stage.resources.add(resource(by=admin))
    give = Annotate(unit_of_work=partial(PostgresUnitOfWork, pool), clock=CLOCK)
    say = partial(give, project="story", resource_id=figure.id, label_set="topic", by=admin)
    done: list[Annotated] = await asyncio.gather(*(say(value=n) for n in range(32)))
    assert Counter(each.is_new for each in done) == {True: 1, False: 31}
    assert sorted(each.annotation.version for each in done) == list(range(1, 33))
    history = await rows(pool, "SELECT version, value FROM annotation_changes ORDER BY version")
    assert [(row["version"], row["value"]) for row in history] == sorted((each.annotation.version, each.annotation.value) for each in done)
    (kept,) = await rows(pool, "SELECT value FROM annotations")
    assert kept["value"] == history[-1]["value"]


async def test_what_annotations_come_to_never_lags_behind_them(pool: Pool, stage: Stage, admin: User) -> None:
    await stage.label_set(by=admin)
    figure = await stage.resources.add(resource(by=admin))
    work, people = partial(PostgresUnitOfWork, pool), await annotators(stage, 9)
    place = {"project": "story", "resource_id": figure.id, "label_set": "topic"}
    give, withdraw = Annotate(unit_of_work=work, clock=CLOCK), WithdrawAnnotation(unit_of_work=work, clock=CLOCK)
    for round in range(10):
        labels = {person.id: "ab"[(round + n) % 2] for n, person in enumerate(people)}
        changes = [give(**place, value=labels[person.id], by=person) for person in people]  # type: ignore[arg-type]
        gone = [withdraw(**place, by=person) for person in people[: round % 4]] if round else []  # type: ignore[arg-type]
        results = await asyncio.gather(*gone, *changes, return_exceptions=True)
        assert {type(each) for each in results} <= {Annotated, NotFound, type(None)}
        (item,) = await rows(pool, ITEMS)
        stored = await rows(pool, "SELECT annotator_id, value FROM annotations ORDER BY annotator_id")
        counted = Counter(row["value"] for row in stored).most_common()
        tie = len(counted) > 1 and counted[0][1] == counted[1][1]
        assert item["annotators"] == [row["annotator_id"] for row in stored]
        assert item["annotations"] == len(stored)
        assert item["label"] == (None if tie else counted[0][0])


async def test_no_label_is_taken_by_a_version_that_had_been_replaced(pool: Pool, stage: Stage, admin: User) -> None:
    await stage.label_set(by=admin)
    work, people = partial(PostgresUnitOfWork, pool), await annotators(stage, 6)
    give, publish = Annotate(unit_of_work=work, clock=CLOCK), PublishLabelSet(unit_of_work=work, clock=CLOCK)
    declare = partial(publish, project="story", name="topic", by=admin)
    narrow, wide = declaration(choices=[{"value": "a"}]), declaration()
    for round in range(10):
        figure = await stage.resources.add(resource(f"Figure {round}", by=admin))
        say = partial(give, project="story", resource_id=figure.id, label_set="topic", value="b")
        results = await asyncio.gather(
            *(say(by=person) for person in people[:3]),
            declare(declaration=narrow, accept_breaking=frozenset(["topic"])),
            *(say(by=person) for person in people[3:]),
            return_exceptions=True,
        )
        assert {type(each).__name__ for each in results} <= {"Annotated", "Invalid", "PublishedLabelSet"}
        newest = (await PostgresLabelSets(pool).get("story", "topic")).version
        late = await rows(pool, f"SELECT 1 FROM annotations WHERE label_set_version >= {newest}")
        assert late == []
        with pytest.raises(Invalid):
            await say(by=people[0])
        await declare(declaration=wide)


async def test_a_narrowing_counts_the_annotations_that_came_before_it(pool: Pool, stage: Stage, admin: User) -> None:
    await stage.label_set(by=admin)
    figure = await stage.resources.add(resource(by=admin))
    work = partial(PostgresUnitOfWork, pool)
    publish = PublishLabelSet(unit_of_work=work, clock=CLOCK)
    async with PostgresUnitOfWork(pool) as slow:
        held = await slow.label_sets.hold("story", "topic")
        task = asyncio.create_task(publish(project="story", name="topic", declaration=declaration(choices=[{"value": "a"}]), by=admin))
        while not (await rows(pool, "SELECT 1 FROM pg_locks WHERE NOT granted")):
            assert not task.done()
        await slow.annotations.lock(held, resource_id=figure.id, annotator_id=admin.id)
        await slow.annotations.save(held, annotate(held, None, resource_id=figure.id, value="b", by=admin, at=CLOCK.now()))
        await slow.commit()
    with pytest.raises(BreakingChange) as refused:
        await task
    assert refused.value.changes[0].touched == 1


async def test_a_draw_waits_for_what_is_being_worked_on_before_it_says_that_nothing_is_left(pool: Pool, stage: Stage, admin: User) -> None:
    label_set = await stage.label_set(by=admin)
    figure = await stage.resources.add(resource(by=admin))
    draw = DrawNext(unit_of_work=partial(PostgresUnitOfWork, pool), clock=CLOCK)
    async with PostgresUnitOfWork(pool) as warm:
        assert await warm.annotations.draw(label_set, annotator_id=admin.id, at=CLOCK.now(), until=CLOCK.now()) == figure.id
        await warm.commit()
    async with PostgresUnitOfWork(pool) as slow:
        await slow.annotations.lock(label_set, resource_id=figure.id, annotator_id=admin.id)
        (person,) = await annotators(stage, 1)
        task = asyncio.create_task(draw(project="story", label_set="topic", by=person))
        while not (await rows(pool, "SELECT 1 FROM pg_locks WHERE NOT granted")):
            assert not task.done()
        await slow.commit()
    drawn = await task
    assert drawn is not None
    assert drawn.resource.id == figure.id


async def test_resources_are_found_by_label_through_an_index(pool: Pool, stage: Stage, admin: User) -> None:
    label_set = await stage.label_set(by=admin, type="scale", choices=None, min=0, max=9999)
    async with lent(pool) as connection:
        await connection.execute(
            """INSERT INTO resources
            (project_id, name, name_key, search_text, status, attributes, created_by, owner_id, created_at, version)
            SELECT $1, n::text, n::text, '', 'active', '{}', $2, $2, now(), 1 FROM generate_series(1, 5000) AS n""",
            label_set.project_id,
            admin.id,
        )
        await connection.execute(
            """INSERT INTO annotation_items (label_set_id, project_id, resource_id, annotators, annotations, label)
            SELECT $1, project_id, id, '{1,2}', 2, (id % 2500)::text FROM resources""",
            label_set.id,
        )
        await connection.execute("ANALYZE")
        given = {"project": "story", "label_set_0": "topic", "label_0": "7", "limit": 100, "skip": 0}
        for statement in (
            page_statement(Sort.ID, status=False, search=False, labels=1, after=False),
            count_statement(status=False, search=False, labels=1),
        ):
            plan = await connection.fetch(f"EXPLAIN {statement.sql}", *statement.arguments(given))
            text = "\n".join(row[0] for row in plan)
            assert "ix_annotation_items_label" in text, text
            assert "Seq Scan on resources" not in text, text


async def test_imports_and_annotators_at_once_lose_nothing(pool: Pool, stage: Stage, admin: User) -> None:
    label_set = await stage.label_set(by=admin, type="scale", choices=None, min=0, max=99)
    figures = [await stage.resources.add(resource(f"Figure {n}", by=admin)) for n in range(6)]
    work, people = partial(PostgresUnitOfWork, pool), await annotators(stage, 4)
    give = Annotate(unit_of_work=work, clock=CLOCK)
    bring = ImportAnnotations(unit_of_work=work, tables=TabularImportTables(at_most=10**6), clock=CLOCK)
    places = [(figure, person) for figure in figures for person in people]

    def table(value: int) -> io.BytesIO:
        lines = [f"{figure.id},topic,{person.username},{value}" for figure, person in reversed(places)]
        return io.BytesIO("\n".join(["resource_id,label_set,annotator,value", *lines]).encode())

    given = [
        give(project="story", resource_id=figure.id, label_set="topic", value=n, by=person) for n, (figure, person) in enumerate(places)
    ]
    brought = [bring(file=table(value), project="story", by=admin) for value in (90, 91, 92, 93)]
    results = await asyncio.gather(
        *(each for pair in zip(given, brought, strict=False) for each in pair), *given[4:], return_exceptions=True
    )
    assert {type(each) for each in results} <= {Annotated, LabelsImported, Unavailable}
    done = [each for each in results if isinstance(each, LabelsImported)]
    assert done
    assert not [each for each in results if isinstance(each, Exception) and not isinstance(each, Unavailable)]
    history = await rows(pool, "SELECT annotation_id, array_agg(version ORDER BY version) AS versions FROM annotation_changes GROUP BY 1")
    assert len(history) == len(places)
    assert all(each["versions"] == list(range(1, len(each["versions"]) + 1)) for each in history)
    assert sum(len(each["versions"]) for each in history) == len(places) + sum(each.inserted + each.updated for each in done)
    lost = """SELECT FROM annotations AS a LEFT JOIN annotation_changes AS c ON (c.annotation_id, c.version) = (a.id, a.version)
        WHERE c.value IS DISTINCT FROM a.value"""
    assert await rows(pool, lost) == []
    for item in await rows(pool, "SELECT * FROM annotation_items"):
        stored = await rows(pool, "SELECT resource_id, annotator_id, value FROM annotations ORDER BY annotator_id")
        come_to = judged(
            label_set,
            [Given(annotator_id=row["annotator_id"], value=row["value"]) for row in stored if row["resource_id"] == item["resource_id"]],
        )
        assert (tuple(item["annotators"]), item["label"], item["dispute"]) == (come_to.annotators, come_to.label, come_to.dispute)
