"""Publishing a survey: the first, the same, an addition, and what would break answers; its versions; opening and closing it."""

from datetime import timedelta
from typing import Any

import pytest

from application.survey import Publication
from domain.access import NotAllowed
from domain.errors import NotFound, Stale
from domain.survey import BreakingChange, Definition, Kind
from domain.user import User
from tests.examples import AGE, CONSENT, NOTE, choices, definition
from tests.unit.application.conftest import World


@pytest.fixture(autouse=True)
async def story(world: World, admin: User) -> None:
    await world.create_project(slug="story", title="A story", by=admin)


async def publish(world: World, of: Definition, by: User, **rest: Any) -> Publication:
    return await world.publish(project="story", definition=of, by=by, **rest)


async def answer(world: World, *given: dict[str, object]) -> None:
    """One reader for each of these sets of answers."""
    for number, answers in enumerate(given):
        await world.save(project="story", fingerprint=f"fingerprint-{number}", answers=answers)


def told(publication: Publication | BreakingChange) -> list[tuple[str, str, int]]:
    return [(change.field, change.change.value, change.touched) for change in publication.changes]


async def test_the_first_publication_is_new(world: World, admin: User) -> None:
    first = await publish(world, definition(AGE), admin)
    assert (first.is_new, first.survey.version, first.survey.is_open) == (True, 1, True)
    assert [change.change for change in first.changes] == [Kind.ADDED]
    assert await world.get_survey(project="story") == first.survey


async def test_the_same_again_is_not(world: World, admin: User) -> None:
    first = await publish(world, definition(AGE), admin)
    assert await publish(world, definition(AGE), admin) == Publication(
        survey=first.survey, is_new=False, before=first.survey.definition, changes=()
    )


async def test_an_addition_is_the_next_version(world: World, admin: User) -> None:
    await publish(world, definition(AGE), admin)
    second = await publish(world, definition(AGE, NOTE), admin, expected=frozenset({1}))
    assert (second.is_new, second.survey.version) == (True, 2)
    assert [(change.field, change.change) for change in second.changes] == [("note", Kind.ADDED)]
    assert await world.get_survey(project="story") == second.survey


async def test_what_nobody_answered_may_go_narrow_and_change_its_type(world: World, admin: User) -> None:
    await publish(world, definition(AGE, NOTE, CONSENT), admin)
    await answer(world, {"consent": "accepted"})
    second = await publish(world, definition(AGE | {"max": 9}, NOTE | {"type": "text"}, CONSENT), admin)
    assert told(second) == [("age", "narrowed", 0)]
    third = await publish(world, definition({"field": "age", "type": "text"}, CONSENT), admin)
    assert told(third) == [("age", "retyped", 0), ("note", "removed", 0)]


async def test_a_breaking_change_is_refused_and_stores_nothing(world: World, admin: User) -> None:
    first = await publish(world, definition(AGE, NOTE), admin)
    await answer(world, {"age": 42, "note": "x"}, {"age": 101}, {"age": 7, "note": ""})
    with pytest.raises(BreakingChange) as refused:
        await publish(world, definition(AGE | {"max": 100}), admin)
    assert told(refused.value) == [("age", "narrowed", 1), ("note", "removed", 2)]
    assert await world.get_survey(project="story") == first.survey
    assert len(await world.list_versions(project="story", before=None, limit=10, by=admin)) == 1


async def test_a_breaking_change_is_made_when_each_of_its_fields_is_named(world: World, admin: User) -> None:
    await publish(world, definition(AGE, NOTE), admin)
    await answer(world, {"age": 101, "note": "x"})
    newer = definition(AGE | {"max": 100})
    for named in ("age", "note"):
        with pytest.raises(BreakingChange):
            await publish(world, newer, admin, accept_breaking=frozenset({named}))
    second = await publish(world, newer, admin, accept_breaking=frozenset({"age", "note"}))
    assert (second.survey.version, told(second)) == (2, [("age", "narrowed", 1), ("note", "removed", 1)])


async def test_stored_answers_stay_pinned_to_the_version_that_they_were_given_under(world: World, admin: User) -> None:
    await publish(world, definition(AGE, NOTE), admin)
    saved = await world.save(project="story", fingerprint="fingerprint-1", answers={"age": 101, "note": "x"})
    await publish(world, definition(AGE | {"max": 100}), admin, accept_breaking=frozenset({"age", "note"}))
    found = await world.get_response(project="story", token=saved.token)
    assert (found.answers, found.versions) == ({"age": 101, "note": "x"}, {"age": 1, "note": 1})


async def test_an_answered_question_never_changes_its_type(world: World, admin: User) -> None:
    await publish(world, definition(AGE, NOTE), admin)
    await answer(world, {"age": 42})
    with pytest.raises(BreakingChange):
        await publish(world, definition({"field": "age", "type": "text"}, NOTE), admin, accept_breaking=frozenset({"age"}))
    await publish(world, definition(NOTE), admin, accept_breaking=frozenset({"age"}))
    with pytest.raises(BreakingChange) as refused:
        await publish(world, definition({"field": "age", "type": "text"}, NOTE), admin, accept_breaking=frozenset({"age"}))
    assert told(refused.value) == [("age", "added", 1), ("age", "retyped", 1)]
    again = await publish(world, definition(NOTE, AGE), admin)
    assert told(again) == [("age", "added", 1)]


