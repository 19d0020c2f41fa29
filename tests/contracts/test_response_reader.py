"""Responses for researchers: the sentences of `ResponseReader` and `ResponseSnapshot`."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from adapters.postgres.database import Pool
from adapters.postgres.response.reader import BATCH
from adapters.postgres.snapshots import SNAPSHOTS_AT_ONCE
from domain.errors import NotFound, Unavailable
from domain.survey import AskedTests, Identity, ResponseFilter, ResponseRow, Survey
from tests.contracts.stage import InMemory, InPostgres, Stage, stage_in_postgres
from tests.examples import AGE, BOOLEAN, CONSENT, NOTE, NOW, NUMBER, PLATFORMS, definition
from tests.postgres import lent

HOUR = timedelta(hours=1)
ASKED = definition(AGE, NOTE, PLATFORMS, NUMBER, BOOLEAN, CONSENT)
ANYTHING = ResponseFilter()


async def answer(stage: Stage, survey: Survey, number: int, *, at: datetime = NOW, **answers: object) -> None:
    await save(stage, survey, number, answers, at=at)


async def save(
    stage: Stage, survey: Survey, number: int, answers: Mapping[str, object], *, at: datetime = NOW, is_test: bool = False
) -> None:
    await stage.responses.save(
        survey.accept(answers),
        project_id=survey.project_id,
        pseudonym=number.to_bytes(32),
        token_hash=number.to_bytes(32),
        is_shown=survey.definition.identity is Identity.TOKEN,
        seq=None,
        at=at,
        is_test=is_test,
    )


async def page(stage: Stage, where: ResponseFilter = ANYTHING, *, after: int = 0, limit: int = 100) -> list[ResponseRow]:
    async with stage.response_reader.snapshot("story") as snapshot:
        return await snapshot.page(where, after=after, limit=limit)


async def batches(stage: Stage, where: ResponseFilter = ANYTHING) -> list[list[ResponseRow]]:
    async with stage.response_reader.snapshot("story") as snapshot:
        return [batch async for batch in snapshot.batches(where)]


async def who(stage: Stage, where: ResponseFilter) -> list[int]:
    """The numbers of those whose responses match, by page and by batch."""
    found = [int.from_bytes(row.pseudonym) for row in await page(stage, where)]
    assert [int.from_bytes(row.pseudonym) for batch in await batches(stage, where) for row in batch] == found
    return found


class ResponseReaderContract:
    async def test_a_row_is_the_response_as_it_is_stored(self, stage: Stage) -> None:
        first = await stage.survey(ASKED)
        await answer(stage, first, 7, age=42, platforms=["Other", "Twitter"], n=1, b=False)
        await answer(stage, first, 8, at=NOW + HOUR, note="")
        second = replace(first, version=2)
        await stage.store(second)
        await answer(stage, second, 7, at=NOW + 2 * HOUR, note="x", age=None)
        mine, other = await page(stage)
        assert mine == ResponseRow(
            id=mine.id,
            pseudonym=(7).to_bytes(32),
            created_at=NOW,
            updated_at=NOW + 2 * HOUR,
            revision=2,
            answers={"platforms": ["Twitter", "Other"], "n": 1.0, "b": False, "note": "x"},
            versions={"platforms": 1, "n": 1, "b": 1, "note": 2},
        )
        assert type(mine.answers["n"]) is float
        assert 0 < mine.id < other.id
        assert (other.created_at, other.updated_at, other.answers) == (NOW + HOUR, None, {"note": ""})

    async def test_only_the_responses_of_the_project_are_seen(self, stage: Stage) -> None:
        here, there = await stage.survey(), await stage.survey(slug="other")
        await answer(stage, here, 1, age=1)
        await answer(stage, there, 2, age=2)
        await answer(stage, here, 3, age=3)
        await stage.responses.erase("story", (1).to_bytes(32))
        assert await who(stage, ANYTHING) == [3]

    async def test_tests_are_seen_only_where_they_are_asked_for(self, stage: Stage) -> None:
        survey = await stage.survey()
        for number in range(1, 5):
            await save(stage, survey, number, {"age": number}, is_test=number % 2 == 0)
        await answer(stage, survey, 2, note="later, and still a test")
        for tests, seen in ((AskedTests.EXCLUDE, [1, 3]), (AskedTests.ONLY, [2, 4]), (AskedTests.INCLUDE, [1, 2, 3, 4])):
            assert await who(stage, ResponseFilter(tests=tests)) == seen
            async with stage.response_reader.snapshot("story") as snapshot:
                assert await snapshot.count(ResponseFilter(tests=tests)) == len(seen)
        assert await who(stage, ANYTHING) == [1, 3]

    async def test_without_a_survey_there_is_nothing_to_see(self, stage: Stage) -> None:
        await stage.project("without")
        await stage.survey(slug="gone")
        await stage.put_away("gone")
        for slug in ("without", "gone", "unknown"):
            with pytest.raises(NotFound):
                async with stage.response_reader.snapshot(slug):
                    pass

    async def test_without_responses_pages_and_batches_are_empty(self, stage: Stage) -> None:
        await stage.survey()
        assert (await page(stage), await batches(stage)) == ([], [])

    async def test_definitions_are_all_versions_oldest_first(self, stage: Stage) -> None:
        first = await stage.survey(definition(AGE))
        await stage.store(replace(first, version=2, definition=definition(NOTE)))
        await stage.switch(is_open=False)
        async with stage.response_reader.snapshot("story") as snapshot:
            assert snapshot.definitions == [definition(AGE), definition(NOTE)]

    async def test_pages_go_by_id_and_lose_nothing(self, stage: Stage) -> None:
        survey = await stage.survey()
        for number in range(1, 8):
            await answer(stage, survey, number, age=number % 2)
        await answer(stage, survey, 2, at=NOW + HOUR, age=100)
        for where, expected in ((ANYTHING, [1, 2, 3, 4, 5, 6, 7]), (ResponseFilter(answer={"age": 1}), [1, 3, 5, 7])):
            found: list[ResponseRow] = []
            while rows := await page(stage, where, after=found[-1].id if found else 0, limit=3):
                assert len(rows) <= 3
                found += rows
            assert [int.from_bytes(row.pseudonym) for row in found] == expected
            assert sorted(row.id for row in found) == [row.id for row in found]

    async def test_batches_are_the_whole_in_parts_none_of_them_empty(self, stage: Stage) -> None:
        survey = await stage.survey()
        for number in range(1, 6):
            await answer(stage, survey, number, age=number)
        found = await batches(stage)
        assert all(found)
        assert [row for batch in found for row in batch] == await page(stage)

    async def test_batches_may_be_read_twice_and_left_early(self, stage: Stage) -> None:
        survey = await stage.survey()
        for number in range(1, 6):
            await answer(stage, survey, number, age=number)
        async with stage.response_reader.snapshot("story") as snapshot:
            async for batch in snapshot.batches(ANYTHING):
                assert batch
                break
            assert sum([len(batch) async for batch in snapshot.batches(ANYTHING)]) == 5
            assert len(await snapshot.page(ANYTHING, after=0, limit=9)) == 5

    # --- filters -------------------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("wanted", "expected"),
        [
            ({"age": 42}, [1, 3]),
            ({"age": 0}, [2]),
            ({"age": 43}, []),
            ({"note": "x"}, [1]),
            ({"note": ""}, [2]),
            ({"note": "'; --"}, [3]),
            ({"note": "%"}, []),
            ({"platforms": ["Twitter"]}, [1, 2]),
            ({"platforms": ["Other"]}, [2]),
            ({"platforms": ["Twitter", "Other"]}, [2]),
            ({"n": 1.0}, [1]),
            ({"n": 0.1}, [2]),
            ({"b": True}, [1]),
            ({"b": False}, [2]),
            ({"consent": "accepted"}, [1]),
            ({"height": 1}, []),
        ],
    )
    async def test_responses_with_an_answer_are_found(self, stage: Stage, wanted: dict[str, Any], expected: list[int]) -> None:
        survey = await stage.survey(ASKED)
        await answer(stage, survey, 1, age=42, note="x", platforms=["Twitter"], n=1, b=True, consent="accepted")
        await answer(stage, survey, 2, age=0, note="", platforms=["Twitter", "Other"], n=0.1, b=False, consent="declined")
        await answer(stage, survey, 3, age=42, note="'; --", platforms=[])
        assert await who(stage, ResponseFilter(answer=wanted)) == expected

    async def test_responses_with_an_answer_of_a_version_are_found(self, stage: Stage) -> None:
        first = await stage.survey()
        await answer(stage, first, 1, age=1, note="x")
        await answer(stage, first, 2, age=2)
        second = replace(first, version=2)
        await stage.store(second)
        await answer(stage, second, 1, age=3)
        await answer(stage, second, 2, age=3)
        await answer(stage, second, 3, age=3)
        await answer(stage, second, 4, age=None)
        assert await who(stage, ResponseFilter(version=1)) == [1]
        assert await who(stage, ResponseFilter(version=2)) == [1, 2, 3]
        assert await who(stage, ResponseFilter(version=3)) == []

    async def test_responses_are_found_by_when_they_changed_last(self, stage: Stage) -> None:
        survey = await stage.survey()
        for number in (1, 2, 3):
            await answer(stage, survey, number, at=NOW + number * HOUR, age=1)
        await answer(stage, survey, 1, at=NOW + 4 * HOUR, age=2)
        await answer(stage, survey, 2, at=NOW + 5 * HOUR, age=1)
        second = NOW + 2 * HOUR
        assert await who(stage, ResponseFilter(since=second)) == [1, 2, 3]
        assert await who(stage, ResponseFilter(since=second + timedelta(microseconds=1))) == [1, 3]
        assert await who(stage, ResponseFilter(until=second)) == []
        assert await who(stage, ResponseFilter(until=second + timedelta(microseconds=1))) == [2]
        assert await who(stage, ResponseFilter(since=NOW + 3 * HOUR, until=NOW + 4 * HOUR)) == [3]

    async def test_filters_go_together(self, stage: Stage) -> None:
        survey = await stage.survey()
        for number in range(1, 5):
            await answer(stage, survey, number, at=NOW + number * HOUR, age=number % 2)
        where = ResponseFilter(answer={"age": 1}, version=1, since=NOW + 2 * HOUR, until=NOW + 9 * HOUR)
        assert await who(stage, where) == [3]

    # --- one moment ----------------------------------------------------------------------------------------------------------

    async def test_a_snapshot_shows_one_moment_while_others_write(self, stage: Stage) -> None:
        first = await stage.survey()
        for number in range(1, 6):
            await answer(stage, first, number, age=number)
        before = await page(stage)
        async with stage.response_reader.snapshot("story") as snapshot:
            await answer(stage, first, 1, at=NOW + HOUR, age=99)
            await answer(stage, first, 9, age=9)
            await stage.responses.erase("story", (2).to_bytes(32))
            await stage.store(replace(first, version=2, definition=definition(BOOLEAN)))
            await stage.switch(is_open=False)
            assert snapshot.definitions == [first.definition]
            assert await snapshot.page(ANYTHING, after=0, limit=100) == before
            assert [row for batch in [batch async for batch in snapshot.batches(ANYTHING)] for row in batch] == before
        assert [int.from_bytes(row.pseudonym) for row in await page(stage)] == [1, 3, 4, 5, 9]

    async def test_pages_and_definitions_belong_together_whoever_publishes(self, stage: Stage) -> None:
        survey = await stage.survey(definition(*integers(1)))
        done = asyncio.Event()

        async def grow() -> None:
            now = survey
            for number in range(1, 12):
                await save(stage, now, number, {f"f{number}": number})
                now = replace(now, version=number + 1, definition=definition(*integers(number + 1)))
                await stage.store(now)
                await asyncio.sleep(0)  # the others' turn
            done.set()

        async def look() -> int:
            looks = 0
            while not done.is_set():
                async with stage.response_reader.snapshot("story") as snapshot:
                    rows = await snapshot.page(ANYTHING, after=0, limit=100)
                    asked = {question.field for each in snapshot.definitions for question in each.questions}
                    assert {field for row in rows for field in row.answers} <= asked
                    assert len(rows) in (len(snapshot.definitions), len(snapshot.definitions) - 1)
                looks += 1
                await asyncio.sleep(0)
            return looks

        looked = await asyncio.gather(grow(), look(), look())
        assert all(looked[1:])

    async def test_too_many_snapshots_at_once_are_refused_until_one_is_left(self, stage: Stage) -> None:
        await stage.survey()
        async with AsyncExitStack() as held:
            for _ in range(SNAPSHOTS_AT_ONCE):
                await held.enter_async_context(stage.response_reader.snapshot("story"))
            for _ in range(2):
                with pytest.raises(Unavailable):
                    await page(stage)
        for _ in range(2 * SNAPSHOTS_AT_ONCE):
            with pytest.raises(NotFound):
                async with stage.response_reader.snapshot("unknown"):
                    pass
        assert await page(stage) == []

    async def test_who_leaves_early_leaves_room(self, stage: Stage) -> None:
        survey = await stage.survey()
        await answer(stage, survey, 1, age=1)

        async def dawdle(begun: asyncio.Event) -> None:
            async with stage.response_reader.snapshot("story") as snapshot:
                async for _ in snapshot.batches(ANYTHING):
                    begun.set()
                    await asyncio.Event().wait()

        for _ in range(2 * SNAPSHOTS_AT_ONCE):
            begun = asyncio.Event()
            task = asyncio.create_task(dawdle(begun))
            await begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert len(await page(stage)) == 1


def integers(number: int) -> list[dict[str, Any]]:
    return [{"field": f"f{n}", "type": "integer"} for n in range(1, number + 1)]


class TestFakeResponseReader(InMemory, ResponseReaderContract):
    pass


class TestPostgresResponseReader(InPostgres, ResponseReaderContract):
    pass


MANY_ROWS = """
INSERT INTO responses (project_id, pseudonym, token_hash, answers, seqs, versions, revision, survey_version, last_save,
    created_at, is_test, is_owned, changes)
SELECT $1, sha256(n::text::bytea), sha256(n::text::bytea), jsonb_build_object('n', n), '{}', '{"n": 1}', 1, 1,
    gen_random_uuid(), now(), false, false, 0
FROM generate_series(1, $2) AS n
"""


async def test_a_table_of_more_than_a_batch_is_read_whole(pool: Pool) -> None:
    stage = stage_in_postgres(pool)
    survey = await stage.survey(definition({"field": "n", "type": "integer"}))
    async with lent(pool) as connection:
        await connection.execute(MANY_ROWS, survey.project_id, 2 * BATCH + 1)
    found = await batches(stage)
    assert [len(batch) for batch in found] == [BATCH, BATCH, 1]
    assert [row.answers["n"] for batch in found for row in batch] == list(range(1, 2 * BATCH + 2))
