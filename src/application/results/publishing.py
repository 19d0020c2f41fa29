"""Publishing results in the background: releases under noise, and steps under suppression."""

import asyncio
from dataclasses import dataclass

from application.ports import Clock, PublicSurvey, PublishedResults, Random, ResponseCounts, ResultsLedger, Standing, Surveys
from application.results.documents import encoded
from application.results.journal import NoteSpending
from domain.errors import NotFound
from domain.results import ContingencyTables, NotedSpending, Spending, Tally, due_from, may_advance, next_spending, publish, release
from domain.survey import Protection, Survey

_QUICKLY_COUNTED = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseResults:
    """Make the release of a survey that is due by the number of responses ever made, if one is.

    Spending is in the journal outside of the database before anything is published, and in the ledger in the transaction that
    publishes. What was drawn and then not published is never seen, so it has cost nothing.
    """

    surveys: Surveys
    ledger: ResultsLedger
    counts: ResponseCounts
    note: NoteSpending
    random: Random
    clock: Clock

    async def __call__(self, found: PublicSurvey) -> bool:
        """Whether something was published. Raises `Full`, `Unavailable`, and leaves it to be done again."""
        due = due_from(found.results, found.spent, is_open=found.is_open)
        responses = None if due is None else await self.ledger.made(found.project_id, at_least=due)
        spending = None if responses is None else next_spending(found.results, found.spent, responses=responses, is_open=found.is_open)
        survey = None if spending is None else await self._survey(found)
        if spending is None or survey is None:
            return False
        tables = await self.counts.tables(survey, by=survey.definition.results.by)
        documents = await asyncio.to_thread(_released, survey, tables, spending, self.random)
        at = self.clock.now()
        noted = NotedSpending(project_id=found.project_id, project_made_at=found.project_made_at, spent_at=at, spending=spending)
        entry = await self.note(noted)
        is_published = await self.ledger.release(survey, spending, documents, at=at)
        if not is_published:
            await self.note.strike(entry)
        return is_published

    async def _survey(self, found: PublicSurvey) -> Survey | None:
        """The survey as it is now, unless its settings have changed meanwhile: then it is looked at again."""
        try:
            survey = await self.surveys.get(found.project)
        except NotFound:
            return None
        is_the_same = survey.project_id == found.project_id and survey.definition.results == found.results
        return survey if is_the_same and survey.is_open == found.is_open else None


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvanceResults:
    """Publish the results of a survey under suppression anew, of everybody who has answered by now, if enough have since they last were."""

    results: PublishedResults
    clock: Clock

    async def __call__(self, found: PublicSurvey) -> bool:
        """Whether something was published."""
        try:
            standing = await self.results.standing(found.project)
        except NotFound:
            return False
        survey, tally = standing.survey, Tally(standing.survey.definition, by=standing.survey.definition.results.by)
        settings = survey.definition.results
        if not settings.public or settings.protection is not Protection.SUPPRESSION or not _is_due(standing):
            return False
        mark = await self.results.count(survey, tally)
        if standing.mark is None and not may_advance(survey, changed=tally.n) and tally.seen <= _QUICKLY_COUNTED:
            # To publish that there are too few would put off the first results that tell anything. It is done only where many whose
            # answers no longer count would be counted again and again.
            return False
        documents = await asyncio.to_thread(_published, survey, tally)
        return await self.results.publish(survey, documents, mark=mark, instead_of=standing.mark, at=self.clock.now())


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishDueResults:
    """Publish the results of every survey that are due. One worker of all does so at a time; readers get what was published last."""

    ledger: ResultsLedger
    release: ReleaseResults
    advance: AdvanceResults

    async def __call__(self) -> bool:
        """Whether something was published, so that more may be due. A survey that fails keeps none of the others waiting."""
        failures: list[Exception] = []
        has_published = False
        async with self.ledger.turn() as is_ours:
            for found in await self.ledger.public_surveys() if is_ours else ():
                publish_it = self.release if found.results.protection is Protection.NOISE else self.advance
                try:
                    has_published |= await publish_it(found)
                except Exception as error:  # noqa: BLE001 - raised below, once every other survey had its turn
                    failures.append(error)
        if failures:
            raise failures[0]
        return has_published


def _is_due(standing: Standing) -> bool:
    return may_advance(standing.survey, changed=standing.changed, n=standing.n)


def _released(survey: Survey, tables: ContingencyTables, spending: Spending, random: Random) -> dict[str, bytes]:
    return {by: encoded(document) for by, document in release(survey, tables, spending, random.bits).items()}


def _published(survey: Survey, tally: Tally) -> dict[str, bytes]:
    return {by: encoded(document) for by, document in publish(survey, tally).items()}
