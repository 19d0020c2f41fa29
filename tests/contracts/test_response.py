"""Responses: the sentences of `Responses`, and that PostgreSQL keeps the rules of `domain.response` for any run of saves."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.postgres.database import Pool
from application.ports import Saved, SurveyMoved
from domain.audit import AuditFilter, Difference, Entry, Target, entry
from domain.errors import DomainError, NotFound, Stale, Unavailable
from domain.response import ConsentRequired, Outcome, Response, TokenRequired, bound, new_response
from domain.survey import Definition, Survey
from tests.contracts.stage import InMemory, InPostgres, Stage, stage_in_postgres
from tests.examples import AGE, CONSENT, NOTE, NOW, PLATFORMS, definition, gated

SHARE: dict[str, Any] = {"field": "share", "type": "number"}
LATER = NOW + timedelta(hours=1)
MINE, TOKEN = b"p" * 32, b"t" * 32


async def save_all(
    stage: Stage,
    survey: Survey,
    answers: Mapping[str, object],
    *,
    seq: int | None = None,
    who: bytes = MINE,
    token: bytes = TOKEN,
    at: datetime = NOW,
    is_test: bool = False,
    is_shown: bool = True,
    by_token: bool = False,
) -> Saved:
    return await stage.responses.save(
        survey.accept(answers),
        project_id=survey.project_id,
        pseudonym=who,
        token_hash=token,
        is_shown=is_shown,
        by_token=by_token,
        seq=seq,
        at=at,
        is_test=is_test,
    )


async def save(stage: Stage, survey: Survey, field: str, value: object, **rest: Any) -> Saved:
    return await save_all(stage, survey, {field: value}, **rest)


def came_to(
    outcome: Outcome,
    revision: int,
    at: datetime = NOW,
    *,
    stale: Iterable[str] = (),
    seqs: dict[str, int] | None = None,
    **answers: Any,
) -> Saved:
    return Saved(outcome=outcome, answers=answers, stale=frozenset(stale), revision=revision, saved_at=at, seqs=seqs)


async def stored(stage: Stage, token: bytes = TOKEN) -> Response:
    found = await stage.responses.by_token("story", token)
    assert found is not None
    return found


class ResponsesContract:
    async def test_the_first_save_makes_the_response(self, stage: Stage) -> None:
        survey = await stage.survey()
        saved = await save(stage, survey, "age", "42", seq=3)
        assert saved == came_to(Outcome.CREATED, 1, age=42)
        assert await stored(stage) == Response(
            project_id=survey.project_id,
            pseudonym=MINE,
            token_hash=bound(TOKEN, survey.project_id),
            answers={"age": 42},
            versions={"age": 1},
            seqs={"age": 3},
            revision=1,
            survey_version=1,
            created_at=NOW,
            is_owned=True,
        )

    @pytest.mark.parametrize("is_test", [True, False])
    @pytest.mark.parametrize("answers", [{"age": 42}, {"age": 42, "note": "x"}], ids=["one", "several"])
    async def test_the_first_save_says_for_good_whether_it_is_a_test(
        self,
        stage: Stage,
        is_test: object,
        answers: dict[str, object],
    ) -> None:
        survey = await stage.survey()
        await save_all(stage, survey, answers, is_test=bool(is_test))
        await save(stage, survey, "age", 43, is_test=not is_test)
        await save_all(stage, survey, {"age": 44, "note": "y"}, is_test=not is_test)
        assert (await stored(stage)).is_test is is_test

    async def test_what_is_kept_of_a_token_is_another_thing_in_each_project(self, stage: Stage) -> None:
        for slug in ("story", "other"):
            await save(stage, await stage.survey(slug=slug), "age", 42)
        found = [await stage.responses.by_token(slug, TOKEN) for slug in ("story", "other")]
        assert [each.token_hash for each in found if each] == [bound(TOKEN, each.project_id) for each in found if each]
        assert len({each.token_hash for each in found if each}) == 2

    async def test_a_later_save_changes_its_field_alone(self, stage: Stage) -> None:
        survey = await stage.survey()
        await save(stage, survey, "age", 42)
        saved = await save(stage, survey, "note", "So it goes.", at=LATER)
        assert saved == came_to(Outcome.UPDATED, 2, LATER, note="So it goes.")
        found = await stored(stage)
        assert (found.answers, found.updated_at) == ({"age": 42, "note": "So it goes."}, LATER)

    async def test_the_same_value_again_changes_nothing(self, stage: Stage) -> None:
        survey = await stage.survey()
        await save(stage, survey, "age", 42)
        before = await stored(stage)
        assert await save(stage, survey, "age", 42, at=LATER) == came_to(Outcome.UPDATED, 1, age=42)
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
        assert await save(stage, survey, "age", None) == came_to(Outcome.CREATED, 1, age=None)
        assert (await stored(stage)).answers == {}

    @pytest.mark.parametrize("seq", [0, 4, 5])
    async def test_a_number_that_is_not_above_the_last_is_stale_and_answers_what_is_stored(self, stage: Stage, seq: int) -> None:
        survey = await stage.survey()
        await save(stage, survey, "age", 42, seq=5)
        before = await stored(stage)
        stale = await save(stage, survey, "age", 7, seq=seq, at=LATER)
        assert stale == came_to(Outcome.STALE, 1, stale=["age"], seqs={"age": 5}, age=42)
        assert await stored(stage) == before

    async def test_numbers_count_by_field(self, stage: Stage) -> None:
        survey = await stage.survey()
        await save(stage, survey, "age", 42, seq=5)
        assert (await save(stage, survey, "trust", 7, seq=0)).outcome is Outcome.UPDATED

    async def test_a_save_without_a_number_applies_and_leaves_the_number(self, stage: Stage) -> None:
        survey = await stage.survey()
        await save(stage, survey, "age", 42, seq=5)
        assert (await save(stage, survey, "age", 43)).answers == {"age": 43}
        assert (await save(stage, survey, "age", 44, seq=5)).outcome is Outcome.STALE
        assert (await save(stage, survey, "age", 44, seq=6)).outcome is Outcome.UPDATED

    async def test_a_withdrawal_keeps_its_number(self, stage: Stage) -> None:
        survey = await stage.survey()
        await save(stage, survey, "age", 42, seq=1)
        await save(stage, survey, "age", None, seq=2)
        assert await save(stage, survey, "age", 42, seq=1) == came_to(Outcome.STALE, 2, stale=["age"], seqs={"age": 2}, age=None)

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
    async def test_consent_withdrawn_erases_the_answers_and_keeps_one_number(self, stage: Stage, withdrawn: str | None) -> None:
        survey = await stage.survey(gated())
        await save(stage, survey, "consent", "accepted", seq=1)
        await save(stage, survey, "age", 42, seq=9)
        await save(stage, survey, "consent", withdrawn, seq=2)
        found = await stored(stage)
        assert found.answers == ({"consent": "declined"} if withdrawn else {})
        assert (found.seqs, found.withheld) == ({"*": 9}, None)
        assert (await save(stage, survey, "consent", "accepted", seq=9)).outcome is Outcome.STALE
        await save(stage, survey, "consent", "accepted", seq=10)
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
        with pytest.raises(TokenRequired):
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
        with pytest.raises(SurveyMoved):
            await save_all(stage, survey, {"age": 43, "note": "x"})
        assert (await stored(stage)).answers == {"age": 42}
        assert (await save(stage, replace(survey, version=2), "age", 43)).outcome is Outcome.UPDATED
        assert (await stored(stage)).survey_version == 2

    async def test_a_closed_survey_takes_nothing(self, stage: Stage) -> None:
        survey = await stage.survey(gated())
        await save(stage, survey, "consent", "accepted")
        await stage.switch(is_open=False)
        for answers in ({"consent": "declined"}, {"age": 42}, {"age": 42, "note": "x"}):
            with pytest.raises(SurveyMoved):
                await save_all(stage, survey, answers)
        assert (await stored(stage)).answers == {"consent": "accepted"}
        await stage.switch(is_open=True)
        assert (await save(stage, survey, "age", 42)).outcome is Outcome.UPDATED

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

    # --- several answers at once ---------------------------------------------------------------------------------------------

    async def test_several_answers_may_make_the_response(self, stage: Stage) -> None:
        survey = await stage.survey()
        saved = await save_all(stage, survey, {"age": "42", "note": "x", "trust": None}, seq=3)
        assert saved == came_to(Outcome.CREATED, 1, age=42, note="x", trust=None)
        found = await stored(stage)
        assert (found.answers, found.versions) == ({"age": 42, "note": "x"}, {"age": 1, "note": 1})
        assert (found.seqs, found.revision, found.updated_at) == ({"age": 3, "note": 3, "trust": 3}, 1, None)

    async def test_several_answers_are_one_change(self, stage: Stage) -> None:
        survey = await stage.survey()
        await save(stage, survey, "age", 42)
        saved = await save_all(stage, survey, {"age": None, "note": "x", "trust": 7}, at=LATER)
        assert saved == came_to(Outcome.UPDATED, 2, LATER, age=None, note="x", trust=7)
        found = await stored(stage)
        assert (found.answers, found.revision, found.updated_at) == ({"note": "x", "trust": 7}, 2, LATER)

    async def test_the_same_answers_again_change_nothing(self, stage: Stage) -> None:
        survey = await stage.survey()
        await save_all(stage, survey, {"age": 42, "note": "x"})
        before = await stored(stage)
        assert await save_all(stage, survey, {"note": "x", "age": 42}, at=LATER) == came_to(Outcome.UPDATED, 1, age=42, note="x")
        assert await stored(stage) == before

    async def test_of_several_answers_each_is_stale_by_itself(self, stage: Stage) -> None:
        survey = await stage.survey()
        await save(stage, survey, "age", 42, seq=5)
        saved = await save_all(stage, survey, {"age": 7, "note": "x"}, seq=5, at=LATER)
        assert saved == came_to(Outcome.UPDATED, 2, LATER, stale=["age"], age=42, note="x")
        assert (await stored(stage)).seqs == {"age": 5, "note": 5}

    async def test_several_answers_that_are_all_stale_change_nothing(self, stage: Stage) -> None:
        survey = await stage.survey()
        await save_all(stage, survey, {"age": 42, "note": "x"}, seq=5)
        before = await stored(stage)
        saved = await save_all(stage, survey, {"age": 7, "note": None}, seq=5, at=LATER)
        assert saved == came_to(Outcome.STALE, 1, stale=["age", "note"], seqs={"age": 5, "note": 5}, age=42, note="x")
        assert await stored(stage) == before

    # --- with the token and without ------------------------------------------------------------------------------------------

    async def test_a_token_that_is_shown_names_its_own_respondent_and_no_other(self, stage: Stage) -> None:
        survey = await stage.survey(gated())
        await save_all(stage, survey, {"consent": "accepted"}, is_shown=False)
        for answers in ({"consent": "accepted"}, {"age": 1}, {"age": 1, "note": "x"}, {"consent": "declined"}):
            for token, who in ((b"x" * 32, MINE), (TOKEN, b"q" * 32)):
                with pytest.raises(TokenRequired):
                    await save_all(stage, survey, answers, token=token, who=who)
        assert (await stored(stage)).answers == {"consent": "accepted"}

    async def test_the_token_alone_names_the_respondent_that_a_fingerprint_made(self, stage: Stage) -> None:
        survey = await stage.survey(gated(identity="token"))
        await save(stage, survey, "consent", "accepted")
        alone: dict[str, Any] = {"who": b"derived".ljust(32), "by_token": True}
        assert (await save(stage, survey, "age", 42, **alone)).outcome is Outcome.UPDATED
        assert (await save_all(stage, survey, {"note": "x", "trust": 7}, **alone)).outcome is Outcome.UPDATED
        assert (await save(stage, survey, "age", 43)).outcome is Outcome.UPDATED
        found = await stored(stage)
        assert (found.pseudonym, found.answers) == (MINE, {"consent": "accepted", "age": 43, "note": "x", "trust": 7})

    async def test_the_token_alone_makes_a_response_too(self, stage: Stage) -> None:
        survey = await stage.survey(definition(identity="token"))
        assert (await save(stage, survey, "age", 42, by_token=True)).outcome is Outcome.CREATED
        assert (await save_all(stage, survey, {"age": 43, "note": "x"}, by_token=True)).outcome is Outcome.UPDATED
        assert (await stored(stage)).is_owned

    @pytest.mark.parametrize("answers", [{"age": 43}, {"age": 43, "note": "x"}], ids=["one", "several"])
    async def test_numbers_begin_anew_when_the_token_is_first_shown_and_nothing_is_saved_without_it_then(
        self, stage: Stage, answers: dict[str, object]
    ) -> None:
        survey = await stage.survey()
        await save(stage, survey, "age", 42, is_shown=False)
        await save(stage, survey, "age", 7, seq=2**63 - 1, is_shown=False)
        await save(stage, survey, "note", "y", seq=9, is_shown=False)
        assert (await save_all(stage, survey, answers, seq=0)).outcome is Outcome.UPDATED
        found = await stored(stage)
        assert (found.answers["age"], found.seqs, found.is_owned) == (43, dict.fromkeys(answers, 0), True)
        for later in ({"age": 1}, {"age": 1, "note": "z"}):
            with pytest.raises(TokenRequired):
                await save_all(stage, survey, later, is_shown=False)
        assert (await save_all(stage, survey, answers, seq=0)).outcome is Outcome.STALE

    @pytest.mark.parametrize("withdrawn", ["declined", None])
    async def test_consent_moved_away_without_the_token_withholds_and_consent_brings_back(
        self, stage: Stage, withdrawn: str | None
    ) -> None:
        survey = await stage.survey(gated())
        await save_all(stage, survey, {"consent": "accepted", "age": 42}, is_shown=False)
        await save(stage, survey, "consent", withdrawn, at=LATER, is_shown=False)
        found = await stored(stage)
        assert found.answers == ({"consent": "declined"} if withdrawn else {})
        assert (found.withheld, found.withheld_at) == ({"age": {"value": 42, "version": 1}}, LATER)
        assert stage.witnessed == []
        with pytest.raises(ConsentRequired):
            await save(stage, survey, "age", 1, is_shown=False)
        await save(stage, survey, "consent", "accepted", is_shown=False)
        again = await stored(stage)
        assert (again.answers, again.versions) == ({"consent": "accepted", "age": 42}, {"consent": 1, "age": 1})
        assert (again.withheld, again.withheld_at) == (None, None)

    async def test_the_token_erases_what_is_withheld_at_once(self, stage: Stage) -> None:
        survey = await stage.survey(gated())
        await save_all(stage, survey, {"consent": "accepted", "age": 42}, seq=5, is_shown=False)
        await save(stage, survey, "consent", "declined", is_shown=False)
        before = await stored(stage)
        await save(stage, survey, "consent", "declined")
        found = await stored(stage)
        assert (found.withheld, found.answers, found.revision) == (None, {"consent": "declined"}, before.revision + 1)
        assert stage.witnessed == [before.erasure]

    async def test_what_is_withheld_for_long_is_erased_and_nothing_else_is(self, stage: Stage) -> None:
        survey = await stage.survey(gated())
        await save_all(stage, survey, {"consent": "accepted", "age": 42}, seq=5, is_shown=False)
        await save(stage, survey, "consent", "declined", at=NOW, is_shown=False)
        assert await stage.responses.erase_withheld(before=NOW, at=LATER) == 0
        before = await stored(stage)
        stage.witness_refuses.append(Unavailable())
        with pytest.raises(Unavailable):
            await stage.responses.erase_withheld(before=LATER, at=LATER)
        assert await stored(stage) == before
        stage.witness_refuses.clear()
        assert await stage.responses.erase_withheld(before=LATER, at=LATER) == 1
        assert await stage.responses.erase_withheld(before=LATER, at=LATER) == 0
        found = await stored(stage)
        assert (found.answers, found.withheld, found.seqs) == ({"consent": "declined"}, None, {"*": 5})
        assert (found.revision, found.updated_at) == (before.revision + 1, LATER)
        assert stage.witnessed == [before.erasure]
        await save(stage, survey, "consent", "accepted", is_shown=False)
        assert (await stored(stage)).answers == {"consent": "accepted"}

    async def test_consent_may_come_together_with_answers(self, stage: Stage) -> None:
        survey = await stage.survey(gated())
        first = await save_all(stage, survey, {"age": 42, "consent": 1})
        assert first == came_to(Outcome.CREATED, 1, age=42, consent="accepted")
        await save(stage, survey, "consent", "declined")
        again = await save_all(stage, survey, {"note": "x", "consent": "accepted"})
        assert (again.outcome, again.revision) == (Outcome.UPDATED, 3)
        assert (await stored(stage)).answers == {"consent": "accepted", "note": "x"}

    @pytest.mark.parametrize("begun", [False, True], ids=["first save", "later save"])
    @pytest.mark.parametrize("withdrawn", ["declined", None])
    async def test_answers_that_come_with_a_withdrawal_of_consent_are_refused_whole(
        self, stage: Stage, withdrawn: str | None, begun: object
    ) -> None:
        survey = await stage.survey(gated())
        if begun:
            await save_all(stage, survey, {"consent": "accepted", "age": 42})
        with pytest.raises(ConsentRequired):
            await save_all(stage, survey, {"consent": withdrawn, "age": 43, "note": "x"}, seq=1)
        found = await stage.responses.by_token("story", TOKEN)
        assert (found and (found.answers, found.seqs)) == (({"consent": "accepted", "age": 42}, {}) if begun else None)

    @pytest.mark.parametrize("withdrawn", ["declined", None])
    async def test_answers_may_be_withdrawn_together_with_consent(self, stage: Stage, withdrawn: str | None) -> None:
        survey = await stage.survey(gated())
        await save_all(stage, survey, {"consent": "accepted", "age": 42, "note": "x"})
        saved = await save_all(stage, survey, {"consent": withdrawn, "age": None}, at=LATER)
        assert saved == came_to(Outcome.UPDATED, 2, LATER, consent=withdrawn, age=None)
        found = await stored(stage)
        assert found.answers == ({"consent": "declined"} if withdrawn else {})
        assert found.versions == dict.fromkeys(found.answers, 1)

    async def test_a_stale_consent_opens_no_gate_and_a_stale_withdrawal_closes_none(self, stage: Stage) -> None:
        survey = await stage.survey(gated())
        await save(stage, survey, "consent", "declined", seq=5)
        with pytest.raises(ConsentRequired):
            await save_all(stage, survey, {"consent": "accepted", "age": 42}, seq=5)
        await save(stage, survey, "consent", "accepted", seq=6)
        saved = await save_all(stage, survey, {"consent": None, "age": 42}, seq=6)
        assert saved == came_to(Outcome.UPDATED, 3, stale=["consent"], consent="accepted", age=42)

    async def test_without_consent_several_answers_are_refused_whole(self, stage: Stage) -> None:
        survey = await stage.survey(gated())
        with pytest.raises(ConsentRequired):
            await save_all(stage, survey, {"age": 42, "note": None})
        assert await stage.responses.by_token("story", TOKEN) is None

    async def test_under_token_identity_several_answers_need_the_token_too(self, stage: Stage) -> None:
        survey = await stage.survey(definition(identity="token"))
        await save_all(stage, survey, {"age": 42, "note": "x"})
        with pytest.raises(TokenRequired):
            await save_all(stage, survey, {"age": 7, "note": None}, token=b"x" * 32)
        assert (await stored(stage)).answers == {"age": 42, "note": "x"}

    async def test_several_answers_under_the_token_of_another_respondent_are_refused_whole(self, stage: Stage) -> None:
        survey = await stage.survey()
        await save(stage, survey, "age", 42)
        with pytest.raises(TokenRequired):
            await save_all(stage, survey, {"age": 7, "note": "x"}, who=b"q" * 32)
        assert (await stored(stage)).answers == {"age": 42}

    @pytest.mark.parametrize("own", [True, False], ids=["own token", "new token each"])
    async def test_of_concurrent_first_saves_of_several_answers_one_makes_the_response(self, stage: Stage, own: object) -> None:
        fields = [f"f{n}" for n in range(32)]
        survey = await stage.survey(definition(*({"field": field, "type": "integer"} for field in fields)))
        for n in range(5):
            who = bytes([n]) * 32
            pairs = [{fields[m]: m, fields[m + 1]: m + 1} for m in range(0, 32, 2)]
            tokens = [who if own else bytes([n, m]) * 16 for m in range(16)]
            given = zip(pairs, tokens, strict=True)
            saved = await asyncio.gather(*(save_all(stage, survey, each, who=who, token=t, is_shown=bool(own)) for each, t in given))
            assert sorted(each.revision for each in saved) == list(range(1, 17))
            (first,) = [token for each, token in zip(saved, tokens, strict=True) if each.outcome is Outcome.CREATED]
            found = await stored(stage, first)
            assert (found.answers, found.revision) == ({field: m for m, field in enumerate(fields)}, 16)

    async def test_single_and_several_answers_at_once_lose_nothing(self, stage: Stage) -> None:
        fields = [f"f{n}" for n in range(24)]
        survey = await stage.survey(gated(*({"field": field, "type": "integer"} for field in fields)))
        await save(stage, survey, "consent", "accepted")
        saves = [save(stage, survey, field, 1) for field in fields[:12]]
        saves += [save_all(stage, survey, {one: 1, two: 1}) for one, two in zip(fields[12:18], fields[18:], strict=True)]
        revisions = [each.revision for each in await asyncio.gather(*saves)]
        assert sorted(revisions) == list(range(2, 20))
        assert (await stored(stage)).answers == {"consent": "accepted"} | dict.fromkeys(fields, 1)

    # --- versions ------------------------------------------------------------------------------------------------------------

    async def test_each_answer_is_pinned_to_the_version_that_it_was_given_under(self, stage: Stage) -> None:
        first = await stage.survey()
        await save_all(stage, first, {"age": 42, "note": "x", "trust": 7})
        second = replace(first, version=2)
        await stage.store(second)
        await save(stage, second, "age", 42)
        assert (await stored(stage)).versions == {"age": 1, "note": 1, "trust": 1}
        await save(stage, second, "age", 43)
        await save_all(stage, second, {"note": "x", "trust": 6})
        found = await stored(stage)
        assert (found.versions, found.survey_version) == ({"age": 2, "note": 1, "trust": 2}, 2)
        await save(stage, second, "note", None)
        assert (await stored(stage)).versions == {"age": 2, "trust": 2}

    async def test_a_removed_question_keeps_its_answer(self, stage: Stage) -> None:
        first = await stage.survey(definition(AGE, NOTE))
        await save_all(stage, first, {"age": 42, "note": "x"})
        second = replace(first, version=2, definition=definition(AGE))
        await stage.store(second)
        await save(stage, second, "age", 43)
        found = await stored(stage)
        assert (found.answers, found.versions) == ({"age": 43, "note": "x"}, {"age": 2, "note": 1})

    # --- erasure -------------------------------------------------------------------------------------------------------------

    async def test_an_erased_response_is_gone_and_its_token_opens_nothing(self, stage: Stage) -> None:
        survey = await stage.survey()
        await save(stage, survey, "age", 42, seq=9)
        other = await save(stage, survey, "age", 7, who=b"q" * 32, token=b"u" * 32)
        assert await stage.responses.erase("story", TOKEN)
        assert await stage.responses.by_token("story", TOKEN) is None
        assert not await stage.responses.erase("story", TOKEN)
        assert (await stored(stage, b"u" * 32)).revision == other.revision

    @pytest.mark.parametrize("token", [TOKEN, b"n" * 32], ids=["same token", "new token"])
    async def test_who_was_erased_may_start_anew_without_numbers(self, stage: Stage, token: bytes) -> None:
        survey = await stage.survey(gated())
        await save_all(stage, survey, {"consent": "accepted", "age": 42}, seq=9)
        await stage.responses.erase("story", TOKEN)
        with pytest.raises(ConsentRequired):
            await save(stage, survey, "age", 42, seq=1, token=token)
        again = await save_all(stage, survey, {"consent": "accepted", "age": 7}, seq=0, token=token, at=LATER)
        assert again == came_to(Outcome.CREATED, 1, LATER, consent="accepted", age=7)
        found = await stored(stage, token)
        assert (found.created_at, found.seqs) == (LATER, {"consent": 0, "age": 0})

    async def test_an_unknown_token_erases_nothing(self, stage: Stage) -> None:
        survey = await stage.survey()
        await stage.survey(slug="other")
        await save(stage, survey, "age", 42)
        assert not await stage.responses.erase("story", b"x" * 32)
        assert not await stage.responses.erase("other", TOKEN)
        assert (await stored(stage)).answers == {"age": 42}

    async def test_without_the_project_nothing_is_erased(self, stage: Stage) -> None:
        survey = await stage.survey()
        await save(stage, survey, "age", 42)
        with pytest.raises(NotFound):
            await stage.responses.erase("unknown", TOKEN)
        await stage.put_away("story")
        with pytest.raises(NotFound):
            await stage.responses.erase("story", b"x" * 32)
        assert stage.witnessed == []

    async def test_what_was_given_to_a_deleted_project_is_erased(self, stage: Stage) -> None:
        survey = await stage.survey()
        await save(stage, survey, "age", 42)
        before = await stored(stage)
        await stage.put_away("story")
        with pytest.raises(Stale):
            await stage.responses.erase("story", TOKEN, expected=frozenset({9}))
        assert await stage.responses.erase("story", TOKEN, expected=frozenset({1}))
        assert stage.witnessed == [before.erasure]
        with pytest.raises(NotFound):
            await stage.responses.erase("story", TOKEN)

    async def test_every_project_that_had_the_name_is_looked_in(self, stage: Stage) -> None:
        gone = await stage.survey()
        await save(stage, gone, "age", 42)
        await save(stage, gone, "age", 7, who=b"q" * 32, token=b"u" * 32)
        gone_one = await stored(stage)
        await stage.put_away("story")
        await stage.project()
        assert await stage.responses.erase("story", b"u" * 32)
        assert not await stage.responses.erase("story", b"u" * 32)
        assert await stage.responses.erase("story", TOKEN)
        assert stage.witnessed[1:] == [gone_one.erasure]
        assert not await stage.responses.erase("story", TOKEN)

    async def test_a_response_is_erased_also_while_the_survey_is_closed(self, stage: Stage) -> None:
        survey = await stage.survey()
        await save(stage, survey, "age", 42)
        await stage.switch(is_open=False)
        assert await stage.responses.erase("story", TOKEN)

    async def test_what_is_erased_is_told_to_a_witness_as_it_was(self, stage: Stage) -> None:
        survey = await stage.survey()
        await save(stage, survey, "age", 42)
        await save(stage, survey, "age", 43)
        await stage.responses.erase("story", b"x" * 32)
        assert stage.witnessed == []
        before = await stored(stage)
        await stage.responses.erase("story", TOKEN)
        assert stage.witnessed == [before.erasure]
        assert before.erasure.revision == 2

    async def test_a_withdrawal_of_consent_is_told_to_a_witness_and_nothing_else_is(self, stage: Stage) -> None:
        survey = await stage.survey(gated())
        await save(stage, survey, "consent", "declined")
        await save_all(stage, survey, {"consent": "accepted", "age": 42}, seq=5)
        await save(stage, survey, "consent", "declined", seq=4)
        assert stage.witnessed == []
        before = await stored(stage)
        await save(stage, survey, "consent", "declined")
        assert stage.witnessed == [before.erasure]

    async def test_what_the_witness_cannot_keep_is_not_erased(self, stage: Stage) -> None:
        survey = await stage.survey(gated())
        await save_all(stage, survey, {"consent": "accepted", "age": 42})
        stage.witness_refuses.append(Unavailable())
        with pytest.raises(Unavailable):
            await stage.responses.erase("story", TOKEN)
        with pytest.raises(Unavailable):
            await save(stage, survey, "consent", "declined")
        assert (await stored(stage)).answers == {"consent": "accepted", "age": 42}

    async def test_only_the_revision_that_is_expected_is_erased(self, stage: Stage) -> None:
        survey = await stage.survey()
        await save(stage, survey, "age", 42)
        await save(stage, survey, "age", 43)
        with pytest.raises(Stale) as stale:
            await stage.responses.erase("story", TOKEN, expected=frozenset({1}))
        assert stale.value.current == 2
        assert (await stored(stage)).answers == {"age": 43}
        assert stage.witnessed == []
        assert not await stage.responses.erase("story", b"x" * 32, expected=frozenset({1}))
        assert await stage.responses.erase("story", TOKEN, expected=frozenset({1, 2}))

    async def test_the_team_erases_one_by_what_is_told_of_the_pseudonym(self, stage: Stage) -> None:
        survey, ada = await stage.survey(), await stage.user()
        told = entry("response.erase", Target(type="survey", id="story"), by=ada, at=NOW, project="story")
        mine, neighbour = b"p" * 16 + b"a" * 16, b"p" * 15 + b"q" + b"a" * 16
        for who, token in ((mine, TOKEN), (neighbour, b"n" * 32)):
            await save(stage, survey, "age", 42, who=who, token=token)
        before = await stored(stage)
        assert not await stage.responses.erase_named("story", b"x" * 16, entry=told)
        assert await stage.audit.page(AuditFilter(), before=None, limit=9) == []
        assert await stage.responses.erase_named("story", b"p" * 16, entry=told)
        assert stage.witnessed == [before.erasure]
        assert [each.record.entry for each in await stage.audit.page(AuditFilter(), before=None, limit=9)] == [told]
        assert await stage.responses.by_token("story", TOKEN) is None
        assert (await stored(stage, b"n" * 32)).answers == {"age": 42}
        assert not await stage.responses.erase_named("story", b"p" * 16, entry=told)
        with pytest.raises(NotFound):
            await stage.responses.erase_named("unknown", b"p" * 16, entry=told)

    async def test_what_the_witness_cannot_keep_the_team_does_not_erase(self, stage: Stage) -> None:
        survey, ada = await stage.survey(), await stage.user()
        await save(stage, survey, "age", 42)
        stage.witness_refuses.append(Unavailable())
        told = entry("response.erase", Target(type="survey", id="story"), by=ada, at=NOW, project="story")
        with pytest.raises(Unavailable):
            await stage.responses.erase_named("story", MINE[:16], entry=told)
        assert (await stored(stage)).answers == {"age": 42}
        assert await stage.audit.page(AuditFilter(), before=None, limit=9) == []

    async def test_tests_are_erased_some_at_a_time_and_nothing_else_is(self, stage: Stage) -> None:
        survey, ada = await stage.survey(), await stage.user()
        other = await stage.survey(slug="other")

        def told(number: int) -> Entry:
            changes = (Difference(field="responses", before=number, after=0),)
            return entry("response.erase", Target(type="survey", id="story"), by=ada, at=NOW, project="story", changes=changes)

        for number in range(7):
            who = bytes([number]) * 32
            await save(stage, survey, "age", number, who=who, token=who, is_test=number != 3)
        await save(stage, other, "age", 1, who=b"x" * 32, token=b"x" * 32, is_test=True)
        assert [await stage.responses.erase_tests("story", limit=4, entry=told) for _ in range(3)] == [4, 2, 0]
        entries = [each.record.entry for each in await stage.audit.page(AuditFilter(), before=None, limit=9)]
        assert entries == [told(2), told(4)]
        assert len(stage.witnessed) == 6
        assert (await stored(stage, bytes([3]) * 32)).answers == {"age": 3}
        assert await stage.responses.by_token("other", b"x" * 32) is not None
        with pytest.raises(NotFound):
            await stage.responses.erase_tests("unknown", limit=4, entry=told)

    async def test_of_many_erasures_at_once_one_erases(self, stage: Stage) -> None:
        survey = await stage.survey()
        for _ in range(5):
            await save(stage, survey, "age", 42)
            erased = await asyncio.gather(*(stage.responses.erase("story", TOKEN) for _ in range(8)))
            assert erased.count(True) == 1
            assert await stage.responses.by_token("story", TOKEN) is None


class TestFakeResponses(InMemory, ResponsesContract):
    pass


class TestPostgresResponses(InPostgres, ResponsesContract):
    pass


# --- PostgreSQL keeps the domain's own rules ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One save: values or withdrawals of some fields, perhaps with a number, under one of several versions; or an erasure."""

    answers: dict[str, Any]
    seq: int | None
    newer: bool
    token: str


