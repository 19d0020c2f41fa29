"""Surveys: the sentences of `Surveys`."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from application.ports import Version
from domain.access import Role
from domain.errors import NotFound
from domain.survey import FieldChange, Identity, Kind, Survey
from tests.contracts.stage import InMemory, InPostgres, Stage
from tests.examples import AGE, CONSENT, GATE, NOTE, NOW, PLATFORMS, SCALE, definition

SHARE: dict[str, Any] = {"field": "share", "type": "number"}
EVERYTHING = definition(
    CONSENT | {"label": "May we?"},
    SCALE,
    AGE,
    NOTE | {"max_length": 10},
    PLATFORMS,
    SHARE | {"min": 0.1, "max": 0.9},
    {"field": "member", "type": "boolean"},
    {"field": "born", "type": "date"},
    identity="token",
    consent=GATE,
    results={"public": True, "minimum_cell": 3},
)


async def answer(stage: Stage, survey: Survey, *given: dict[str, object]) -> None:
    """One respondent for each of these sets of answers."""
    for number, answers in enumerate(given):
        await stage.responses.save(
            survey.accept(answers),
            project_id=survey.project_id,
            pseudonym=bytes([number]) * 32,
            token_hash=bytes([number]) * 32,
            is_shown=survey.definition.identity is Identity.TOKEN,
            seq=None,
            at=NOW,
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

    async def test_a_survey_is_closed_and_opened_and_nothing_else_of_it_changes(self, stage: Stage) -> None:
        survey = await stage.survey(EVERYTHING)
        await stage.survey(slug="other")
        assert await stage.switch(is_open=False) == replace(survey, is_open=False)
        assert await stage.surveys.get("story") == replace(survey, is_open=False)
        assert (await stage.surveys.get("other")).is_open
        await stage.switch(is_open=True)
        assert await stage.surveys.get("story") == survey

    async def test_a_switch_that_is_not_committed_is_undone(self, stage: Stage) -> None:
        survey = await stage.survey()
        async with stage.unit_of_work() as work:
            await work.surveys.lock("story")
            await work.surveys.switch(replace(survey, is_open=False))
        assert (await stage.surveys.get("story")).is_open

    async def test_every_definition_is_kept_oldest_first(self, stage: Stage) -> None:
        survey = await stage.survey(EVERYTHING)
        other = await stage.survey(definition(NOTE), slug="other")
        declared = [EVERYTHING, definition(AGE), definition(AGE, NOTE), EVERYTHING]
        for version, each in enumerate(declared[1:], start=2):
            await stage.store(replace(survey, version=version, definition=each))
        await stage.switch(is_open=False)
        assert await stage.surveys.definitions(survey.project_id) == declared
        assert await stage.surveys.definitions(other.project_id) == [definition(NOTE)]
        assert await stage.surveys.definitions((await stage.project("without")).id) == []

    async def test_stored_answers_are_counted_each_with_its_number(self, stage: Stage) -> None:
        survey = await stage.survey(definition(AGE, NOTE, PLATFORMS, SHARE, {"field": "b", "type": "boolean"}))
        other = await stage.survey(definition(AGE), slug="other")
        await answer(stage, other, {"age": 99})
        given: list[dict[str, object]] = [
            {"age": 1, "note": "", "platforms": [], "share": 1},
            {"age": 1, "note": "x", "platforms": ["Twitter"], "share": 1.5, "b": False},
            {"age": 2, "platforms": ["Other", "Twitter"], "b": False},
            {"age": 1, "platforms": "Twitter,Other"},
        ]
        await answer(stage, survey, *given)
        async with stage.unit_of_work() as work:
            await work.surveys.lock("story")
            found = {
                field: await work.surveys.answered(survey.project_id, field) for field in ("age", "note", "platforms", "share", "b", "x")
            }
        assert sorted(found["age"]) == [(1, 3), (2, 1)]
        assert sorted(found["note"]) == [("", 1), ("x", 1)]
        assert sorted(found["platforms"]) == [([], 1), (["Twitter"], 1), (["Twitter", "Other"], 2)]
        assert [(type(value), value, number) for value, number in sorted(found["share"])] == [(float, 1.0, 1), (float, 1.5, 1)]
        assert (found["b"], found["x"]) == ([(False, 2)], [])

    async def test_answers_that_were_withdrawn_or_erased_are_not_counted(self, stage: Stage) -> None:
        survey = await stage.survey(definition(AGE, NOTE))
        await answer(stage, survey, {"age": 1, "note": "x"}, {"age": 1})
        await answer(stage, survey, {"age": None})
        await stage.responses.erase("story", b"\x01" * 32)
        async with stage.unit_of_work() as work:
            await work.surveys.lock("story")
            assert await work.surveys.answered(survey.project_id, "age") == []
            assert await work.surveys.answered(survey.project_id, "note") == [("x", 1)]

    async def test_versions_are_listed_newest_first_with_who_when_and_what(self, stage: Stage) -> None:
        survey = await stage.survey(definition(AGE, NOTE))
        emmy = await stage.user("emmy", role=Role.ADMIN)
        changes = tuple(FieldChange(field=f"f{number}", change=kind, touched=number) for number, kind in enumerate(Kind))
        await stage.store(replace(survey, version=2, published_at=NOW + timedelta(hours=1), published_by=emmy.id), changes)
        await stage.switch(is_open=False)
        newest, oldest = await stage.surveys.versions("story", before=None, limit=10)
        assert newest == Version(version=2, published_at=NOW + timedelta(hours=1), published_by="emmy", changes=changes)
        assert oldest == Version(
            version=1,
            published_at=NOW,
            published_by="admin-of-story",
            changes=tuple(FieldChange(field=field, change=Kind.ADDED) for field in ("age", "note")),
        )

    async def test_versions_come_page_by_page(self, stage: Stage) -> None:
        survey = await stage.survey()
        for version in range(2, 8):
            await stage.store(replace(survey, version=version))
        found: list[int] = []
        for expected in (3, 3, 1, 0):
            page = await stage.surveys.versions("story", before=found[-1] if found else None, limit=3)
            assert len(page) == expected
            found += [each.version for each in page]
        assert found == [7, 6, 5, 4, 3, 2, 1]
        assert [each.version for each in await stage.surveys.versions("story", before=99, limit=1)] == [7]

    async def test_without_a_survey_there_are_no_versions_to_list(self, stage: Stage) -> None:
        await stage.project("without")
        await stage.survey(slug="gone")
        await stage.put_away("gone")
        for slug in ("without", "gone", "unknown"):
            with pytest.raises(NotFound):
                await stage.surveys.versions(slug, before=None, limit=10)


class TestFakeSurveys(InMemory, SurveysContract):
    pass


class TestPostgresSurveys(InPostgres, SurveysContract):
    pass
