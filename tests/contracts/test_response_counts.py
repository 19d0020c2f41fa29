"""Counts of responses: the sentences of `ResponseCounts`."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from random import Random
from typing import Any

import pytest

from adapters.postgres.database import Pool
from adapters.postgres.response_counts import Pace, PostgresResponseCounts
from adapters.postgres.snapshots import Snapshots
from application.ports import ResponseCounts
from domain.results.exact import TooMuchToCount
from domain.results.spread import Spread
from domain.survey import Definition, Survey
from tests.contracts.stage import InMemory, InPostgres, Stage, stage_in_postgres
from tests.examples import AGE, BOOLEAN, CONSENT, DATE, GATE, NOTE, NOW, PLATFORMS, SCALE, choices, definition, gated
from tests.fakes.response_counts import FakeResponseCounts, counted
from tests.fakes.survey import FakeSurveys
from tests.postgres import lent

SIDE: dict[str, Any] = {"field": "side", "type": "choice", "choices": [{"value": "left", "code": 1}, {"value": "right"}]}
INCOME: dict[str, Any] = {"field": "income", "type": "number"}
SHARE: dict[str, Any] = {"field": "share", "type": "number", "min": 0, "max": 1}
YEAR: dict[str, Any] = {"field": "year", "type": "integer", "min": -5000, "max": 5000}
MANY_OPTIONS: dict[str, Any] = {"field": "many", "type": "multi_choice", "choices": [{"value": f"o{n}"} for n in range(14)]}
Answers = dict[str, Any]
PUT = """
INSERT INTO responses
    (project_id, pseudonym, token_hash, answers, seqs, versions, revision, survey_version, last_save, created_at, is_test,
     is_owned, changes)
