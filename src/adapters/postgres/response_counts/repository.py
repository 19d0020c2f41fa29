"""Counting the responses of a survey in PostgreSQL."""

import asyncio
from collections.abc import Sequence

from sqlalchemy import func, select, true

from adapters.postgres.database import Statement, Transaction
from adapters.postgres.response_counts.columns import Column, columns_of, is_listed
from adapters.postgres.response_counts.statements import COUNTS, Grouping, Pace, batches, counting, groupings, spread
from adapters.postgres.response_counts.sums import Sums
from adapters.postgres.snapshots import Snapshots
from adapters.postgres.survey import DEFINITIONS
from application.ports import ResponseCounts
from domain.results.exact import TooMuchToCount
from domain.results.measure import Measure, measures_of
from domain.results.spread import Spread, quartile_ranks, quartiles, spread_of
from domain.results.tables import ContingencyTables
from domain.survey import Survey

SETTINGS = Statement(
    select(
        func.set_config("max_parallel_workers_per_gather", "0", true()),  # one core: others want the rest
        func.set_config("jit", "off", true()),  # compiling would take as long as a fifth of the work
    )
)


class PostgresResponseCounts(ResponseCounts):
    """Counts at a `pace`, one survey at a time, and gives up after so many `seconds`, the wait for others among them."""

    def __init__(self, snapshots: Snapshots, *, pace: Pace, seconds: float) -> None:
        self._snapshots = snapshots
        self._pace = pace
        self._seconds = seconds
        self._turn = asyncio.Semaphore(1)

    async def tables(self, survey: Survey, *, by: Sequence[str] = (), spreads: bool = False) -> ContingencyTables:
        try:
            async with asyncio.timeout(self._seconds), self._turn, self._snapshots.open() as moment:
                await moment.be_patient(seconds=self._seconds)
                await moment.row(SETTINGS)
                counting = _Counting(moment, survey, self._pace, mixed=await _mixed(moment, survey))
                return await counting.tables(by, spreads=spreads)
        except TimeoutError:
            raise TooMuchToCount from None


async def _mixed(moment: Transaction, survey: Survey) -> frozenset[str]:
    """The fields that were questions of another type in some version."""
    now = {question.field: question.type for question in survey.definition.questions}
    versions = await moment.rows(DEFINITIONS, project_id=survey.project_id)
    then = {(question["field"], question["type"]) for version in versions for question in version["definition"]["questions"]}
    return frozenset(field for field, type in then if now.get(field, type) != type)


class _Counting:
    """The counting of one survey at one moment."""

    def __init__(self, moment: Transaction, survey: Survey, pace: Pace, *, mixed: frozenset[str]) -> None:
        self._moment = moment
        self._project_id = survey.project_id
        self._consent = survey.definition.consent
        self._pace = pace
        self._measures = measures_of(survey.definition)
        self._columns = [column for each in self._measures for column in columns_of(each, is_mixed=each.field in mixed)]
        self._sums = Sums()

    async def tables(self, by: Sequence[str], *, spreads: bool) -> ContingencyTables:
        groups = [column for field in by for column in self._columns if column.measure.field == field]
        once = self._groupings(groups[0] if groups else None)  # these have every question
        again = [grouping for column in groups[1:] for grouping in self._groupings(column)]
        n = 0
        for number, batch in enumerate(batches([*once, *again])):
            n += await self._count(batch, anybody=self._columns if number == 0 and self._consent is None else [], once=once)
        if self._consent is not None:
            n = self._sums.answered[self._consent.field]  # nobody answers anything else before
        return self._sums.tables(self._measures, n=n, by=groups, spreads=await self._spreads() if spreads else {})

    def _groupings(self, by: Column | None) -> list[Grouping]:
        return list(groupings([column for column in self._columns if column is not by], by=by))

    async def _count(self, batch: Sequence[Grouping], *, anybody: Sequence[Column], once: Sequence[Grouping]) -> int:
        """How many of `anybody` there are; the rest is added to the sums."""
        n = 0
        statement = counting(batch, self._consent, self._pace, anybody=anybody)
        for *keys, number in await self._moment.rows(statement, project_id=self._project_id):
            place, key = next((place, key) for place, key in enumerate(keys) if key is not None)
            if place == len(batch):
                n += number * (key == COUNTS)
                continue
            if batch[place] in once:
                self._sums.add(batch[place], key, number, with_groups=batch[place] is once[0])
            if batch[place].by is not None:
                self._sums.add_crossed(batch[place], key, number)
        return n

    async def _spreads(self) -> dict[str, Spread]:
        """Of each numeric question that somebody answered."""
        asked = [measured for measured in self._measures if measured.is_numeric and self._sums.answered[measured.field]]
        return {measured.field: await self._spread(measured) for measured in asked}

    async def _spread(self, measured: Measure) -> Spread:
        if is_listed(measured):
            given = self._sums.given[measured.field]
            return spread_of({int(text): number for text, number in given.items()})
        n = self._sums.answered[measured.field]
        ranks = quartile_ranks(n)
        shares = [(rank + 0.5) / n for rank in ranks]
        row = await self._moment.one(spread(measured, self._consent, self._pace), project_id=self._project_id, shares=shares)
        answers = dict(zip(ranks, map(float, row["ranked"]), strict=True))
        return Spread(mean=float(row["mean"]), quartiles=quartiles(n, answers.__getitem__))
