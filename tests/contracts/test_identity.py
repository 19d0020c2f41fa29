"""Owners and others who know their fingerprints, in a survey that goes by `fingerprint`: what each can do, in memory and in PostgreSQL.

`docs/identity.md` has what an owner risks who does not show the token; each of its rows is a test here.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.postgres.database import Pool
from adapters.security.respondents import HmacRespondents
from application.response import EraseResponse, EraseWithheld, GetResponse, SaveAnswers, SavedAnswers
from domain.response import WITHHELD_FOR, ConsentRequired, Outcome, TokenRequired
from domain.survey import ResponseFilter
from tests.contracts.stage import InMemory, InPostgres, Stage, stage_in_memory, stage_in_postgres
from tests.examples import gated
from tests.fakes.system import FakeClock

OWNER, TOKEN, GUESS = "fingerprint-of-the-owner", "o" * 43, "g" * 43
LARGE = 2**63 - 1
EVERYTHING = ResponseFilter()


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One survey behind a consent gate, and what can be sent to it under the owner's fingerprint."""

    stage: Stage
    slug: str
    clock: FakeClock
    respondents: HmacRespondents

    async def save(self, answers: dict[str, Any], *, token: str | None = None, seq: int | None = None) -> SavedAnswers:
        use = SaveAnswers(surveys=self.stage.surveys, responses=self.stage.responses, respondents=self.respondents, clock=self.clock)
        return await use(project=self.slug, fingerprint=OWNER, answers=answers, token=token, seq=seq)

    async def stored(self, token: str | None) -> dict[str, Any]:
        use = GetResponse(responses=self.stage.responses, respondents=self.respondents)
        return (await use(project=self.slug, token=token)).answers

    async def erase(self, token: str | None) -> None:
        await EraseResponse(responses=self.stage.responses, respondents=self.respondents)(project=self.slug, token=token)

    async def listed(self) -> list[dict[str, Any]]:
        use = self.stage.response_reader
        async with use.snapshot(self.slug) as snapshot:
            return [dict(row.answers) async for batch in snapshot.batches(EVERYTHING) for row in batch]


async def scene_on(stage: Stage) -> Scene:
    slug = f"s-{uuid4().hex}"
    await stage.survey(gated(), slug=slug)
    return Scene(stage=stage, slug=slug, clock=FakeClock(), respondents=HmacRespondents(b"p" * 32))


class IdentityContract:
    @pytest.fixture
    async def scene(self, stage: Stage) -> Scene:
        return await scene_on(stage)

    async def test_somebody_learns_that_a_fingerprint_is_there_and_has_consented(self, scene: Scene) -> None:
        with pytest.raises(ConsentRequired):
            await scene.save({"age": 1})
        await scene.save({"consent": "accepted"})
        assert (await scene.save({"consent": "accepted"})).outcome is Outcome.UPDATED
        assert (await scene.save({"age": 1})).outcome is Outcome.UPDATED

    async def test_who_comes_first_has_the_fingerprint(self, scene: Scene) -> None:
        made = await scene.save({"consent": "accepted"})
        with pytest.raises(TokenRequired):
            await scene.save({"consent": "accepted", "age": 42}, token=TOKEN)
        await scene.erase(made.token)
        await scene.save({"consent": "accepted", "age": 42}, token=TOKEN)

    async def test_somebody_changes_answers_until_the_token_is_shown(self, scene: Scene) -> None:
        made = await scene.save({"consent": "accepted", "age": 42})
        await scene.save({"age": 7})
        assert (await scene.stored(made.token))["age"] == 7
        await scene.save({"age": 42}, token=made.token)
        with pytest.raises(TokenRequired):
            await scene.save({"age": 7})
        assert (await scene.stored(made.token))["age"] == 42

    async def test_a_large_number_outruns_an_owner_only_until_the_token_is_shown(self, scene: Scene) -> None:
        made = await scene.save({"consent": "accepted", "age": 42}, seq=1)
        await scene.save({"age": 7}, seq=LARGE)
        assert (await scene.save({"age": 43}, seq=2)).outcome is Outcome.UPDATED  # and yet stale, which only the owner is told
        assert (await scene.stored(made.token))["age"] == 7
        await scene.save({"age": 43}, seq=2, token=made.token)
        assert (await scene.stored(made.token))["age"] == 43

    async def test_answers_are_withheld_until_consent_comes_back_or_for_30_days(self, scene: Scene) -> None:
        made = await scene.save({"consent": "accepted", "age": 42})
        await scene.save({"consent": "declined"})
        assert await scene.listed() == [{"consent": "declined"}]
        await scene.save({"consent": "accepted"})
        assert await scene.listed() == [{"consent": "accepted", "age": 42}]
        await scene.save({"consent": "declined"})
        erase = EraseWithheld(responses=scene.stage.responses, clock=scene.clock)
        scene.clock.advance(WITHHELD_FOR)
        assert not await erase()
        scene.clock.advance(timedelta(seconds=1))
        assert await erase()
        await scene.save({"consent": "accepted"})
        assert await scene.stored(made.token) == {"consent": "accepted"}


class TestIdentityInMemory(InMemory, IdentityContract):
    pass


class TestIdentityInPostgres(InPostgres, IdentityContract):
    pass


# --- whoever brings the token with the first save risks nothing that was acknowledged -----------------------------------------

ANSWERS = st.fixed_dictionaries(
    {},
    optional={
        "consent": st.sampled_from(["accepted", "accepted", "declined", None]),
        "age": st.sampled_from([None, 1, 2]),
        "note": st.sampled_from([None, "a", "b"]),
    },
).filter(bool)
SEQS = st.none() | st.sampled_from([0, 1, 2, 3, LARGE])
STEPS = st.tuples(st.sampled_from(["owner", "nobody", "guess", "erase"]), ANSWERS, SEQS)


async def expect_what_was_acknowledged(scene: Scene, steps: list[tuple[str, dict[str, Any], int | None]]) -> None:
    await scene.save({"consent": "accepted", "age": 42}, token=TOKEN)
    acknowledged = await scene.stored(TOKEN)
    seqs: dict[str, int] = {}
    for who, answers, seq in steps:
        if who == "erase":
            for token in (None, GUESS, OWNER):
                with pytest.raises(TokenRequired):
                    await scene.erase(token)
        elif who != "owner":
            with pytest.raises(TokenRequired):
                await scene.save(answers, token=None if who == "nobody" else GUESS, seq=seq)
        else:
            fresh = {name: value for name, value in answers.items() if seq is None or seq > max(seqs.get(name, -1), seqs.get("*", -1))}
            with suppress(ConsentRequired):
                await scene.save(answers, token=TOKEN, seq=seq)
                seqs |= {} if seq is None else dict.fromkeys(fresh, seq)
                acknowledged = {name: value for name, value in (acknowledged | fresh).items() if value is not None}
                if acknowledged.get("consent") != "accepted":
                    acknowledged = {name: value for name, value in acknowledged.items() if name == "consent"}
                    if "consent" in fresh and seqs.keys() - {"consent", "*"}:
                        seqs = {"*": max(seqs.values())}
        assert await scene.stored(TOKEN) == acknowledged


@pytest.mark.parametrize("where", ["memory", "postgres"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors])
@given(steps=st.lists(STEPS, min_size=1, max_size=12))
async def test_what_was_acknowledged_to_an_owner_with_a_token_is_what_is_stored(
    pool: Pool, where: str, steps: list[tuple[str, dict[str, Any], int | None]]
) -> None:
    await expect_what_was_acknowledged(await scene_on(stage_in_memory() if where == "memory" else stage_in_postgres(pool)), steps)