TOKENS = st.sampled_from(["own", "own", "none", "none", "another's"])
ANSWERS: dict[str, st.SearchStrategy[Any]] = {
    "consent": st.sampled_from(["accepted", "accepted", "declined", 1, 0, None]),
    "age": st.sampled_from([None, 0, 1, "1", 130]),
    "note": st.sampled_from([None, "", "a", "b'\"\\"]),
    "platforms": st.sampled_from([None, [], "Twitter", ["Other", "Twitter"], "Twitter,Other"]),
    "share": st.sampled_from([None, 0.5, "0.5", 1, 1.0, -3]),
}
ONE = st.sampled_from(sorted(ANSWERS)).flatmap(lambda field: st.fixed_dictionaries({field: ANSWERS[field]}))
SOME = st.fixed_dictionaries({}, optional=ANSWERS).filter(bool)
STEPS = st.builds(Step, answers=ONE | SOME | st.just({}), seq=st.none() | st.integers(0, 4), newer=st.booleans(), token=TOKENS)
QUESTIONS = (CONSENT, AGE, NOTE, PLATFORMS, SHARE)


def hash_of(step: Step, who: bytes) -> bytes:
    """Of the token that is shown or, where none is, of the one that is made for who comes first."""
    return b"another's token".ljust(32) + who[:8] if step.token == "another's" else who


