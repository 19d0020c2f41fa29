"""Responses: the sentences of `Responses`, and that PostgreSQL keeps the rules of `domain.response` for any run of saves."""

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.postgres.database import Pool
from application.ports import Saved, SurveyMoved
from domain.errors import DomainError, NotFound
from domain.response import ConsentRequired, Outcome, Response, TokenRequired, TokenTaken, new_response
from domain.survey import Definition, Survey
from tests.contracts.stage import InMemory, InPostgres, Stage, stage_in_postgres
from tests.examples import AGE, CONSENT, NOTE, NOW, PLATFORMS, definition, gated

SHARE: dict[str, Any] = {"field": "share", "type": "number"}
LATER = NOW + timedelta(hours=1)
MINE, TOKEN = b"p" * 32, b"t" * 32


async def save(
    stage: Stage,
    survey: Survey,
    field: str,
    value: object,
    *,
    seq: int | None = None,
    who: bytes = MINE,
    token: bytes = TOKEN,
    at: Any = NOW,
) -> Saved:
    return await stage.responses.save(
        survey.accept(field, value),
        project_id=survey.project_id,
        pseudonym=who,
        token_hash=token,
        identity=survey.definition.identity,
        seq=seq,
        at=at,
    )


async def stored(stage: Stage, token: bytes = TOKEN) -> Response:
    found = await stage.responses.by_token("story", token)
    assert found is not None
    return found


