"""Published results: the sentences of `PublishedResults` and `Shared`."""

import asyncio
from dataclasses import replace

import pytest

from adapters.postgres.database import Pool
from adapters.postgres.results import PostgresResults
from adapters.shared import SharedInProcess
from application.ports import PublishedResults, Shared
from domain.errors import NotFound
from domain.results import OVERALL, Tally
from domain.survey import Definition, Identity, Survey
from tests.contracts.stage import InMemory, InPostgres, Stage
from tests.examples import AGE, NOW, definition
from tests.fakes.results import FakePublishedResults, FakeShared
from tests.fakes.survey import FakeSurveys

MINIMUM = 3
DOCUMENTS = {OVERALL: '{"n": 5, "weiß": [1.50, "a\\"b"]}'.encode(), "age": b"[]"}


def public(minimum: int = MINIMUM) -> Definition:
    return definition(AGE, results={"public": True, "minimum_cell": minimum, "protection": "suppression"})


def token(who: int) -> bytes:
    return who.to_bytes(32, "big")


async def answer(stage: Stage, survey: Survey, who: int, age: int | None = 42, *, is_test: bool = False) -> None:
    await stage.responses.save(
        survey.accept({"age": age}),
        project_id=survey.project_id,
        pseudonym=token(who),
        token_hash=token(who),
        is_shown=survey.definition.identity is Identity.TOKEN,
        seq=None,
        at=NOW,
        is_test=is_test,
    )


async def publish(results: PublishedResults, survey: Survey, *, instead_of: str | None = None) -> str:
    mark = await results.count(survey, Tally(survey.definition))
    assert await results.publish(survey, DOCUMENTS, mark=mark, instead_of=instead_of, at=NOW)
    return mark


class PublishedResultsContract:
    async def test_before_the_first_publication_everybody_has_changed(self, stage: Stage, results: PublishedResults) -> None:
        survey = await stage.survey(public())
        await answer(stage, survey, 1)
        await answer(stage, survey, 2)
        standing = await results.standing("story")
        assert (standing.survey, standing.changed, standing.mark) == (survey, 2, None)
        found = await results.document("story", OVERALL)
        assert (found.survey, found.document, found.minimum_cell, found.published_at) == (survey, None, None, None)

    async def test_changes_are_counted_up_to_the_minimum(self, stage: Stage, results: PublishedResults) -> None:
        survey = await stage.survey(public())
        for who in range(5):
            await answer(stage, survey, who)
        assert (await results.standing("story")).changed == MINIMUM
        await publish(results, survey)
        assert (await results.standing("story")).changed == 0
        for who in range(5):
            await answer(stage, survey, who, 43)
        assert (await results.standing("story")).changed == MINIMUM

    async def test_a_step_needs_a_twentieth_of_those_that_the_last_one_told(self, stage: Stage, results: PublishedResults) -> None:
        survey = await stage.survey(public())
        mark = await results.count(survey, Tally(survey.definition))
        assert await results.publish(survey, {OVERALL: b'{"n": 81}'}, mark=mark, instead_of=None, at=NOW)
        for who in range(9):
            await answer(stage, survey, who)
        standing = await results.standing("story")
        assert (standing.n, standing.changed) == (81, 5)

    async def test_added_and_changed_respondents_count_once_each_and_erased_ones_not(self, stage: Stage, results: PublishedResults) -> None:
        survey = await stage.survey(public(10))
        for who in range(3):
            await answer(stage, survey, who)
        await publish(results, survey)
        await answer(stage, survey, 0, 43)
        await answer(stage, survey, 0, 44)
        await answer(stage, survey, 1, 42)  # the same again
        await answer(stage, survey, 9)
        assert (await results.standing("story")).changed == 2
        for who in (0, 2):
            assert await stage.responses.erase("story", token(who))
        assert (await results.standing("story")).changed == 1

    async def test_documents_are_answered_as_they_were_published(self, stage: Stage, results: PublishedResults) -> None:
        survey = await stage.survey(public())
        mark = await publish(results, survey)
        for by, document in DOCUMENTS.items():
            found = await results.document("story", by)
            assert (found.document, found.published_at, found.minimum_cell, found.responses) == (document, NOW, MINIMUM, None)
        assert (await results.standing("story")).mark == mark
        assert (await results.document("story", "other")).document is None

    async def test_a_publication_replaces_only_what_it_was_made_from(self, stage: Stage, results: PublishedResults) -> None:
        survey = await stage.survey(public())
        mark = await publish(results, survey)
        await answer(stage, survey, 1)
        newer = await publish(results, survey, instead_of=mark)
        for stale in (None, mark, "another"):
            assert not await results.publish(survey, {OVERALL: b"{}"}, mark="1:1:", instead_of=stale, at=NOW)
        assert (await results.standing("story")).mark == newer

    async def test_everybody_is_counted(self, stage: Stage, results: PublishedResults) -> None:
        survey, tally = await stage.survey(public()), Tally(public())
        for who in range(7):
            await answer(stage, survey, who, None if who == 6 else who)
        await results.count(survey, tally)
        assert (tally.n, tally.counts(0)[0]) == (6, 6)

    async def test_another_survey_is_another_matter(self, stage: Stage, results: PublishedResults) -> None:
        survey, other = await stage.survey(public()), await stage.survey(public(), slug="other")
        await publish(results, survey)
        await answer(stage, other, 1)
        assert (await results.standing("story")).changed == 0
        assert (await results.document("other", OVERALL)).document is None

    async def test_the_newest_version_stands(self, stage: Stage, results: PublishedResults) -> None:
        survey = await stage.survey(public())
        await publish(results, survey)
        newer = replace(survey, version=2, definition=public(4))
        await stage.store(newer)
        assert (await results.standing("story")).survey == newer
        found = await results.document("story", OVERALL)
        assert (found.survey, found.minimum_cell) == (newer, MINIMUM)

    async def test_where_results_are_not_public_nothing_is_counted(self, stage: Stage, results: PublishedResults) -> None:
        survey = await stage.survey(definition(AGE))
        await answer(stage, survey, 1)
        assert (await results.standing("story")).changed == 0

    async def test_without_a_survey_there_are_no_results(self, stage: Stage, results: PublishedResults) -> None:
        await stage.project("story")
        for slug in ("story", "nowhere"):
            with pytest.raises(NotFound):
                await results.standing(slug)
            with pytest.raises(NotFound):
                await results.document(slug, OVERALL)

    async def test_a_project_that_was_put_away_has_none(self, stage: Stage, results: PublishedResults) -> None:
        await stage.survey(public())
        await stage.put_away("story")
        with pytest.raises(NotFound):
            await results.standing("story")
        with pytest.raises(NotFound):
            await results.document("story", OVERALL)

    async def test_before_the_first_release_under_noise_the_responses_ever_made_are_told(
        self, stage: Stage, results: PublishedResults
    ) -> None:
        survey = await stage.survey(definition(AGE, results={"public": True}))
        for who in range(3):
            await answer(stage, survey, who)
        assert await stage.responses.erase("story", token(0))
        assert (await results.document("story", OVERALL)).responses == 3
        await publish(results, survey)
        assert (await results.document("story", OVERALL)).responses is None


