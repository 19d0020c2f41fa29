"""Who publishes results, and what that has cost: the sentences of `ResultsLedger`."""

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from fractions import Fraction

import pytest
from sqlalchemy import text

from adapters.postgres.database import Pool, Statement, Transaction
from adapters.postgres.results import PostgresResults
from adapters.postgres.results_ledger import PostgresResultsLedger
from application.ports import PublishedResults, ResultsLedger
from domain.errors import Unavailable
from domain.results import OVERALL, NotedSpending, Spending, Spent
from domain.survey import Definition, Survey
from tests.contracts.stage import InMemory, InPostgres, Stage
from tests.contracts.test_results import answer, token
from tests.examples import AGE, CONSENT, NOW, definition
from tests.fakes.results import FakePublishedResults, FakeResultsLedger
from tests.fakes.survey import FakeSurveys

PUBLIC = {"public": True, "by": ["consent"]}
FIRST = Spending(number=1, responses=100, series=Fraction("0.18"), closing=Fraction("0.1"))
SECOND = Spending(number=2, responses=125, series=Fraction("0.144000000001"))
TEST: dict[str, object] = {"consent": "accepted", "age": 42}
LOCK_RESPONSES = Statement(text("LOCK TABLE responses IN ACCESS EXCLUSIVE MODE"))
DOCUMENTS = {OVERALL: b'{"n":1}', "consent": b'{"n":2}'}


@dataclass(frozen=True, kw_only=True)
class Books:
    """A ledger and the results that it publishes, over one stage."""

    stage: Stage
    ledger: ResultsLedger
    results: PublishedResults


def public(**results: object) -> Definition:
    return definition(CONSENT, AGE, results=PUBLIC | results)


def noted(survey: Survey, spending: Spending) -> NotedSpending:
    return NotedSpending(project_id=survey.project_id, project_made_at=NOW, spent_at=NOW, spending=spending)


async def made(ledger: ResultsLedger, survey: Survey, *, at_least: int) -> int:
    """What the ledger tells in the end: it may take a while to look again."""
    async with asyncio.timeout(30):
        while True:
            number = await ledger.made(survey.project_id, at_least=at_least)
            if number is not None:
                return number
            await asyncio.sleep(0.01)


