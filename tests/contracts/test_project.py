"""Projects: the sentences of `Projects`."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from domain.errors import NotFound
from domain.project import SlugTaken
from tests.contracts.stage import InMemory, InPostgres, Stage
from tests.examples import NOW, resource


class ProjectsContract:
    async def test_a_project_is_found_again(self, stage: Stage) -> None:
        story = await stage.project("story")
        assert story.id > 0
        assert await stage.projects.get("story") == story

    async def test_an_unknown_slug_is_not_found(self, stage: Stage) -> None:
        await stage.project("story")
        with pytest.raises(NotFound):
            await stage.projects.get("stor")
        with pytest.raises(NotFound):
            await stage.projects.overview("stor")
        async with stage.unit_of_work() as work:
            with pytest.raises(NotFound):
                await work.projects.lock("stor")

    async def test_a_slug_is_given_once(self, stage: Stage) -> None:
        made = await asyncio.gather(*(stage.project("story") for _ in range(8)), return_exceptions=True)
        assert sorted(type(each).__name__ for each in made) == ["Project"] + ["SlugTaken"] * 7

    async def test_what_was_saved_is_what_is_there(self, stage: Stage) -> None:
        story = await stage.project()
        changed = replace(story, title="Another", description="Told anew", updated_at=NOW + timedelta(hours=1), version=2)
        async with stage.unit_of_work() as work:
            assert await work.projects.lock("story") == story
            await work.projects.save(changed)
            await work.commit()
        assert await stage.projects.get("story") == changed

    async def test_a_deleted_project_is_not_found_and_its_slug_is_free(self, stage: Stage) -> None:
        await stage.project("story")
        await stage.put_away("story")
        with pytest.raises(NotFound):
            await stage.projects.get("story")
        with pytest.raises(NotFound):
            await stage.projects.overview("story")
        assert await stage.projects.page(after="", limit=10) == []
        again = await stage.project("story")
        assert await stage.projects.get("story") == again
        with pytest.raises(SlugTaken):
            await stage.project("story")

    async def test_a_slug_was_used_also_by_what_is_deleted(self, stage: Stage) -> None:
        assert not await stage.projects.was_used("story")
        await stage.project("story")
        assert await stage.projects.was_used("story")
        await stage.put_away("story")
        assert await stage.projects.was_used("story")

    async def test_pages_go_by_slug_and_lose_nothing(self, stage: Stage) -> None:
        for slug in ("b", "a-b", "ab", "a", "0", "a0"):
            await stage.project(slug)
        found: list[str] = []
        while page := await stage.projects.page(after=found[-1] if found else "", limit=2):
            found += [project.slug for project in page]
        assert found == ["0", "a", "a-b", "a0", "ab", "b"]

    async def test_an_overview_counts_live_resources_of_its_own(self, stage: Stage) -> None:
        ada = await stage.user()
        story = await stage.project("story")
        await stage.project("other")
        await stage.resources.add(resource("kept", by=ada))
        await stage.resources.add(resource("elsewhere", by=ada, project="other"))
        gone = await stage.resources.add(resource("gone", by=ada))
        async with stage.unit_of_work() as work:
            await work.resources.save(replace(gone, deleted_at=NOW, updated_at=NOW, version=2))
            await work.commit()
        found, counts = await stage.projects.overview("story")
        assert found == story
        assert (counts.resources, counts.files, counts.survey_open) == (1, 0, False)

    async def test_an_overview_tells_whether_the_survey_takes_answers(self, stage: Stage) -> None:
        await stage.survey(slug="story")
        assert (await stage.projects.overview("story"))[1].survey_open
        await stage.switch(is_open=False)
        assert not (await stage.projects.overview("story"))[1].survey_open

    async def test_a_locked_project_stands_until_the_unit_of_work_ends(self, stage: Stage) -> None:
        await stage.project("story")

        async def lengthen() -> None:
            async with stage.unit_of_work() as work:
                found = await work.projects.lock("story")
                await work.projects.save(found.revise({"title": found.title + "!"}, at=NOW))
                await work.commit()

        await asyncio.gather(*(lengthen() for _ in range(10)))
        story = await stage.projects.get("story")
        assert (story.title, story.version) == ("A story" + "!" * 10, 11)


class TestFakeProjects(InMemory, ProjectsContract):
    pass


class TestPostgresProjects(InPostgres, ProjectsContract):
    pass