class ResponsesContract:
    async def test_the_first_save_makes_the_response(self, stage: Stage) -> None:
        survey = await stage.survey()
        saved = await save(stage, survey, "age", "42", seq=3)
        assert saved == Saved(outcome=Outcome.CREATED, value=42, revision=1, saved_at=NOW)
        assert await stored(stage) == Response(
            project_id=survey.project_id,
            pseudonym=MINE,
            token_hash=TOKEN,
            answers={"age": 42},
            seqs={"age": 3},
            revision=1,
            survey_version=1,
            created_at=NOW,
        )

    async def test_a_later_save_changes_its_field_alone(self, stage: Stage) -> None:
        survey = await stage.survey()
        await save(stage, survey, "age", 42)
        saved = await save(stage, survey, "note", "So it goes.", at=LATER, token=b"another token, not needed here.."[:32])
        assert saved == Saved(outcome=Outcome.UPDATED, value="So it goes.", revision=2, saved_at=LATER)
        found = await stored(stage)
        assert (found.answers, found.updated_at) == ({"age": 42, "note": "So it goes."}, LATER)

    async def test_the_same_value_again_changes_nothing(self, stage: Stage) -> None:
        survey = await stage.survey()
        await save(stage, survey, "age", 42)
        before = await stored(stage)
        assert await save(stage, survey, "age", 42, at=LATER) == Saved(outcome=Outcome.UPDATED, value=42, revision=1, saved_at=NOW)
        assert await stored(stage) == before

    async def test_the_same_value_with_a_newer_number_is_remembered_by_its_number(self, stage: Stage) -> None:
        survey = await stage.survey()
        await save(stage, survey, "age", 42, seq=1)
        assert (await save(stage, survey, "age", 42, seq=5)).revision == 1
        assert (await save(stage, survey, "age", 43, seq=5)).outcome is Outcome.STALE

    async def test_a_null_withdraws_one_answer(self, stage: Stage) -> None:
        survey = await stage.survey()
        await save(stage, survey, "age", 42)
        await save(stage, survey, "trust", 7)
        assert (await save(stage, survey, "age", None)).revision == 3
        assert (await stored(stage)).answers == {"trust": 7}

    async def test_a_null_may_come_first(self, stage: Stage) -> None:
        survey = await stage.survey()
        assert await save(stage, survey, "age", None) == Saved(outcome=Outcome.CREATED, value=None, revision=1, saved_at=NOW)
        assert (await stored(stage)).answers == {}

    @pytest.mark.parametrize("seq", [0, 4, 5])
    async def test_a_number_that_is_not_above_the_last_is_stale_and_answers_what_is_stored(self, stage: Stage, seq: int) -> None:
        survey = await stage.survey()
        await save(stage, survey, "age", 42, seq=5)
        before = await stored(stage)
        stale = await save(stage, survey, "age", 7, seq=seq, at=LATER)
        assert stale == Saved(outcome=Outcome.STALE, value=42, revision=1, saved_at=NOW)
        assert await stored(stage) == before

    async def test_numbers_count_by_field(self, stage: Stage) -> None:
        survey = await stage.survey()
        await save(stage, survey, "age", 42, seq=5)
        assert (await save(stage, survey, "trust", 7, seq=0)).outcome is Outcome.UPDATED

    async def test_a_save_without_a_number_applies_and_leaves_the_number(self, stage: Stage) -> None:
        survey = await stage.survey()
        await save(stage, survey, "age", 42, seq=5)
        assert (await save(stage, survey, "age", 43)).value == 43
        assert (await save(stage, survey, "age", 44, seq=5)).outcome is Outcome.STALE
        assert (await save(stage, survey, "age", 44, seq=6)).outcome is Outcome.UPDATED

    async def test_a_withdrawal_keeps_its_number(self, stage: Stage) -> None:
        survey = await stage.survey()
        await save(stage, survey, "age", 42, seq=1)
        await save(stage, survey, "age", None, seq=2)
        assert await save(stage, survey, "age", 42, seq=1) == Saved(outcome=Outcome.STALE, value=None, revision=2, saved_at=NOW)

    @pytest.mark.parametrize("first", [None, "declined"])
    async def test_without_consent_nothing_else_is_taken(self, stage: Stage, first: str | None) -> None:
        survey = await stage.survey(gated())
        if first:
            await save(stage, survey, "consent", first)
        with pytest.raises(ConsentRequired):
            await save(stage, survey, "age", 42, seq=1)
        if first:
            assert (await stored(stage)).answers == {"consent": "declined"}
        else:
            assert await stage.responses.by_token("story", TOKEN) is None

    async def test_a_withdrawal_waits_for_consent_too(self, stage: Stage) -> None:
        survey = await stage.survey(gated())
        with pytest.raises(ConsentRequired):
            await save(stage, survey, "age", None)

    async def test_with_consent_answers_are_taken(self, stage: Stage) -> None:
        survey = await stage.survey(gated())
        await save(stage, survey, "consent", 1)
        assert (await save(stage, survey, "age", 42)).outcome is Outcome.UPDATED
        assert (await stored(stage)).answers == {"consent": "accepted", "age": 42}

    @pytest.mark.parametrize("withdrawn", ["declined", None])
    async def test_consent_withdrawn_erases_the_answers_and_keeps_the_numbers(self, stage: Stage, withdrawn: str | None) -> None:
        survey = await stage.survey(gated())
        await save(stage, survey, "consent", "accepted", seq=1)
        await save(stage, survey, "age", 42, seq=9)
        await save(stage, survey, "consent", withdrawn, seq=2)
        found = await stored(stage)
        assert found.answers == ({"consent": "declined"} if withdrawn else {})
        assert found.seqs == {"consent": 2, "age": 9}
        await save(stage, survey, "consent", "accepted", seq=3)
        assert (await save(stage, survey, "age", 41, seq=9)).outcome is Outcome.STALE

    async def test_an_old_number_is_stale_even_behind_the_gate(self, stage: Stage) -> None:
        survey = await stage.survey(gated())
        await save(stage, survey, "consent", "accepted")
        await save(stage, survey, "age", 42, seq=9)
        await save(stage, survey, "consent", "declined")
        assert (await save(stage, survey, "age", 42, seq=9)).outcome is Outcome.STALE

    async def test_under_token_identity_the_token_must_be_the_respondents_own(self, stage: Stage) -> None:
        survey = await stage.survey(gated(identity="token"))
        await save(stage, survey, "consent", "accepted", seq=1)
        for field, value, seq in [("consent", "declined", None), ("consent", "accepted", 1), ("age", 42, None)]:
            with pytest.raises(TokenRequired):
                await save(stage, survey, field, value, seq=seq, token=b"x" * 32)
        assert (await stored(stage)).answers == {"consent": "accepted"}
        assert (await save(stage, survey, "age", 42)).outcome is Outcome.UPDATED

    async def test_a_token_of_another_respondent_of_the_project_is_taken(self, stage: Stage) -> None:
        survey = await stage.survey()
        await save(stage, survey, "age", 42)
        with pytest.raises(TokenTaken):
            await save(stage, survey, "age", 7, who=b"q" * 32)
        assert (await stored(stage)).pseudonym == MINE

    async def test_a_token_may_be_used_in_two_projects(self, stage: Stage) -> None:
        here, there = await stage.survey(slug="story"), await stage.survey(slug="other")
        assert (await save(stage, here, "age", 42)).outcome is Outcome.CREATED
        assert (await save(stage, there, "age", 7)).outcome is Outcome.CREATED
        assert (await stored(stage)).answers == {"age": 42}

    async def test_a_survey_that_moved_on_takes_nothing_under_the_old_version(self, stage: Stage) -> None:
        survey = await stage.survey()
        await save(stage, survey, "age", 42)
        await stage.store(replace(survey, version=2))
        with pytest.raises(SurveyMoved):
            await save(stage, survey, "age", 43)
        assert (await stored(stage)).answers == {"age": 42}
        assert (await save(stage, replace(survey, version=2), "age", 43)).outcome is Outcome.UPDATED
        assert (await stored(stage)).survey_version == 2

    async def test_a_closed_survey_takes_nothing(self, stage: Stage) -> None:
        survey = await stage.survey(gated())
        await save(stage, survey, "consent", "accepted")
        await stage.store(replace(survey, version=2, is_open=False))
        for field, value in [("consent", "declined"), ("age", 42)]:
            with pytest.raises(SurveyMoved):
                await save(stage, replace(survey, version=2), field, value)
        assert (await stored(stage)).answers == {"consent": "accepted"}

    async def test_a_deleted_project_takes_nothing_and_shows_nothing(self, stage: Stage) -> None:
        survey = await stage.survey()
        await save(stage, survey, "age", 42)
        await stage.put_away("story")
        with pytest.raises(SurveyMoved):
            await save(stage, survey, "age", 43)
        with pytest.raises(NotFound):
            await stage.responses.by_token("story", TOKEN)

    async def test_an_unknown_project_takes_nothing(self, stage: Stage) -> None:
        survey = await stage.survey()
        with pytest.raises(SurveyMoved):
            await save(stage, replace(survey, project_id=survey.project_id + 1), "age", 42)

    async def test_an_unknown_token_shows_nothing(self, stage: Stage) -> None:
        survey = await stage.survey()
        await save(stage, survey, "age", 42)
        assert await stage.responses.by_token("story", b"x" * 32) is None

    @pytest.mark.parametrize("value", [0.1, -2.5, 1e16, 1e23, 1.7976931348623157e308, 5e-324, 3.0, 0.0])
    async def test_a_number_of_any_size_is_stored_as_the_very_double(self, stage: Stage, value: float) -> None:
        survey = await stage.survey(definition(SHARE))
        await save(stage, survey, "share", value, seq=1)
        answer = (await stored(stage)).answers["share"]
        assert (answer, type(answer)) == (value, float)

    @pytest.mark.parametrize("value", [2**63 - 1, -(2**63), 0])
    async def test_an_integer_of_any_size_is_stored_whole(self, stage: Stage, value: int) -> None:
        survey = await stage.survey(definition({"field": "n", "type": "integer"}))
        await save(stage, survey, "n", value)
        assert (await stored(stage)).answers == {"n": value}

    async def test_a_text_is_stored_as_it_came(self, stage: Stage) -> None:
        survey = await stage.survey()
        text = 'a\u0301 \U0001f600 "quoted" \\u0000 \\\n\t\'; DROP TABLE responses; --'
        await save(stage, survey, "note", text)
        assert (await stored(stage)).answers == {"note": text}

    async def test_concurrent_first_saves_under_one_own_token_make_one_response(self, stage: Stage) -> None:
        fields = [f"f{n}" for n in range(32)]
        survey = await stage.survey(definition(*({"field": field, "type": "integer"} for field in fields)))
        for n in range(10):
            who = bytes([n]) * 32
            saves = (save(stage, survey, field, 1, who=who, token=who) for field in fields)
            outcomes = [each.outcome for each in await asyncio.gather(*saves)]
            assert outcomes.count(Outcome.CREATED) == 1
            found = await stored(stage, who)
            assert (set(found.answers), found.revision) == (set(fields), 32)


