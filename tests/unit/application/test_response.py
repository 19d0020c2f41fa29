"""Saving answers one by one and together, seeing and erasing one's own; and what researchers see of them."""

import hashlib
import io
import json
import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pyarrow.parquet as pq
import pytest

from application.response import Listing, OwnerView, SavedAnswers
from domain.access import NotAllowed
from domain.errors import Invalid, NotFound, Stale
from domain.export import Format
from domain.response import ConsentRequired, Outcome, TokenRequired, is_token
from domain.survey import Definition, InvalidAnswer, Survey, SurveyClosed, warnings_of
from domain.user import User
from tests.examples import AGE, CONSENT, GATE, MANY, NOTE, PLATFORMS, definition, gated
from tests.unit.application.conftest import World

ME = "fingerprint-of-mine"
OWN = "o" * 43
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
async def story(world: World, admin: User) -> None:
    await world.create_project(slug="story", title="A story", by=admin)


async def publish(world: World, admin: User, of: Definition, *, breaking: Iterable[str] = ()) -> Survey:
    published = await world.publish(project="story", definition=of, accept_breaking=frozenset(breaking), by=admin)
    return published.survey


def token_of(who: str) -> str:
    """The token that this reader brings, unless a test says otherwise."""
    return hashlib.sha256(who.encode()).hexdigest()[:43]


def own(saved: SavedAnswers) -> OwnerView:
    assert saved.own is not None
    return saved.own


async def upsert(world: World, field: str, value: object, *, who: str = ME, **rest: Any) -> SavedAnswers:
    return await world.upsert(project="story", fingerprint=who, field=field, value=value, **{"token": token_of(who)} | rest)


async def save(world: World, answers: dict[str, object], *, who: str = ME, **rest: Any) -> SavedAnswers:
    return await world.save(project="story", fingerprint=who, answers=answers, **{"token": token_of(who)} | rest)


async def switch(world: World, admin: User, *, is_open: bool) -> None:
    await world.switch(project="story", is_open=is_open, by=admin)


async def test_the_first_save_creates_and_shows_the_token_once(world: World, admin: User) -> None:
    await publish(world, admin, gated())
    first = await upsert(world, "consent", 1)
    assert (first.outcome, first.answers, first.codes) == (Outcome.CREATED, {"consent": "accepted"}, {"consent": 1})
    assert (own(first).stale, own(first).revision, first.survey_version, own(first).saved_at) == ([], 1, 1, world.clock.now())
    assert first.token is not None
    assert is_token(first.token)
    second = await upsert(world, "age", "42")
    assert (second.outcome, second.answers, second.codes, second.token) == (Outcome.UPDATED, {"age": 42}, {}, None)
    assert (own(second).revision, second.survey_version, own(second).saved_at) == (2, 1, world.clock.now())


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
    assert (own(stale).stale, own(stale).revision, stale.token) == (["consent"], 1, None)


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
    with pytest.raises(TokenRequired):
        await upsert(world, "age", 7, who="somebody-else", token=OWN)


@pytest.mark.parametrize("token", ["", "x", "o" * 42, "o" * 44, "=" * 43])
async def test_what_is_no_token_is_refused(world: World, admin: User, token: str) -> None:
    await publish(world, admin, definition())
    with pytest.raises(TokenRequired):
        await upsert(world, "age", 42, token=token)


async def test_under_token_identity_every_save_needs_the_own_token(world: World, admin: User) -> None:
    await publish(world, admin, definition(identity="token"))
    with pytest.raises(TokenRequired):
        await upsert(world, "age", 42, token=None)
    await upsert(world, "age", 42, token=OWN)
    for token in (None, "x" * 43):
        with pytest.raises(TokenRequired):
            await upsert(world, "age", 7, token=token)
    assert own(await upsert(world, "note", "mine", token=OWN)).revision == 2


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
    assert own(await upsert(world, "age", 43)).revision == 2


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


# --- several answers at once -------------------------------------------------------------------------------------------------


async def test_several_answers_are_saved_together_in_their_stored_form(world: World, admin: User) -> None:
    await publish(world, admin, gated(AGE, NOTE, PLATFORMS))
    first = await save(world, {"age": "42", "consent": 1, "platforms": "Other, Twitter", "note": None}, seq=3)
    assert first.outcome is Outcome.CREATED
    assert first.answers == {"age": 42, "consent": "accepted", "platforms": ["Twitter", "Other"], "note": None}
    assert (first.codes, own(first).stale, own(first).revision) == ({"consent": 1}, [], 1)
    assert first.token is not None
    found = await world.get_response(project="story", token=first.token)
    assert found.answers == {"age": 42, "consent": "accepted", "platforms": ["Twitter", "Other"]}


