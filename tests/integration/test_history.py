"""The history of answers, as it stands in PostgreSQL: what each save adds to it, and what consent and erasure take from it."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from adapters.postgres.database import Pool
from domain.errors import DomainError
from domain.response import CHANGES_MAX, ConsentRequired
from domain.survey import Survey
from tests.contracts.stage import Stage, stage_in_postgres
from tests.examples import AGE, NOTE, NOW, SCALE, definition, gated
from tests.postgres import lent

MINE, TOKEN = b"p" * 32, b"t" * 32
LATER = NOW + timedelta(hours=1)
INTEGERS = [{"field": f"f{n}", "type": "integer"} for n in range(16)]
WHOLE = "SELECT revision, field, value, survey_version, seq, changed_at FROM answer_changes ORDER BY revision, field"
# What the history leads to, beside what is stored; a row for each response.
REPLAYED = """
SELECT r.answers, r.versions, r.revision, coalesce(h.answers, '{}') AS replayed, coalesce(h.versions, '{}') AS under,
       coalesce(h.revisions, '{}') AS revisions
FROM responses r LEFT JOIN LATERAL (
    SELECT jsonb_object_agg(field, value) FILTER (WHERE value IS NOT NULL) AS answers,
           jsonb_object_agg(field, survey_version) FILTER (WHERE value IS NOT NULL) AS versions,
           (SELECT array_agg(DISTINCT revision ORDER BY revision) FROM answer_changes WHERE response_id = r.id) AS revisions
    FROM (SELECT DISTINCT ON (field) * FROM answer_changes WHERE response_id = r.id ORDER BY field, revision DESC) AS last
) AS h ON true
ORDER BY r.id
"""


@pytest.fixture
async def stage(pool: Pool) -> Stage:
    return stage_in_postgres(pool)


async def save(
    stage: Stage, survey: Survey, answers: Mapping[str, object], *, seq: int | None = None, who: bytes = MINE, at: datetime = NOW
) -> None:
    await stage.responses.save(
        survey.accept(answers),
        project_id=survey.project_id,
        pseudonym=who,
        token_hash=TOKEN if who == MINE else who,
        is_shown=True,
        seq=seq,
        at=at,
    )


async def rows(pool: Pool, query: str = WHOLE, *given: Any) -> list[tuple[Any, ...]]:
    async with lent(pool) as connection:
        return [tuple(row) for row in await connection.fetch(query, *given)]


async def number_of(pool: Pool, table: str) -> int:
    ((number,),) = await rows(pool, f"SELECT count(*) FROM {table}")
    return int(number)


async def expect_replayable(pool: Pool) -> None:
    """Played back, the history leads to the very answers and versions that are stored."""
    for answers, versions, _, replayed, under, _ in await rows(pool, REPLAYED):
        assert (replayed, under) == (answers, versions)


async def test_each_changed_field_is_a_row_with_its_revision_version_and_number(pool: Pool, stage: Stage) -> None:
    survey = await stage.survey(definition(AGE, NOTE, SCALE))
    await save(stage, survey, {"age": 42}, seq=3)
    await save(stage, survey, {"note": "x", "trust": 7}, at=LATER)
    await save(stage, survey, {"age": None}, seq=4)
    await save(stage, survey, {"note": None, "trust": None})
    assert await rows(pool) == [
        (1, "age", 42, 1, 3, NOW),
        (2, "note", "x", 1, None, LATER),
        (2, "trust", 7, 1, None, LATER),
        (3, "age", None, 1, 4, NOW),
        (4, "note", None, 1, None, NOW),
        (4, "trust", None, 1, None, NOW),
    ]
    assert await rows(pool, "SELECT count(*) FROM answer_changes WHERE value IS NULL") == [(3,)]
    await expect_replayable(pool)


@pytest.mark.parametrize("together", [False, True], ids=["one answer", "several answers"])
async def test_what_changes_nothing_leaves_no_row(pool: Pool, stage: Stage, together: object) -> None:
    survey = await stage.survey(definition(AGE, NOTE, SCALE))
    more: dict[str, object] = {"trust": 7} if together else {}
    await save(stage, survey, {"age": 42} | more, seq=5)
    before = await rows(pool)
    await save(stage, survey, {"age": 42} | more)
    await save(stage, survey, {"age": 42} | more, seq=9)
    await save(stage, survey, {"age": 7} | more, seq=9)
    await save(stage, survey, {"age": None} | dict.fromkeys(more, None), seq=9)
    await save(stage, survey, {"note": None} | ({"trust": 7} if together else {}))
    assert await rows(pool) == before


async def test_of_several_answers_only_those_that_changed_leave_rows(pool: Pool, stage: Stage) -> None:
    survey = await stage.survey(definition(AGE, NOTE, SCALE))
    await save(stage, survey, {"age": 42, "trust": 7}, seq=5)
    await save(stage, survey, {"trust": 6}, seq=9)
    await save(stage, survey, {"age": 42, "trust": 1, "note": "x"}, seq=9)
    assert (await rows(pool))[2:] == [(2, "trust", 6, 1, 9, NOW), (3, "note", "x", 1, 9, NOW)]
    await expect_replayable(pool)


@pytest.mark.parametrize("together", [False, True], ids=["one answer", "several answers"])
async def test_a_first_save_of_nothing_leaves_no_row(pool: Pool, stage: Stage, together: object) -> None:
    survey = await stage.survey(definition(AGE, NOTE))
    await save(stage, survey, {"age": None, "note": None} if together else {"age": None})
    assert await rows(pool) == []
    assert await number_of(pool, "responses") == 1


async def test_what_is_refused_leaves_no_row(pool: Pool, stage: Stage) -> None:
    survey = await stage.survey(gated())
    await save(stage, survey, {"consent": "declined"})
    for answers in ({"age": 42}, {"age": 42, "note": "x"}):
        with pytest.raises(ConsentRequired):
            await save(stage, survey, answers)
    assert [(field, value) for _, field, value, *_ in await rows(pool)] == [("consent", "declined")]


async def test_a_change_is_logged_under_the_version_that_accepted_it(pool: Pool, stage: Stage) -> None:
    first = await stage.survey(definition(AGE, NOTE))
    await save(stage, first, {"age": 42, "note": "x"})
    second = replace(first, version=2)
    await stage.store(second)
    await save(stage, second, {"age": 43})
    await save(stage, second, {"age": 43, "note": "y"})
    assert [(field, version) for _, field, _, version, *_ in await rows(pool)] == [("age", 1), ("note", 1), ("age", 2), ("note", 2)]
    await expect_replayable(pool)


async def test_the_row_tells_its_project_and_its_transaction(pool: Pool, stage: Stage) -> None:
    survey = await stage.survey(definition(AGE, NOTE))
    await save(stage, survey, {"age": 42})
    await save(stage, survey, {"age": 43, "note": "x"})
    found = await rows(pool, "SELECT project_id, revision, xid::text::bigint FROM answer_changes ORDER BY revision, field")
    assert {project_id for project_id, *_ in found} == {survey.project_id}
    assert found[0][2] < found[1][2] == found[2][2]


# --- consent -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("withdrawn", ["declined", None])
async def test_after_a_withdrawal_of_consent_only_its_own_rows_are_left(pool: Pool, stage: Stage, withdrawn: str | None) -> None:
    survey = await stage.survey(gated())
    await save(stage, survey, {"consent": "accepted", "age": 42})
    await save(stage, survey, {"age": None, "note": "x"})
    await save(stage, survey, {"consent": "accepted", "age": 41}, who=b"q" * 32)
    await save(stage, survey, {"consent": withdrawn, "note": None})
    mine = (
        "SELECT c.field, c.value FROM answer_changes c JOIN responses r ON r.id = c.response_id WHERE r.pseudonym = $1 ORDER BY c.revision"
    )
    assert await rows(pool, mine, MINE) == [("consent", "accepted"), ("consent", withdrawn)]
    assert len(await rows(pool, mine, b"q" * 32)) == 2
    await expect_replayable(pool)
    await save(stage, survey, {"consent": "accepted"})
    await save(stage, survey, {"age": 7})
    assert [field for field, _ in await rows(pool, mine, MINE)] == ["consent"] * 3 + ["age"]
    await expect_replayable(pool)


async def test_a_withdrawal_that_came_too_late_takes_nothing(pool: Pool, stage: Stage) -> None:
    survey = await stage.survey(gated())
    await save(stage, survey, {"consent": "accepted", "age": 42}, seq=5)
    before = await rows(pool)
    await save(stage, survey, {"consent": "declined"}, seq=5)
    assert await rows(pool) == before


async def allowing(task: Any) -> str:
    """What came of a save in a race: some may be refused by what came before them."""
    try:
        await task
    except DomainError as error:
        return error.code
    return "saved"


async def test_no_row_of_an_answer_outlives_a_withdrawal_in_a_race_with_saves(pool: Pool, stage: Stage) -> None:
    survey = await stage.survey(gated(*INTEGERS))
    came: Counter[str] = Counter()
    for n in range(20):
        who = bytes([n]) * 32
        await save(stage, survey, {"consent": "accepted", "f0": 0}, who=who)
        singles = [allowing(save(stage, survey, {f"f{m}": m}, who=who)) for m in range(1, 9)]
        several = [allowing(save(stage, survey, {f"f{m}": m, "f0": m}, who=who)) for m in range(9, 16)]
        withdrawal = allowing(save(stage, survey, {"consent": "declined"}, who=who))
        came.update(await asyncio.gather(*singles[:4], *several[:4], withdrawal, *several[4:], *singles[4:]))
    assert set(came) <= {"saved", "consent-required"}
    fields = Counter(field for (field,) in await rows(pool, "SELECT field FROM answer_changes"))
    assert fields == {"consent": 40}
    await expect_replayable(pool)


async def test_in_any_race_the_history_leads_to_what_is_stored(pool: Pool, stage: Stage) -> None:
    survey = await stage.survey(definition(*INTEGERS))
    for n in range(10):
        who = bytes([n]) * 32
        singles = [save(stage, survey, {f"f{m % 4}": m}, seq=m, who=who) for m in range(16)]
        several = [save(stage, survey, {f"f{m % 4}": -m, f"f{4 + m % 4}": m}, seq=m, who=who) for m in range(16)]
        withdrawals = [save(stage, survey, {f"f{m}": None}, who=who) for m in range(4)]
        await asyncio.gather(*singles, *several, *withdrawals)
    await expect_replayable(pool)
    found = await rows(pool, REPLAYED)
    assert len(found) == 10
    for _, _, revision, _, _, revisions in found:
        assert set(revisions) >= set(range(2, revision + 1))
        assert set(revisions) <= set(range(1, revision + 1))


# --- erasure -----------------------------------------------------------------------------------------------------------------


async def test_of_an_erased_response_only_that_one_was_erased_remains(pool: Pool, stage: Stage) -> None:
    survey = await stage.survey(definition(AGE, NOTE))
    await save(stage, survey, {"age": 42, "note": "x"})
    await save(stage, survey, {"age": 7}, who=b"q" * 32)
    assert await stage.responses.erase("story", TOKEN)
    assert [(field, value) for _, field, value, *_ in await rows(pool)] == [("age", 7)]
    assert await rows(pool, "SELECT project_id FROM erasures") == [(survey.project_id,)]
    columns = await rows(pool, "SELECT column_name FROM information_schema.columns WHERE table_name = 'erasures'")
    assert {name for (name,) in columns} == {"id", "project_id", "xid"}
    assert not await stage.responses.erase("story", TOKEN)
    assert await number_of(pool, "erasures") == 1


async def test_who_starts_anew_has_a_history_that_begins_anew(pool: Pool, stage: Stage) -> None:
    survey = await stage.survey(definition(AGE, NOTE))
    await save(stage, survey, {"age": 42}, seq=9)
    await stage.responses.erase("story", TOKEN)
    await save(stage, survey, {"age": 43}, seq=1, at=LATER)
    assert await rows(pool) == [(1, "age", 43, 1, 1, LATER)]


async def test_an_erasure_in_a_race_with_saves_leaves_a_response_and_a_history_that_belong_together(pool: Pool, stage: Stage) -> None:
    survey = await stage.survey(definition(*INTEGERS))
    for n in range(20):
        who = bytes([n]) * 32
        await save(stage, survey, {"f0": 0}, who=who)
        saves = [allowing(save(stage, survey, {f"f{m}": m} if m % 2 else {f"f{m}": m, "f0": m}, who=who)) for m in range(16)]
        erasures = [stage.responses.erase("story", who) for _ in range(2)]
        done = await asyncio.gather(*saves[:8], *erasures, *saves[8:])
        assert Counter(done[:8] + done[10:]) == {"saved": 16}
        assert any(done[8:10])
    await expect_replayable(pool)
    orphans = "SELECT count(*) FROM answer_changes c LEFT JOIN responses r ON r.id = c.response_id WHERE r.id IS NULL"
    assert await rows(pool, orphans) == [(0,)]


async def test_what_is_purged_takes_its_history_along(pool: Pool, stage: Stage) -> None:
    survey = await stage.survey(definition(AGE, NOTE))
    await save(stage, survey, {"age": 42, "note": "x"}, at=NOW - timedelta(days=1))
    await save(stage, survey, {"age": 7}, who=b"q" * 32, at=NOW)
    await stage.switch(is_open=False)
    assert (await stage.purge(before=NOW, for_good=False))["responses"] == 1
    assert (await number_of(pool, "answer_changes"), await number_of(pool, "erasures")) == (3, 0)
    await stage.purge(before=NOW)
    assert [(field, value) for _, field, value, *_ in await rows(pool)] == [("age", 7)]
    assert await rows(pool, "SELECT project_id FROM erasures") == [(survey.project_id,)]


async def test_a_response_logs_at_most_a_thousand_changes_and_keeps_who_won(pool: Pool, stage: Stage) -> None:
    survey = await stage.survey(definition(AGE, NOTE, SCALE))
    await save(stage, survey, {"note": "x"}, seq=7)
    await save(stage, survey, {"age": 1})
    async with lent(pool) as connection:
        await connection.execute(MANY_CHANGES, CHANGES_MAX - 2)
    for number in range(3):
        await save(stage, survey, {"trust": number + 1}, seq=number)
    history = await rows(pool)
    assert CHANGES_MAX - 200 < len(history) <= CHANGES_MAX
    newest = {field: (value, seq) for _, field, value, _, seq, _ in history}
    assert newest == {"note": ("x", 7), "age": (0, None), "trust": (3, 2)}
    assert history[0][:3] == (1, "note", "x")
    assert await rows(pool, "SELECT changes FROM responses") == [(len(history),)]
    await save(stage, survey, {"age": 5, "trust": 5})
    assert await rows(pool, "SELECT changes FROM responses") == [(len(history) + 2,)]
    assert await number_of(pool, "answer_changes") == len(history) + 2


# As if one answer had been changed again and again.
MANY_CHANGES = """
WITH logged AS (
    INSERT INTO answer_changes (response_id, revision, field, value, survey_version, changed_at, project_id)
    SELECT id, 2 + n, 'age', to_jsonb(n % 2), 1, now(), project_id FROM responses, generate_series(1, $1::integer) AS n
)
UPDATE responses SET changes = changes + $1, revision = revision + $1, answers = answers || jsonb_build_object('age', $1::integer % 2)
"""