VALUES ($1, $2, $2, $3, '{}', '{}', 1, 1, gen_random_uuid(), now(), false, false, 0)
"""


async def tell(stage: Stage, survey: Survey, *people: Answers, is_test: bool = False) -> None:
    """Each of these people answers, a new one each."""
    for answers in people:
        number = next(NUMBERS).to_bytes(32, "big")
        await stage.responses.save(
            survey.accept(answers),
            project_id=survey.project_id,
            pseudonym=number,
            token_hash=number,
            is_shown=False,
            seq=None,
            at=NOW,
            is_test=is_test,
        )


NUMBERS = count(1)


async def published(stage: Stage, of: Definition, *, after: Survey) -> Survey:
    """Another version of a survey."""
    newer = replace(after, version=after.version + 1, definition=of)
    await stage.store(newer)
    return newer


class ResponseCountsContract:
    async def test_without_responses_all_counts_are_nought(self, stage: Stage, counts: ResponseCounts) -> None:
        survey = await stage.survey(definition(SIDE, AGE))
        found = await counts.tables(survey, by=["side"], spreads=True)
        assert (found.n, found.answered, found.counts["side"]) == (0, {"side": 0, "age": 0}, [0, 0])
        assert (found.crossed["side", "age"], found.reached["side", "age"]) == ([[0] * 10] * 2, [0, 0])
        assert found.spreads == {}

    async def test_answers_stand_in_the_cells_of_their_questions(self, stage: Stage, counts: ResponseCounts) -> None:
        survey = await stage.survey(definition(SIDE, BOOLEAN, SCALE, AGE, PLATFORMS))
        await tell(stage, survey, {"side": "left", "b": True, "trust": 7, "age": 13, "platforms": ["Other"]}, {"side": "right", "age": 14})
        await tell(stage, survey, {"platforms": ["Twitter", "Other"]}, {"platforms": []})
        found = await counts.tables(survey)
        assert found.n == 4
        assert found.answered == {"side": 2, "b": 1, "trust": 1, "age": 2, "platforms": 3}
        assert found.counts == {
            "side": [1, 1],
            "b": [1, 0],
            "trust": [0, 0, 0, 0, 0, 0, 1],
            "age": [1, 1, 0, 0, 0, 0, 0, 0, 0, 0],
            "platforms": [1, 2],
        }
        assert not any((found.crossed, found.reached, found.spreads))

    async def test_groups_have_a_table_with_each_other_question(self, stage: Stage, counts: ResponseCounts) -> None:
        survey = await stage.survey(definition(SIDE, PLATFORMS, NOTE))
        await tell(stage, survey, {"side": "left", "platforms": ["Other"], "note": "n"}, {"side": "left"}, {"platforms": ["Twitter"]})
        await tell(stage, survey, {"side": "right", "platforms": []}, {"side": "right", "platforms": ["Twitter", "Other"]})
        found = await counts.tables(survey, by=["side"])
        assert found.crossed == {("side", "platforms"): [[0, 1], [1, 1]]}
        assert found.reached == {("side", "platforms"): [1, 2], ("side", "note"): [1, 0]}
        assert found.counts["platforms"] == [2, 2]

    async def test_two_questions_make_groups_of_each_other(self, stage: Stage, counts: ResponseCounts) -> None:
        survey = await stage.survey(definition(SIDE, choices("a", "b", "d"), SCALE))
        await tell(
            stage, survey, {"side": "left", "c": "d", "trust": 1}, {"side": "left", "c": "a"}, {"c": "a", "trust": 2}, {"side": "left"}
        )
        found = await counts.tables(survey, by=["c", "side"])
        assert found.crossed["c", "side"] == [[1, 0], [0, 0], [1, 0]]
        assert found.crossed["side", "c"] == [[1, 0, 1], [0, 0, 0]]
        assert found.counts["side"] == [3, 0]
        assert found.answered == {"side": 3, "c": 3, "trust": 2}

    async def test_behind_the_gate_only_who_consents_counts(self, stage: Stage, counts: ResponseCounts) -> None:
        survey = await stage.survey(gated(SIDE))
        await tell(stage, survey, {"consent": "accepted", "side": "left"}, {"consent": "accepted"}, {"consent": "declined"})
        found = await counts.tables(survey, by=["consent"])
        assert (found.n, found.counts["consent"], found.counts["side"]) == (3, [2, 1], [1, 0])
        assert found.crossed["consent", "side"] == [[1, 0], [0, 0]]

    async def test_who_answered_before_the_gate_came_counts_once_they_consent(self, stage: Stage, counts: ResponseCounts) -> None:
        survey = await stage.survey(definition(CONSENT, SIDE))
        await tell(stage, survey, {"side": "left"}, {"consent": "declined", "side": "left"}, {"consent": "accepted", "side": "right"})
        found = await counts.tables(await published(stage, gated(SIDE), after=survey))
        assert (found.n, found.answered, found.counts["side"]) == (2, {"consent": 2, "side": 1}, [0, 1])

    async def test_answers_that_the_newest_questions_do_not_take_count_nowhere(self, stage: Stage, counts: ResponseCounts) -> None:
        survey = await stage.survey(definition(choices("a", "b"), AGE, MANY_OPTIONS, NOTE, SHARE, YEAR))
        await tell(stage, survey, {"c": "a"}, {"age": 90}, {"many": ["o1", "o13"]}, {"note": "long"}, {"share": 0.5}, {"year": 4000})
        await tell(stage, survey, {"c": "b"}, {"age": 20}, {"many": ["o1"]}, {"note": "n"}, {"share": 0.0}, {"year": -5000})
        narrow = definition(
            choices("b"),
            AGE | {"max": 50},
            MANY_OPTIONS | {"choices": MANY_OPTIONS["choices"][:9]},
            NOTE | {"max_length": 1},
            SHARE | {"max": 0.25},
            YEAR | {"max": 0},
        )
        found = await counts.tables(await published(stage, narrow, after=survey), spreads=True)
        assert found.n == 6
        assert found.answered == dict.fromkeys(("c", "age", "many", "note", "share", "year"), 1)
        assert (found.counts["many"], found.spreads["year"]) == ([0, 1, *[0] * 7], Spread(mean=-5000.0, quartiles=(-5000.0,) * 3))

    @pytest.mark.parametrize(
        ("was", "answer", "now"),
        [
            (INCOME, 3.0, choices("3", "3.0")),
            (BOOLEAN, True, choices("true")),
            (choices("true"), "true", BOOLEAN),
            (choices("3"), "3", SCALE),
            (choices("3"), "3", INCOME),
            (INCOME, 3.0, SCALE),
            (choices("Other"), "Other", PLATFORMS),
            (PLATFORMS, ["Other"], choices('["Other"]')),
            (choices("2026-02-30"), "2026-02-30", DATE),
            (choices("1900-02-29"), "1900-02-29", DATE),
            (choices("0000-01-01"), "0000-01-01", DATE),
            (INCOME, 3.0, NOTE),
        ],
    )
    async def test_what_was_another_type_of_question_once_is_not_mistaken(
        self, stage: Stage, counts: ResponseCounts, was: Answers, answer: Any, now: Answers
    ) -> None:
        survey = await stage.survey(definition(was | {"field": "f"}))
        await tell(stage, survey, {"f": answer})
        found = await counts.tables(await published(stage, definition(now | {"field": "f"}), after=survey), spreads=True)
        assert (found.n, found.answered, found.spreads) == (0, {"f": 0}, {})

    @pytest.mark.parametrize("day", ["2026-02-28", "2000-02-29", "2024-02-29", "1999-12-31", "2026-04-30", "0004-02-29", "0001-01-01"])
    async def test_what_still_is_a_day_counts(self, stage: Stage, counts: ResponseCounts, day: str) -> None:
        survey = await stage.survey(definition(NOTE | {"field": "f"}))
        await tell(stage, survey, {"f": day})
        found = await counts.tables(await published(stage, definition(DATE | {"field": "f"}), after=survey))
        assert (found.n, found.answered) == (1, {"f": 1})

    async def test_declared_bins_are_the_only_cells(self, stage: Stage, counts: ResponseCounts) -> None:
        survey = await stage.survey(
            definition(AGE | {"bins": [0, 18, 65]}, INCOME | {"bins": [0.5, 1.5, 2.5]}, YEAR | {"bins": [0, 1900, 2000]})
        )
        await tell(stage, survey, *({"age": age} for age in (0, 17, 18, 64, 65, 130)))
        await tell(
            stage, survey, *({"income": income} for income in (0.25, 0.5, 1.5, 2.5, 2.75)), {"year": 1999}, {"year": 2000}, {"year": -1}
        )
        found = await counts.tables(survey, spreads=True)
        assert found.counts == {"age": [2, 2], "income": [1, 2], "year": [0, 1]}
        assert (found.n, found.answered) == (8, {"age": 4, "income": 3, "year": 1})
        assert found.spreads["age"] == Spread(mean=24.75, quartiles=(12.75, 17.5, 29.5))

    async def test_means_and_quartiles_are_those_of_the_answers(self, stage: Stage, counts: ResponseCounts) -> None:
        survey = await stage.survey(gated(AGE, INCOME, YEAR, SCALE))
        for place, income in enumerate((1e308, -1e308, 0.25, 1.7e308, 1e-300)):
            await tell(stage, survey, {"consent": "accepted", "age": 20 + place, "income": income, "year": 10 * place})
        found = await counts.tables(survey, by=["consent"], spreads=True)
        assert found.spreads.keys() == {"age", "income", "year"}
        assert found.spreads["age"] == Spread(mean=22.0, quartiles=(21.0, 22.0, 23.0))
        assert found.spreads["year"] == Spread(mean=20.0, quartiles=(10.0, 20.0, 30.0))
        assert found.spreads["income"].quartiles == (1e-300, 0.25, 1e308)
        assert found.spreads["income"].mean == pytest.approx(3.4e307)

    async def test_tests_count_nowhere(self, stage: Stage, counts: ResponseCounts) -> None:
        survey = await stage.survey(definition(SIDE, YEAR))
        await tell(stage, survey, {"side": "left", "year": 1}, is_test=True)
        await tell(stage, survey, {"side": "right", "year": 2})
        found = await counts.tables(survey, spreads=True)
        assert (found.n, found.counts["side"], found.spreads["year"].mean) == (1, [0, 1], 2.0)

    async def test_many_questions_count_everybody_once(self, stage: Stage, counts: ResponseCounts) -> None:
        survey = await stage.survey(definition(SIDE, *(AGE | {"field": f"q{n}"} for n in range(7))))
        await tell(stage, survey, *({"side": "left"} | {f"q{n}": 30 for n in range(7)} for _ in range(3)))
        found = await counts.tables(survey, by=["side"], spreads=True)
        assert (found.n, found.counts["side"]) == (3, [3, 0])
        for field in (f"q{n}" for n in range(7)):
            assert (found.answered[field], found.reached["side", field]) == (3, [3, 0])
            assert found.crossed["side", field] == [found.counts[field], [0] * 10]

    async def test_other_surveys_count_nothing_here(self, stage: Stage, counts: ResponseCounts) -> None:
        survey, other = await stage.survey(definition(SIDE)), await stage.survey(definition(SIDE), slug="other")
        await tell(stage, other, {"side": "left"})
        assert (await counts.tables(survey)).n == 0

    async def test_a_thousand_questions_are_counted(self, stage: Stage, counts: ResponseCounts) -> None:
        survey = await stage.survey(definition(SIDE, *(PLATFORMS | {"field": f"q{n}"} for n in range(999))))
        await tell(stage, survey, {"side": "left", "q0": ["Other"], "q998": ["Twitter"]}, {"q998": ["Twitter"]})
        found = await counts.tables(survey, by=["side"])
        assert (found.n, found.answered["q998"], found.counts["q998"]) == (2, 2, [2, 0])
        assert (found.crossed["side", "q0"], found.crossed["side", "q998"]) == ([[0, 1], [0, 0]], [[1, 0], [0, 0]])


class TestFakeResponseCounts(InMemory, ResponseCountsContract):
    @pytest.fixture
    async def counts(self, stage: Stage) -> ResponseCounts:
        assert isinstance(stage.surveys, FakeSurveys)
        return FakeResponseCounts(stage.surveys._access)


class TestPostgresResponseCounts(InPostgres, ResponseCountsContract):
    @pytest.fixture
    async def counts(self, pool: Pool) -> ResponseCounts:
        return PostgresResponseCounts(Snapshots(pool), pace=Pace(rows_between_rests=3), seconds=30)

    async def test_what_takes_too_long_is_given_up(self, pool: Pool, stage: Stage) -> None:
        survey = await stage.survey(definition(SIDE))
        async with lent(pool) as connection, connection.transaction():
            await connection.execute("LOCK TABLE responses")
            with pytest.raises(TooMuchToCount):
                await PostgresResponseCounts(Snapshots(pool), pace=Pace(rows_between_rests=3), seconds=0.2).tables(survey)


QUESTIONS = [CONSENT, SIDE, choices("a", "b", "d"), BOOLEAN, SCALE, AGE, AGE | {"field": "old", "bins": [18, 65]}, SHARE, INCOME, YEAR]
QUESTIONS += [PLATFORMS, MANY_OPTIONS, NOTE, DATE]
OPTIONS = [f"o{n}" for n in range(14)]
ANSWERS: dict[str, Callable[[Random], Any]] = {
    "consent": lambda chance: chance.choice(["accepted", "declined"]),
    "side": lambda chance: chance.choice(["left", "right"]),
    "c": lambda chance: chance.choice(["a", "b", "d"]),
    "b": lambda chance: chance.random() < 0.5,
    "trust": lambda chance: chance.randint(1, 7),
    "age": lambda chance: chance.randint(0, 130),
    "old": lambda chance: chance.randint(0, 130),
    "share": lambda chance: chance.choice([0.0, 1.0, chance.random(), round(chance.random(), 1)]),
    "income": lambda chance: chance.uniform(-1e6, 1e6),
    "year": lambda chance: chance.randint(-5000, 5000),
    "platforms": lambda chance: chance.sample(["Twitter", "Other"], chance.randint(0, 2)),
    "many": lambda chance: chance.sample(OPTIONS, chance.randint(0, 14)),
    "note": lambda chance: chance.choice(["", "n", "|"]),
    "d": lambda chance: f"20{chance.randint(10, 99)}-03-31",
}


@pytest.mark.parametrize("seed", range(60))
async def test_postgres_counts_what_the_domain_counts(pool: Pool, seed: int) -> None:
    chance = Random(seed)
    asked = chance.sample(QUESTIONS, chance.randint(1, len(QUESTIONS)))
    gate = {"consent": GATE} if CONSENT in asked and chance.random() < 0.5 else {}
    of, choosing = definition(*asked, **gate), [q["field"] for q in asked if q["type"] == "choice"]
    by = chance.sample(choosing, min(len(choosing), chance.randint(0, 2)))
    people = [{q["field"]: ANSWERS[q["field"]](chance) for q in asked if chance.random() < 0.6} for _ in range(chance.randint(0, 30))]
    survey = await stage_in_postgres(pool).survey(of)
    async with lent(pool) as connection:
        await connection.executemany(PUT, [(survey.project_id, next(NUMBERS).to_bytes(32, "big"), answers) for answers in people])
    found = await PostgresResponseCounts(Snapshots(pool), pace=Pace(rows_between_rests=5), seconds=30).tables(survey, by=by, spreads=True)
    expected = counted(of, people, by=by, spreads=True)
    for field, spread in expected.spreads.items():
        assert found.spreads[field].mean == pytest.approx(spread.mean, abs=1e-6)
        assert found.spreads[field].quartiles == spread.quartiles
    assert replace(found, spreads={}) == replace(expected, spreads={})