async def test_where_one_answer_is_refused_none_is_saved(world: World, admin: User) -> None:
    await publish(world, admin, gated())
    first = await save(world, {"consent": "accepted", "age": 42})
    refused: list[tuple[dict[str, object], type[Exception]]] = [
        ({"age": 43, "trust": 8}, InvalidAnswer),
        ({"age": 43, "height": 1}, InvalidAnswer),
        ({"age": 43, "consent": "declined"}, ConsentRequired),
    ]
    for answers, error in refused:
        with pytest.raises(error):
            await save(world, answers)
    found = await world.get_response(project="story", token=first.token)
    assert (found.answers, found.revision) == ({"consent": "accepted", "age": 42}, 1)


async def test_fields_that_have_a_newer_save_stay_and_are_listed_in_order(world: World, admin: User) -> None:
    await publish(world, admin, definition())
    await save(world, {"trust": 1, "age": 1}, seq=5)
    second = await save(world, {"trust": 2, "note": "x", "age": 2}, seq=5)
    assert (second.outcome, own(second).stale) == (Outcome.UPDATED, ["age", "trust"])
    assert (second.answers, second.token) == ({"trust": 1, "note": "x", "age": 1}, None)
    assert (await save(world, {"trust": 2, "age": 2}, seq=5)).outcome is Outcome.STALE


async def test_what_only_the_newer_version_takes_is_taken_together_too(world: World, admin: User) -> None:
    await publish(world, admin, definition(AGE))
    await save(world, {"age": 42})
    await publish(world, admin, definition(AGE | {"max": 150}, NOTE))
    saved = await save(world, {"age": 150, "note": "x"})
    assert (saved.survey_version, own(saved).revision) == (2, 2)


async def test_answers_keep_the_version_that_they_were_given_under(world: World, admin: User) -> None:
    await publish(world, admin, definition(AGE))
    first = await save(world, {"age": 42})
    await publish(world, admin, definition(AGE, NOTE))
    await save(world, {"age": 42, "note": "x"})
    assert (await world.get_response(project="story", token=first.token)).versions == {"age": 1, "note": 2}


# --- erasure -----------------------------------------------------------------------------------------------------------------


async def test_a_reader_erases_what_is_their_own_and_may_start_anew(world: World, admin: User) -> None:
    await publish(world, admin, definition())
    mine = await save(world, {"age": 42}, seq=9)
    other = await save(world, {"age": 7}, who="somebody-else")
    await world.erase(project="story", token=mine.token)
    with pytest.raises(TokenRequired):
        await world.get_response(project="story", token=mine.token)
    with pytest.raises(TokenRequired):
        await world.erase(project="story", token=mine.token)
    assert (await world.get_response(project="story", token=other.token)).answers == {"age": 7}
    again = await save(world, {"age": 43}, seq=0)
    assert (again.outcome, own(again).revision) == (Outcome.CREATED, 1)


async def test_a_token_survey_knows_a_reader_by_the_token_alone(world: World, admin: User) -> None:
    await publish(world, admin, definition(identity="token"))
    first = await world.save(project="story", fingerprint=None, answers={"age": 42}, token=OWN)
    second = await world.upsert(project="story", fingerprint=None, field="note", value="x", token=OWN)
    assert (first.outcome, first.token, second.outcome) == (Outcome.CREATED, OWN, Outcome.UPDATED)
    assert (await world.get_response(project="story", token=OWN)).answers == {"age": 42, "note": "x"}


async def test_a_fingerprint_survey_needs_a_fingerprint(world: World, admin: User) -> None:
    await publish(world, admin, definition())
    with pytest.raises(Invalid) as refused:
        await world.save(project="story", fingerprint=None, answers={"age": 42}, token=OWN)
    assert [fault.pointer for fault in refused.value.faults] == ["/fingerprint"]


async def test_who_shows_no_token_is_answered_with_what_was_sent_and_told_nothing_of_what_is_stored(world: World, admin: User) -> None:
    await publish(world, admin, definition())
    first = await save(world, {"age": 42, "note": "mine"}, seq=5, token=None)
    assert is_token(first.token or "")
    late: list[dict[str, object]] = [{"age": 7, "note": "x"}, {"age": 8}]
    for answers in late:
        stale = await save(world, answers, seq=0, token=None)
        assert (stale.outcome, stale.answers, stale.own, stale.token) == (Outcome.UPDATED, answers, None, None)
    assert (await world.get_response(project="story", token=first.token)).answers == {"age": 42, "note": "mine"}