def by_the_domain(
    response: Response | None, step: Step, survey: Survey, who: bytes, at: datetime
) -> tuple[Response | None, Saved | str | bool]:
    if not step.answers:
        is_owner = response is not None and response.token_hash == bound(hash_of(step, who), survey.project_id)
        return (None, True) if is_owner else (response, False)
    change = survey.accept(step.answers)
    try:
        if response is None:
            owner: dict[str, Any] = {"pseudonym": who, "token_hash": bound(hash_of(step, who), survey.project_id)}
            made = new_response(change, project_id=survey.project_id, **owner, seq=step.seq, at=at, is_owned=step.token != "none")
        else:
            token = None if step.token == "none" else bound(hash_of(step, who), survey.project_id)
            made = response.save(change, token=token, seq=step.seq, at=at)
    except DomainError as error:
        return response, error.code
    after = made.response
    answers = {field: after.answers.get(field) for field in step.answers}
    seqs = after.seqs if made.outcome is Outcome.STALE else None
    return after, came_to(made.outcome, after.revision, after.saved_at, stale=made.stale, seqs=seqs, **answers)


async def by_the_store(stage: Stage, step: Step, survey: Survey, who: bytes, at: datetime) -> Saved | str | bool:
    if not step.answers:
        return await stage.responses.erase(survey.project, hash_of(step, who))
    shown: dict[str, Any] = {"token": hash_of(step, who), "is_shown": step.token != "none"}
    try:
        return await save_all(stage, survey, step.answers, seq=step.seq, who=who, at=at, **shown)
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
        found = [await stage.responses.by_token(slug, hash_of(replace(step, token=token), who)) for token in ("own", "another's")]
        assert [each for each in found if each] == ([response] if response else [])
