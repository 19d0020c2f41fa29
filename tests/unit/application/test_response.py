"""Saving one answer after another, and seeing one's own."""

from typing import Any

import pytest

from application.response import SavedAnswers
from domain.errors import NotFound
from domain.response import ConsentRequired, Outcome, TokenRequired, TokenTaken, is_token
from domain.survey import Definition, InvalidAnswer, Survey, SurveyClosed
from domain.user import User
from tests.examples import AGE, CONSENT, GATE, NOTE, definition, gated
from tests.unit.application.conftest import World

ME = "fingerprint-of-mine"
OWN = "o" * 43


@pytest.fixture(autouse=True)
async def story(world: World, admin: User) -> None:
    await world.create_project(slug="story", title="A story", by=admin)


async def publish(world: World, admin: User, of: Definition) -> Survey:
    return (await world.publish(project="story", definition=of, expected=None, by=admin)).survey


async def upsert(world: World, field: str, value: object, *, who: str = ME, **rest: Any) -> SavedAnswers:
    return await world.upsert(project="story", fingerprint=who, field=field, value=value, **rest)


async def save(world: World, answers: dict[str, object], *, who: str = ME, **rest: Any) -> SavedAnswers:
    return await world.save(project="story", fingerprint=who, answers=answers, **rest)


async def switch(world: World, admin: User, *, is_open: bool) -> None:
    await world.switch(project="story", is_open=is_open, by=admin)


async def test_the_first_save_creates_and_shows_the_token_once(world: World, admin: User) -> None:
    await publish(world, admin, gated())
    first = await upsert(world, "consent", 1)
    assert (first.outcome, first.answers, first.codes) == (Outcome.CREATED, {"consent": "accepted"}, {"consent": 1})
    assert (first.stale, first.revision, first.survey_version, first.saved_at) == ([], 1, 1, world.clock.now())
    assert first.token is not None
    assert is_token(first.token)
    second = await upsert(world, "age", "42")
    assert (second.outcome, second.answers, second.codes, second.token) == (Outcome.UPDATED, {"age": 42}, {}, None)
    assert (second.revision, second.survey_version, second.saved_at) == (2, 1, world.clock.now())


async def test_the_token_shows_the_answers_and_no_other_does(world: World, admin: User) -> None:
    await publish(world, admin, definition())
    first = await upsert(world, "age", 42)
    await upsert(world, "note", "mine")
    found = await world.get_response(project="story", token=first.token)
    assert found.answers == {"age": 42, "note": "mine"}
    for token in (None, "", ME, OWN, "x"):
        with pytest.raises(TokenRequired):
            await world.get_response(project="story", token=token)
    with pytest.raises(NotFound):
        await world.get_response(project="unknown", token=first.token)


async def test_an_old_number_is_stale_and_answers_what_is_stored(world: World, admin: User) -> None:
    await publish(world, admin, gated())
    await upsert(world, "consent", "accepted", seq=2)
    stale = await upsert(world, "consent", "declined", seq=1)
    assert (stale.outcome, stale.answers, stale.codes) == (Outcome.STALE, {"consent": "accepted"}, {"consent": 1})
    assert (stale.stale, stale.revision, stale.token) == (["consent"], 1, None)


async def test_a_withdrawn_answer_has_no_value_and_no_code(world: World, admin: User) -> None:
    await publish(world, admin, definition(CONSENT))
    await upsert(world, "consent", "accepted")
    withdrawn = await upsert(world, "consent", None)
    assert (withdrawn.outcome, withdrawn.answers, withdrawn.codes) == (Outcome.UPDATED, {"consent": None}, {"consent": None})


async def test_what_the_survey_refuses_stores_nothing(world: World, admin: User) -> None:
    await publish(world, admin, definition())
    first = await upsert(world, "age", 42)
    for field, value in [("age", 131), ("age", 4.0), ("height", 1), ("<b>", 1)]:
        with pytest.raises(InvalidAnswer):
            await upsert(world, field, value)
    assert (await world.get_response(project="story", token=first.token)).answers == {"age": 42}