async def test_without_the_token_nothing_but_consent_is_taken_back(world: World, admin: User) -> None:
    await publish(world, admin, gated())
    await save(world, {"consent": "accepted", "age": 42}, token=None)
    refused: list[dict[str, object]] = [{"age": None}, {"consent": "declined", "age": None}, {"nobody": None}]
    for answers in refused:
        with pytest.raises(TokenRequired):
            await save(world, answers, token=None)
    assert (await save(world, {"consent": None}, token=None)).outcome is Outcome.UPDATED


async def test_what_may_not_lack_comes_before_whether_the_survey_is_open(world: World, admin: User) -> None:
    await publish(world, admin, definition(identity="token"))
    await switch(world, admin, is_open=False)
    for token in (None, "x"):
        with pytest.raises(TokenRequired):
            await save(world, {"nobody": 1}, token=token)
    with pytest.raises(SurveyClosed):
        await save(world, {"nobody": 1}, token=OWN)


async def test_a_later_version_keeps_the_identity_that_it_does_not_name(world: World, admin: User) -> None:
    for named, kept in [("fingerprint", "fingerprint"), (None, "fingerprint"), ("token", "token"), (None, "token")]:
        title = f"As {named}"
        of = definition(title=title, identity=named)
        published = await world.publish(project="story", definition=of, keep_identity=named is None, by=admin)
        assert published.survey.definition.identity.value == kept
        assert [each.code for each in warnings_of(published.survey.definition)] == (
            ["fingerprint-identity"] if kept == "fingerprint" else []
        )


async def test_a_reader_erases_no_other_revision_than_the_one_they_saw(world: World, admin: User) -> None:
    await publish(world, admin, definition())
    mine = await save(world, {"age": 42})
    await save(world, {"age": 43}, token=mine.token)
    with pytest.raises(Stale):
        await world.erase(project="story", token=mine.token, expected=frozenset({1}))
    assert (await world.get_response(project="story", token=mine.token)).answers == {"age": 43}
    await world.erase(project="story", token=mine.token, expected=frozenset({2}))


async def test_nothing_is_erased_without_the_token(world: World, admin: User) -> None:
    await publish(world, admin, definition())
    mine = await save(world, {"age": 42})
    for token in (None, "", ME, OWN, "x"):
        with pytest.raises(TokenRequired):
            await world.erase(project="story", token=token)
    with pytest.raises(NotFound):
        await world.erase(project="unknown", token=mine.token)
    assert (await world.get_response(project="story", token=mine.token)).answers == {"age": 42}


# --- for researchers ---------------------------------------------------------------------------------------------------------


async def rows(world: World, by: User, **asked: Any) -> list[dict[str, Any]]:
    listing = await world.list_responses(project="story", by=by, **{"after": 0, "limit": 100} | asked)
    found: list[dict[str, Any]] = json.loads(listing.json)
    return found


async def test_a_response_is_listed_as_a_row_of_the_table(world: World, admin: User) -> None:
    await publish(world, admin, definition(AGE, NOTE, PLATFORMS))
    await save(world, {"age": 42, "platforms": []})
    await publish(world, admin, definition(AGE, PLATFORMS))
    (row,) = await rows(world, admin)
    assert re.fullmatch("[0-9a-f]{32}", row.pop("respondent"))
    assert row == {
        "created_at": "2026-11-24T12:00:00.123456Z",
        "updated_at": None,
        "revision": 1,
        "age": 42,
        "note": None,
        "platforms": [],
    }


async def test_responses_are_listed_page_by_page_by_their_age(world: World, admin: User) -> None:
    await publish(world, admin, definition(AGE))
    for number in range(7):
        await save(world, {"age": number}, who=f"fingerprint-{number}")
    await save(world, {"age": 99}, who="fingerprint-0")
    found, after, pages = [], 0, 0
    while True:
        listing = await world.list_responses(project="story", after=after, limit=3, by=admin)
        found += [row["age"] for row in json.loads(listing.json)]
        pages += 1
        if listing.next is None:
            break
        after = listing.next
    assert (found, pages) == ([99, 1, 2, 3, 4, 5, 6], 3)


async def test_a_last_page_that_is_full_has_no_next(world: World, admin: User) -> None:
    await publish(world, admin, definition(AGE))
    assert await world.list_responses(project="story", after=0, limit=1, by=admin) == Listing(json=b"[]", next=None)
    await save(world, {"age": 1})
    assert (await world.list_responses(project="story", after=0, limit=1, by=admin)).next is None