async def test_a_code_that_was_answered_with_keeps_its_meaning(world: World, admin: User) -> None:
    await publish(world, definition(CONSENT), admin)
    await answer(world, {"consent": "accepted"}, {"consent": "accepted"}, {"consent": "declined"})
    swapped = CONSENT | {"choices": [{"value": "accepted", "code": 0}, {"value": "declined", "code": 1}]}
    with pytest.raises(BreakingChange) as refused:
        await publish(world, definition(swapped), admin)
    assert told(refused.value) == [("consent", "widened", 3), ("consent", "narrowed", 3)]


async def test_a_choice_that_comes_back_keeps_the_code_that_it_was_answered_with(world: World, admin: User) -> None:
    def coded(**codes: int) -> Definition:
        return definition(choices(*({"value": value, "code": code} for value, code in codes.items())))

    await publish(world, coded(a=1, b=2), admin)
    await answer(world, {"c": "b"})
    await publish(world, coded(a=1), admin, accept_breaking=frozenset({"c"}))
    with pytest.raises(BreakingChange):
        await publish(world, coded(a=1, b=3), admin)


async def test_a_narrowing_is_not_blamed_for_answers_that_an_earlier_one_gave_up(world: World, admin: User) -> None:
    await publish(world, definition(choices("a", "b", "c")), admin)
    await answer(world, {"c": "b"})
    await publish(world, definition(choices("a", "c")), admin, accept_breaking=frozenset({"c"}))
    assert told(await publish(world, definition(choices("a")), admin)) == [("c", "narrowed", 0)]


async def test_a_choice_that_nobody_took_may_go(world: World, admin: User) -> None:
    await publish(world, definition(choices("a", "b", "c")), admin)
    await answer(world, {"c": "a"}, {"c": "b"}, {"c": "a"})
    second = await publish(world, definition(choices("a", "b")), admin)
    assert told(second) == [("c", "narrowed", 0)]
    with pytest.raises(BreakingChange) as refused:
        await publish(world, definition(choices("b")), admin)
    assert told(refused.value) == [("c", "narrowed", 2)]


async def test_stale_comes_before_breaking(world: World, admin: User) -> None:
    with pytest.raises(Stale):
        await publish(world, definition(AGE), admin, expected=frozenset({1}))
    await publish(world, definition(AGE, NOTE), admin)
    await answer(world, {"note": "x"})
    with pytest.raises(Stale):
        await publish(world, definition(AGE), admin, expected=frozenset({2}))


async def test_only_an_admin_publishes_and_only_in_a_project(world: World, admin: User, other: User) -> None:
    with pytest.raises(NotAllowed):
        await world.publish(project="unknown", definition=definition(), by=other)
    with pytest.raises(NotFound):
        await world.publish(project="unknown", definition=definition(), by=admin)


async def test_without_a_survey_none_is_shown(world: World) -> None:
    with pytest.raises(NotFound):
        await world.get_survey(project="story")
    with pytest.raises(NotFound):
        await world.get_codebook(project="story")


# --- versions ----------------------------------------------------------------------------------------------------------------


async def test_versions_are_listed_newest_first_with_who_when_and_what(world: World, admin: User) -> None:
    await publish(world, definition(AGE, NOTE), admin)
    await answer(world, {"age": 42})
    world.clock.advance(timedelta(days=1))
    await publish(world, definition(AGE), admin)
    newest, oldest = await world.list_versions(project="story", before=None, limit=10, by=admin)
    assert (newest.version, newest.published_by, newest.published_at) == (2, "grace", world.clock.now())
    assert [(change.field, change.change, change.touched) for change in newest.changes] == [("note", Kind.REMOVED, 0)]
    assert [(change.field, change.change) for change in oldest.changes] == [("age", Kind.ADDED), ("note", Kind.ADDED)]
    assert oldest.published_at == world.clock.now() - timedelta(days=1)


async def test_versions_come_page_by_page(world: World, admin: User) -> None:
    for number in range(5):
        await publish(world, definition(*({"field": f"f{n}", "type": "boolean"} for n in range(number + 1))), admin)
    found: list[int] = []
    while page := await world.list_versions(project="story", before=found[-1] if found else None, limit=2, by=admin):
        found += [version.version for version in page]
    assert found == [5, 4, 3, 2, 1]


async def test_versions_are_for_admins_and_of_a_survey(world: World, admin: User, other: User) -> None:
    with pytest.raises(NotAllowed):
        await world.list_versions(project="unknown", before=None, limit=10, by=other)
    for project in ("unknown", "story"):
        with pytest.raises(NotFound):
            await world.list_versions(project=project, before=None, limit=10, by=admin)


# --- open and closed ---------------------------------------------------------------------------------------------------------


async def test_a_survey_is_closed_and_opened_without_a_new_version(world: World, admin: User) -> None:
    first = (await publish(world, definition(AGE), admin)).survey
    for is_open in (False, False, True, True):
        switched = await world.switch(project="story", is_open=is_open, by=admin)
        assert (switched.is_open, switched.version, switched.published_at) == (is_open, 1, first.published_at)
        assert await world.get_survey(project="story") == switched
        assert (await world.get_project(project="story"))[1].survey_open is is_open


async def test_a_closed_survey_may_get_a_version_and_stays_closed(world: World, admin: User) -> None:
    await publish(world, definition(AGE), admin)
    await world.switch(project="story", is_open=False, by=admin)
    assert not (await publish(world, definition(AGE, NOTE), admin)).survey.is_open


async def test_only_an_admin_opens_and_closes_and_only_what_is_there(world: World, admin: User, other: User) -> None:
    for is_open in (True, False):
        with pytest.raises(NotAllowed):
            await world.switch(project="unknown", is_open=is_open, by=other)
        for project in ("unknown", "story"):
            with pytest.raises(NotFound):
                await world.switch(project=project, is_open=is_open, by=admin)
