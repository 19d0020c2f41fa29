"""Surveys: the sentences of `Surveys`."""

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.errors import NotFound
from tests.contracts.stage import InMemory, InPostgres, Stage
from tests.examples import AGE, CONSENT, GATE, NOTE, NOW, PLATFORMS, SCALE, definition

EVERYTHING = definition(
    CONSENT | {"label": "May we?"},
    SCALE,
    AGE,
    NOTE | {"max_length": 10},
    PLATFORMS,
    {"field": "share", "type": "number", "min": 0.1, "max": 0.9},
    {"field": "member", "type": "boolean"},
    {"field": "born", "type": "date"},
    identity="token",
    consent=GATE,
    results={"public": True, "minimum_cell": 3},
)


class SurveysContract:
    async def test_a_survey_is_found_again_with_all_that_was_declared(self, stage: Stage) -> None:
        survey = await stage.survey(EVERYTHING)
        assert await stage.surveys.get("story") == survey

    async def test_without_a_survey_or_a_project_nothing_is_found(self, stage: Stage) -> None:
        await stage.project("story")
        with pytest.raises(NotFound):
            await stage.surveys.get("story")
        with pytest.raises(NotFound):
            await stage.surveys.get("unknown")

    async def test_the_survey_of_a_deleted_project_is_not_found(self, stage: Stage) -> None:
        await stage.survey()
        await stage.put_away()
        with pytest.raises(NotFound):
            await stage.surveys.get("story")
        async with stage.unit_of_work() as work:
            with pytest.raises(NotFound):
                await work.surveys.lock("story")

    async def test_a_lock_gives_the_project_and_its_survey_if_it_has_one(self, stage: Stage) -> None:
        survey = await stage.survey(slug="with")
        without = await stage.project("without")
        async with stage.unit_of_work() as work:
            assert await work.surveys.lock("with") == (survey.project_id, survey)
            assert await work.surveys.lock("without") == (without.id, None)
            with pytest.raises(NotFound):
                await work.surveys.lock("unknown")

    async def test_a_new_version_takes_the_place_of_the_old_one(self, stage: Stage) -> None:
        survey = await stage.survey()
        newer = replace(survey, version=2, definition=EVERYTHING, is_open=False, published_at=NOW + timedelta(hours=1))
        await stage.store(newer)
        assert await stage.surveys.get("story") == newer

    async def test_remembered_is_what_get_last_saw(self, stage: Stage) -> None:
        survey = await stage.survey()
        assert stage.surveys.remembered("story") is None
        await stage.surveys.get("story")
        assert stage.surveys.remembered("story") == survey
        await stage.store(replace(survey, version=2))
        assert stage.surveys.remembered("story") == survey
        await stage.surveys.get("story")
        assert stage.surveys.remembered("story") == replace(survey, version=2)

    async def test_each_keeps_a_memory_of_its_own(self, stage: Stage) -> None:
        await stage.survey()
        await stage.surveys.get("story")
        assert stage.another_surveys().remembered("story") is None

    async def test_what_is_gone_is_forgotten_once_it_was_asked_for(self, stage: Stage) -> None:
        await stage.survey()
        await stage.surveys.get("story")
        await stage.put_away()
        with pytest.raises(NotFound):
            await stage.surveys.get("story")
        assert stage.surveys.remembered("story") is None


class TestFakeSurveys(InMemory, SurveysContract):
    pass


class TestPostgresSurveys(InPostgres, SurveysContract):
    pass