async def test_responses_are_filtered_by_answer_version_and_time(world: World, admin: User) -> None:
    await publish(world, admin, gated(AGE, PLATFORMS))
    await save(world, {"consent": 1, "age": 1, "platforms": ["Twitter"]}, who="fingerprint-1")
    await publish(world, admin, gated(AGE, PLATFORMS, NOTE))
    world.clock.advance(HOUR)
    await save(world, {"consent": 1, "age": 2, "platforms": ["Twitter", "Other"], "note": "x"}, who="fingerprint-2")
    assert [row["age"] for row in await rows(world, admin, field="platforms", value="Other")] == [2]
    assert [row["age"] for row in await rows(world, admin, field="consent", value="1")] == [1, 2]
    assert [row["age"] for row in await rows(world, admin, field="age", value="1")] == [1]
    assert [row["age"] for row in await rows(world, admin, version=1)] == [1]
    assert [row["note"] for row in await rows(world, admin, version=2)] == ["x"]
    assert [row["age"] for row in await rows(world, admin, since=world.clock.now())] == [2]
    assert [row["age"] for row in await rows(world, admin, until=world.clock.now())] == [1]
    with pytest.raises(Invalid):
        await rows(world, admin, field="age", value="x")


async def test_only_admins_see_responses(world: World, admin: User, member: User, other: User) -> None:
    for by, error in ((member, NotAllowed), (other, NotAllowed), (admin, NotFound)):
        with pytest.raises(error):
            await world.list_responses(project="unknown", after=0, limit=10, by=by)
        with pytest.raises(error):
            await exported(world, by, Format.JSON, project="unknown")
        with pytest.raises(error):
            await rows(world, by)


async def exported(world: World, by: User, kind: Format, *, project: str = "story", **asked: Any) -> bytes:
    return b"".join([part async for part in world.export_responses(project=project, kind=kind, by=by, **asked)])


async def test_an_export_has_every_response_in_each_format(world: World, admin: User) -> None:
    await publish(world, admin, gated(AGE, NOTE))
    for number in range(5):
        await save(world, {"consent": "accepted", "age": number, "note": "=1" if number else ""}, who=f"fingerprint-{number}")
    listed = await rows(world, admin)
    assert json.loads(await exported(world, admin, Format.JSON)) == listed
    assert [json.loads(line) for line in (await exported(world, admin, Format.NDJSON)).splitlines()] == listed
    found = pq.ParquetFile(io.BytesIO(await exported(world, admin, Format.PARQUET))).read()
    assert found.column("age").to_pylist() == [0, 1, 2, 3, 4]
    assert found.column("consent_code").to_pylist() == [1] * 5
    assert json.loads(found.schema.metadata[b"codebook"]) == await world.get_codebook(project="story")


async def test_an_export_is_guarded_unless_it_is_asked_for_raw(world: World, admin: User) -> None:
    await publish(world, admin, definition(NOTE))
    await save(world, {"note": "=1"})
    assert b"'=1" in await exported(world, admin, Format.CSV)
    raw = await exported(world, admin, Format.CSV, guarded=False)
    assert b"=1" in raw
    assert b"'=1" not in raw


async def test_an_export_of_one_version_has_its_fields_and_the_answers_given_under_it(world: World, admin: User) -> None:
    await publish(world, admin, definition(AGE, NOTE))
    await save(world, {"age": 1, "note": "x"}, who="fingerprint-1")
    await save(world, {"age": 2}, who="fingerprint-2")
    await publish(world, admin, definition(AGE), breaking=["note"])
    await save(world, {"age": 3}, who="fingerprint-1")
    found = json.loads(await exported(world, admin, Format.JSON, version=1))
    assert [(row["age"], row["note"]) for row in found] == [(None, "x"), (2, None)]
    found = json.loads(await exported(world, admin, Format.JSON, version=2))
    assert [(row["age"], "note" in row) for row in found] == [(3, False)]
    with pytest.raises(Invalid):
        await exported(world, admin, Format.JSON, version=3)


async def test_an_export_takes_answers_of_several_coded_choices(world: World, admin: User) -> None:
    await publish(world, admin, definition(MANY))
    await save(world, {"m": ["a", "d"]})
    found = pq.ParquetFile(io.BytesIO(await exported(world, admin, Format.PARQUET))).read()
    assert found.column("m").to_pylist() == [["a", "d"]]


async def test_an_export_without_responses_is_whole(world: World, admin: User) -> None:
    await publish(world, admin, definition(AGE))
    assert json.loads(await exported(world, admin, Format.JSON)) == []
    assert pq.ParquetFile(io.BytesIO(await exported(world, admin, Format.PARQUET))).metadata.num_rows == 0


async def test_a_codebook_is_public_and_of_all_versions(world: World, admin: User) -> None:
    await publish(world, admin, definition(AGE, NOTE))
    await publish(world, admin, definition(AGE | {"max": 150}))
    schema = await world.get_codebook(project="story")
    assert [(field["name"], field.get("versions")) for field in schema["fields"][4:]] == [("age", [1, 2]), ("note", [1])]