class TestFakeResponses(InMemory, ResponsesContract):
    pass


class TestPostgresResponses(InPostgres, ResponsesContract):
    pass


# --- PostgreSQL keeps the domain's own rules ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One save: a field and a value, or its withdrawal, perhaps with a number, under one of two versions."""

    field: str
    value: Any
    seq: int | None
    newer: bool


ANSWERS: dict[str, st.SearchStrategy[Any]] = {
    "consent": st.sampled_from(["accepted", "accepted", "declined", 1, 0, None]),
    "age": st.sampled_from([None, 0, 1, "1", 130]),
    "note": st.sampled_from([None, "", "a", "b'\"\\"]),
    "platforms": st.sampled_from([None, [], "Twitter", ["Other", "Twitter"], "Twitter,Other"]),
    "share": st.sampled_from([None, 0.5, "0.5", 1, 1.0, -3]),
}
STEPS = st.sampled_from(sorted(ANSWERS)).flatmap(
    lambda field: st.builds(
        Step,
        field=st.just(field),
        value=ANSWERS[field],
        seq=st.none() | st.integers(0, 4),
        newer=st.booleans(),
    )
)
QUESTIONS = (CONSENT, AGE, NOTE, PLATFORMS, SHARE)


def by_the_domain(response: Response | None, step: Step, survey: Survey, who: bytes, at: Any) -> tuple[Response | None, Saved | str]:
    change = survey.accept(step.field, step.value)
    try:
        if response is None:
            saved = new_response(change, project_id=survey.project_id, pseudonym=who, token_hash=who, seq=step.seq, at=at)
            outcome = Outcome.CREATED
        else:
            saved, outcome = response.save(change, seq=step.seq, at=at)
    except DomainError as error:
        return response, error.code
    value = saved.answers.get(step.field) if outcome is Outcome.STALE else change.value
    return saved, Saved(outcome=outcome, value=value, revision=saved.revision, saved_at=saved.saved_at)


async def by_the_store(stage: Stage, step: Step, survey: Survey, who: bytes, at: Any) -> Saved | str:
    try:
        return await save(stage, survey, step.field, step.value, seq=step.seq, who=who, token=who, at=at)
    except DomainError as error:
        return error.code


@pytest.mark.parametrize("declared", [gated(*QUESTIONS[1:]), definition(*QUESTIONS)], ids=["with consent", "without consent"])
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors])
@given(steps=st.lists(STEPS, min_size=1, max_size=25))
async def test_postgres_and_the_domain_agree_on_any_run_of_saves(pool: Pool, declared: Definition, steps: list[Step]) -> None:
    stage = stage_in_postgres(pool)
    slug = f"s-{uuid4().hex}"
    survey = await stage.survey(declared, slug=slug)
    who, response, at = uuid4().bytes * 2, None, NOW
    for step in steps:
        if step.newer and survey.version < 3:
            survey = replace(survey, version=survey.version + 1)
            await stage.store(survey)
        at += timedelta(seconds=1)
        response, expected = by_the_domain(response, step, survey, who, at)
        assert await by_the_store(stage, step, survey, who, at) == expected
        assert await stage.responses.by_token(slug, who) == response