class ResultsLedgerContract:
    async def test_it_is_the_turn_of_one_at_a_time(self, books: Books) -> None:
        async with books.ledger.turn() as first, books.ledger.turn() as second:
            assert (first, second) == (True, False)
        async with books.ledger.turn() as again:
            assert again

    async def test_every_survey_with_public_results_is_there_with_what_it_spent(self, books: Books) -> None:
        stage, ledger = books.stage, books.ledger
        survey = await stage.survey(public())
        await stage.survey(definition(AGE), slug="not-public")
        await stage.survey(public(), slug="put-away")
        await stage.put_away("put-away")
        other = await stage.survey(public(protection="suppression", budget=0.3), slug="other")
        await stage.switch(is_open=False, slug="other")
        first, second = await ledger.public_surveys()
        assert (first.project, first.project_id, first.project_made_at, first.is_open) == ("story", survey.project_id, NOW, True)
        assert (first.results, first.spent) == (survey.definition.results, Spent())
        assert (second.project, second.is_open, second.results) == ("other", False, other.definition.results)
        for spending in (FIRST, SECOND):
            assert await ledger.release(survey, spending, DOCUMENTS, at=NOW)
        first, second = await ledger.public_surveys()
        assert first.spent == Spent().after(FIRST).after(SECOND)
        assert second.spent == Spent()

    async def test_the_responses_ever_made_are_those_that_are_there_and_those_that_were_erased(self, books: Books) -> None:
        survey, other = await books.stage.survey(public()), await books.stage.survey(public(), slug="other")
        assert await books.ledger.made(survey.project_id, at_least=1) is None
        for who in range(5):
            await answer(books.stage, survey, who)
        await answer(books.stage, other, 9)
        assert await books.stage.responses.erase("story", token(1))
        await answer(books.stage, survey, 1)  # who comes back is another response
        for who in (20, 21):
            await answer(books.stage, survey, who, is_test=True)
        assert await books.stage.responses.erase("story", token(20))
        assert await made(books.ledger, survey, at_least=6) == 6
        assert await books.ledger.made(survey.project_id, at_least=7) is None
        assert await made(books.ledger, other, at_least=1) == 1

    async def test_responses_that_retention_removed_were_made_all_the_same(self, books: Books) -> None:
        survey = await books.stage.survey(public())
        for who in range(3):
            await answer(books.stage, survey, who)
        await books.stage.switch(is_open=False)
        assert (await books.stage.purge(before=NOW + timedelta(days=1)))["responses"] == 3
        assert await books.ledger.made(survey.project_id, at_least=3) == 3

    async def test_a_release_is_seen_with_its_spending(self, books: Books) -> None:
        survey = await books.stage.survey(public())
        assert await books.ledger.release(survey, FIRST, DOCUMENTS, at=NOW)
        for by, document in DOCUMENTS.items():
            found = await books.results.document("story", by)
            assert (found.document, found.published_at, found.responses) == (document, NOW, None)
        assert (await books.results.standing("story")).mark is None

    async def test_of_two_releases_with_one_number_one_is_made(self, books: Books) -> None:
        survey = await books.stage.survey(public())
        assert await books.ledger.release(survey, FIRST, DOCUMENTS, at=NOW)
        assert not await books.ledger.release(survey, replace(FIRST, series=Fraction(1)), {OVERALL: b"{}"}, at=NOW)
        assert (await books.results.document("story", OVERALL)).document == DOCUMENTS[OVERALL]
        assert (await books.ledger.public_surveys())[0].spent == Spent().after(FIRST)

    async def test_a_release_of_an_older_version_spends_and_publishes_nothing(self, books: Books) -> None:
        survey = await books.stage.survey(public())
        await books.stage.store(replace(survey, version=2))
        assert not await books.ledger.release(survey, FIRST, DOCUMENTS, at=NOW)
        assert (await books.results.document("story", OVERALL)).document is None
        assert (await books.ledger.public_surveys())[0].spent == Spent()

    async def test_what_was_noted_is_added_once_and_only_for_the_project_it_was_noted_for(self, books: Books) -> None:
        survey = await books.stage.survey(public())
        assert await books.ledger.release(survey, FIRST, DOCUMENTS, at=NOW)
        other = replace(noted(survey, replace(SECOND, number=3)), project_made_at=NOW + timedelta(seconds=1))
        nobody = replace(noted(survey, SECOND), project_id=10**9)
        journal = [noted(survey, replace(FIRST, series=Fraction(1))), noted(survey, SECOND), other, nobody]
        assert await books.ledger.add_noted(journal) == 1
        assert (await books.ledger.public_surveys())[0].spent == Spent().after(FIRST).after(SECOND)
        assert await books.ledger.add_noted(journal) == 0


class TestFakeResultsLedger(InMemory, ResultsLedgerContract):
    @pytest.fixture
    async def books(self, stage: Stage) -> Books:
        return in_memory(stage)


class TestPostgresResultsLedger(InPostgres, ResultsLedgerContract):
    @pytest.fixture
    async def books(self, stage: Stage, pool: Pool) -> Books:
        return in_postgres(stage, pool)

    async def test_every_worker_waits_for_the_turn(self, books: Books, pool: Pool) -> None:
        other = PostgresResultsLedger(pool)
        async with books.ledger.turn() as ours, other.turn() as theirs:
            assert (ours, theirs) == (True, False)

    async def test_nothing_is_counted_again_before_there_can_be_enough(self, books: Books, pool: Pool) -> None:
        survey = await books.stage.survey(public())
        await answer(books.stage, survey, 0)
        assert await books.ledger.made(survey.project_id, at_least=4) is None
        async with Transaction(pool) as other:  # whoever counts waits for this one
            await other.row(LOCK_RESPONSES)
            assert await books.ledger.made(survey.project_id, at_least=4) is None
            with pytest.raises(Unavailable):
                await PostgresResultsLedger(pool).made(survey.project_id, at_least=4)


def in_memory(stage: Stage) -> Books:
    assert isinstance(stage.surveys, FakeSurveys)
    access = stage.surveys._access
    results = FakePublishedResults(access)
    return Books(stage=stage, ledger=FakeResultsLedger(access, results), results=results)


def in_postgres(stage: Stage, pool: Pool) -> Books:
    results = PostgresResults(pool)
    return Books(stage=stage, ledger=PostgresResultsLedger(pool), results=results)