class TestFakePublishedResults(InMemory, PublishedResultsContract):
    @pytest.fixture
    async def results(self, stage: Stage) -> PublishedResults:
        assert isinstance(stage.surveys, FakeSurveys)
        return FakePublishedResults(stage.surveys._access)


class TestPostgresResults(InPostgres, PublishedResultsContract):
    @pytest.fixture
    async def results(self, pool: Pool) -> PublishedResults:
        return PostgresResults(pool)


# --- work that is shared -----------------------------------------------------------------------------------------------------


class SharedContract:
    async def test_the_answer_is_that_of_the_work(self, shared: Shared) -> None:
        async def make() -> int:
            return 7

        assert await shared.get("story", "seven", make) == 7

    async def test_an_error_goes_to_whoever_asked_and_does_not_stay(self, shared: Shared) -> None:
        async def fail() -> int:
            raise NotFound

        async def make() -> int:
            return 7

        with pytest.raises(NotFound):
            await shared.get("story", "seven", fail)
        assert await shared.get("story", "seven", make) == 7

    async def test_what_is_forgotten_is_worked_out_anew(self, shared: Shared) -> None:
        async def old() -> str:
            return "old"

        async def new() -> str:
            return "new"

        await shared.get("story", "it", old)
        shared.forget("story")
        assert await shared.get("story", "it", new) == "new"

    async def test_names_and_projects_are_told_apart(self, shared: Shared) -> None:
        async def of(answer: str) -> str:
            return answer

        places = [("a", "x"), ("a", "y"), ("b", "x")]
        answers = [await shared.get(project, name, lambda place=project + name: of(place)) for project, name in places]  # type: ignore[misc]
        assert answers == ["ax", "ay", "bx"]


class TestFakeShared(SharedContract):
    @pytest.fixture
    def shared(self) -> Shared:
        return FakeShared()


class TestSharedInProcess(SharedContract):
    @pytest.fixture
    def shared(self) -> Shared:
        return SharedInProcess()

    async def test_a_thousand_who_ask_at_once_cost_one(self, shared: Shared) -> None:
        work = Work()
        asked = [asyncio.create_task(shared.get("story", "it", work)) for _ in range(1000)]
        await asyncio.sleep(0)
        work.end.set()
        assert set(await asyncio.gather(*asked)) == {1}
        assert await shared.get("story", "it", work) == 1

    async def test_work_goes_on_when_who_asked_first_leaves(self, shared: Shared) -> None:
        work = Work()
        first, second = (asyncio.create_task(shared.get("story", "it", work)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        work.end.set()
        assert await second == 1

    async def test_work_that_began_before_it_was_forgotten_is_not_kept(self, shared: Shared) -> None:
        work = Work()
        early = asyncio.create_task(shared.get("story", "it", work))
        await asyncio.sleep(0)
        shared.forget("story")
        work.end.set()
        assert await shared.get("story", "it", work) == 2
        assert await early == 1
        assert await shared.get("story", "it", work) == 2

    async def test_an_answer_is_kept_for_a_second(self) -> None:
        work, now = Work(), [100.0]
        shared = SharedInProcess(lambda: now[0])
        work.end.set()
        assert await shared.get("story", "it", work) == 1
        now[0] = 100.9
        assert await shared.get("story", "it", work) == 1
        now[0] = 101.1
        assert await shared.get("story", "it", work) == 2


class Work:
    """Counts how often it is done; it ends when it is told to."""

    def __init__(self) -> None:
        self.times = 0
        self.end = asyncio.Event()

    async def __call__(self) -> int:
        self.times += 1
        number = self.times
        await self.end.wait()
        return number