async def test_consent_comes_first_and_its_withdrawal_erases(world: World, admin: User) -> None:
    await publish(world, admin, gated())
    with pytest.raises(ConsentRequired):
        await upsert(world, "age", 42)
    first = await upsert(world, "consent", "accepted")
    await upsert(world, "age", 42)
    await upsert(world, "consent", "declined")
    assert (await world.get_response(project="story", token=first.token)).answers == {"consent": "declined"}
    with pytest.raises(ConsentRequired):
        await upsert(world, "age", 42)


async def test_invalid_comes_before_consent_and_closed_before_invalid(world: World, admin: User) -> None:
    await publish(world, admin, gated())
    with pytest.raises(InvalidAnswer):
        await upsert(world, "age", 131)
    await switch(world, admin, is_open=False)
    with pytest.raises(SurveyClosed):
        await upsert(world, "age", 131)


async def test_an_own_token_is_the_respondents_from_the_first_save_on(world: World, admin: User) -> None:
    await publish(world, admin, definition())
    assert (await upsert(world, "age", 42, token=OWN)).token == OWN
    assert (await world.get_response(project="story", token=OWN)).answers == {"age": 42}
    with pytest.raises(TokenTaken):
        await upsert(world, "age", 7, who="somebody-else", token=OWN)


@pytest.mark.parametrize("token", ["", "x", "o" * 42, "o" * 44, "=" * 43])
async def test_what_is_no_token_is_refused(world: World, admin: User, token: str) -> None:
    await publish(world, admin, definition())
    with pytest.raises(TokenRequired):
        await upsert(world, "age", 42, token=token)


async def test_under_token_identity_every_save_needs_the_own_token(world: World, admin: User) -> None:
    await publish(world, admin, definition(identity="token"))
    with pytest.raises(TokenRequired):
        await upsert(world, "age", 42)
    await upsert(world, "age", 42, token=OWN)
    for token in (None, "x" * 43):
        with pytest.raises(TokenRequired):
            await upsert(world, "age", 7, token=token)
    assert (await upsert(world, "note", "mine", token=OWN)).revision == 2


async def test_without_a_project_or_a_survey_nothing_is_found(world: World) -> None:
    with pytest.raises(NotFound):
        await upsert(world, "age", 42)
    with pytest.raises(NotFound):
        await world.upsert(project="unknown", fingerprint=ME, field="age", value=42)


async def test_a_survey_that_moved_on_is_read_again(world: World, admin: User) -> None:
    await publish(world, admin, definition(AGE))
    await upsert(world, "age", 42)
    await publish(world, admin, definition(AGE | {"max": 150}, NOTE))
    assert world.surveys.remembered("story") is not None
    assert (await upsert(world, "age", 43)).survey_version == 2


@pytest.mark.parametrize(("field", "value"), [("note", "new question"), ("age", 150)])
async def test_what_only_the_newer_version_takes_is_taken(world: World, admin: User, field: str, value: object) -> None:
    await publish(world, admin, definition(AGE))
    await upsert(world, "age", 42)
    await publish(world, admin, definition(AGE | {"max": 150}, NOTE))
    assert (await upsert(world, field, value)).survey_version == 2


async def test_a_survey_that_was_closed_meanwhile_says_so(world: World, admin: User) -> None:
    await publish(world, admin, definition())
    await upsert(world, "age", 42)
    await switch(world, admin, is_open=False)
    for value in (43, 131):
        with pytest.raises(SurveyClosed):
            await upsert(world, "age", value)
    await switch(world, admin, is_open=True)
    assert (await upsert(world, "age", 43)).revision == 2


async def test_a_project_that_was_put_away_is_not_found_and_its_successor_begins_anew(world: World, admin: User) -> None:
    await publish(world, admin, definition())
    await upsert(world, "age", 42)
    await world.delete_project(project="story", expected=None, by=admin)
    with pytest.raises(NotFound):
        await upsert(world, "age", 43)
    await world.create_project(slug="story", title="Again", by=admin)
    await publish(world, admin, definition(CONSENT, AGE, consent=GATE))
    with pytest.raises(ConsentRequired):
        await upsert(world, "age", 43)
    assert (await upsert(world, "consent", "accepted")).outcome is Outcome.CREATED
