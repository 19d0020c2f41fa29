"""Letting go of what was put away: the sentences of `Archive`."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from domain.access import Role
from domain.annotation import annotate
from domain.errors import NotFound
from domain.session import ABSOLUTE_LIFETIME, new_session
from domain.survey import Identity, Survey
from tests.contracts.stage import InMemory, InPostgres, Stage
from tests.examples import NOW, resource

DAY = timedelta(days=1)
OLD, BEFORE = NOW - DAY, NOW
NONE = {"projects": 0, "resources": 0, "responses": 0, "exports": 0, "sessions": 0}


async def answer(stage: Stage, survey: Survey, number: int, *, at: datetime, **answers: object) -> None:
    await stage.responses.save(
        survey.accept(answers or {"age": 1}),
        project_id=survey.project_id,
        pseudonym=bytes([number]) * 32,
        token_hash=bytes([number]) * 32,
        is_shown=survey.definition.identity is Identity.TOKEN,
        seq=None,
        at=at,
    )


async def is_there(stage: Stage, number: int, slug: str = "story") -> bool:
    return await stage.responses.by_token(slug, bytes([number]) * 32) is not None


async def purge(stage: Stage, *, before: datetime = BEFORE) -> dict[str, int]:
    """Purge; undone before it, it counts the same, as often as it is done."""
    told = [await stage.purge(before=before, for_good=False) for _ in range(2)]
    done = await stage.purge(before=before)
    assert told == [done, done]
    assert await stage.purge(before=before) == NONE
    return done


class ArchiveContract:
    async def test_of_nothing_nothing_is_removed(self, stage: Stage) -> None:
        assert await purge(stage) == NONE

    async def test_a_project_goes_with_all_that_is_in_it(self, stage: Stage) -> None:
        survey, ada = await stage.survey(), await stage.user("ada")
        await stage.resources.add(resource(by=ada))
        await answer(stage, survey, 1, at=NOW + DAY)
        await answer(stage, survey, 2, at=OLD)
        await stage.responses.erase("story", b"\x02" * 32)
        await stage.put_away("story", at=OLD)
        assert await purge(stage) == NONE | {"projects": 1, "resources": 1, "responses": 1}
        assert not await stage.projects.was_used("story")
        assert await stage.surveys.definitions(survey.project_id) == []

    async def test_what_is_not_put_away_or_not_long_ago_stays(self, stage: Stage) -> None:
        here, recent = await stage.survey(), await stage.survey(slug="recent")
        ada = await stage.user("ada")
        await stage.resources.add(resource(by=ada))
        await answer(stage, here, 1, at=OLD)
        await answer(stage, recent, 2, at=OLD)
        await stage.put_away("recent", at=BEFORE)
        assert await purge(stage) == NONE
        assert await stage.projects.was_used("recent")
        assert await is_there(stage, 1)
        assert (await stage.projects.overview("story"))[1].resources == 1

    async def test_a_project_of_the_same_slug_that_is_alive_stays(self, stage: Stage) -> None:
        first = await stage.project("story")
        await stage.put_away("story", at=OLD)
        second = await stage.project("story")
        assert await purge(stage) == NONE | {"projects": 1}
        assert await stage.projects.get("story") == second != first

    async def test_a_resource_goes_when_it_was_deleted_long_ago(self, stage: Stage) -> None:
        await stage.project("story")
        ada = await stage.user("ada")
        deletions = {"kept": None, "recent": BEFORE, "old": OLD}
        added = {name: await stage.resources.add(resource(name, by=ada)) for name in deletions}
        async with stage.unit_of_work() as work:
            for name, deleted_at in deletions.items():
                await work.resources.save(replace(added[name], deleted_at=deleted_at, updated_at=OLD))
            await work.commit()
        assert await purge(stage) == NONE | {"resources": 1}
        async with stage.unit_of_work() as work:
            for name in ("kept", "recent"):
                await work.resources.lock(project="story", resource_id=added[name].id, deleted=True)
            with pytest.raises(NotFound):
                await work.resources.lock(project="story", resource_id=added["old"].id, deleted=True)

    async def test_annotations_go_with_their_resource_and_label_sets_with_their_project(self, stage: Stage) -> None:
        await stage.project()
        ada = await stage.user("ada", role=Role.ADMIN)
        label_set = await stage.label_set(by=ada)
        kept, old = [await stage.resources.add(resource(name, by=ada)) for name in ("kept", "old")]
        async with stage.unit_of_work() as work:
            for figure in (kept, old):
                await work.annotations.lock(label_set, resource_id=figure.id, annotator_id=ada.id)
                await work.annotations.save(label_set, annotate(label_set, None, resource_id=figure.id, value="a", by=ada, at=OLD))
            await work.resources.save(replace(old, deleted_at=OLD, updated_at=OLD, version=2))
            await work.commit()
        assert await purge(stage) == NONE | {"resources": 1}
        assert await stage.label_sets.labels(label_set.id) == [("a", 1)]
        await stage.put_away(at=OLD)
        assert await purge(stage) == NONE | {"projects": 1, "resources": 1}
        assert await stage.label_sets.labels(label_set.id) == []

    async def test_a_response_goes_when_its_survey_is_closed_and_it_did_not_change_since(self, stage: Stage) -> None:
        survey, other = await stage.survey(), await stage.survey(slug="open")
        await answer(stage, survey, 1, at=OLD)
        await answer(stage, survey, 2, at=OLD)
        await answer(stage, survey, 2, at=BEFORE, age=2)
        await answer(stage, survey, 3, at=BEFORE)
        await answer(stage, survey, 4, at=OLD - DAY)
        await answer(stage, survey, 4, at=OLD, age=2)
        await answer(stage, other, 5, at=OLD)
        assert await purge(stage) == NONE
        await stage.switch(is_open=False)
        assert await purge(stage) == NONE | {"responses": 2}
        assert [await is_there(stage, number) for number in (1, 2, 3, 4)] == [False, True, True, False]
        assert await is_there(stage, 5, "open")
        assert (await stage.surveys.get("story")).version == 1

    async def test_a_session_goes_when_it_ended_or_expired_long_ago(self, stage: Stage) -> None:
        ada = await stage.user("ada")
        made = {
            "live": new_session(id=UUID(int=1), user_id=ada.id, at=OLD),
            "ended": replace(new_session(id=UUID(int=2), user_id=ada.id, at=OLD - DAY), ended_at=OLD),
            "just ended": replace(new_session(id=UUID(int=3), user_id=ada.id, at=OLD), ended_at=BEFORE),
            "expired": new_session(id=UUID(int=4), user_id=ada.id, at=OLD - ABSOLUTE_LIFETIME),
            "just expired": new_session(id=UUID(int=5), user_id=ada.id, at=BEFORE - ABSOLUTE_LIFETIME),
        }
        for session in made.values():
            await stage.sessions.add(session)
        assert await purge(stage) == NONE | {"sessions": 2}
        async with stage.unit_of_work() as work:
            left = [name for name, session in made.items() if await work.sessions.lock(session.id)]
        assert left == ["live", "just ended", "just expired"]

    async def test_a_purge_that_is_not_committed_removes_nothing(self, stage: Stage) -> None:
        survey = await stage.survey()
        await answer(stage, survey, 1, at=OLD)
        await stage.switch(is_open=False)
        assert (await stage.purge(before=BEFORE, for_good=False))["responses"] == 1
        assert await is_there(stage, 1)


class TestFakeArchive(InMemory, ArchiveContract):
    pass


class TestPostgresArchive(InPostgres, ArchiveContract):
    pass
