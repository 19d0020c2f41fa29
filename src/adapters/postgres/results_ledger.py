"""Who publishes results and what releases have cost, in PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from asyncpg import Record
from sqlalchemy import BigInteger, Boolean, bindparam, cast, func, literal, select
from sqlalchemy.dialects.postgresql import insert as upsert

from adapters.postgres.database import Pool, Statement, Transaction, parameters
from adapters.postgres.responses_made import ever_made
from adapters.postgres.results import joined
from adapters.postgres.tables import TIME, projects, results_spendings, survey_results, survey_versions, surveys
from application.ports import PublicSurvey, ResultsLedger
from domain.results import NotedSpending, Spending, Spent
from domain.survey import Survey, results_from

_LOCK = 0x52657375  # any constant: one publisher at a time over all processes
_TURN_SECONDS = 900.0  # far more than any turn takes: after that a worker that stands still has lost it
_LOOKING_SHARE = 50  # counting takes at most a fiftieth of the time
_ANYHOW_SECONDS = 10.0  # a save that was under way during the last look has taken its number before that

TAKE_TURN = Statement(select(func.pg_try_advisory_xact_lock(_LOCK)))
_settings = survey_versions.c.definition["results"]
_spent = (
    select(
        func.max(results_spendings.c.number).label("number"),
        func.max(results_spendings.c.responses).label("responses"),
        func.sum(results_spendings.c.series).label("series"),
        func.sum(results_spendings.c.closing).label("closing"),
    )
    .where(results_spendings.c.project_id == projects.c.id)
    .lateral("spent")
)
PUBLIC_SURVEYS = Statement(
    select(projects.c.id, projects.c.slug, projects.c.created_at, surveys.c.is_open, _settings.label("results"), _spent)
    .select_from(
        projects.join(surveys, surveys.c.project_id == projects.c.id)
        .join(survey_versions, (survey_versions.c.project_id == projects.c.id) & (survey_versions.c.version == surveys.c.version))
        .outerjoin(_spent, literal(value=True))
    )
    .where(projects.c.deleted_at.is_(None), cast(_settings["public"].astext, Boolean))
    .order_by(projects.c.id)
)
# Every response takes a number that is higher than all that were taken before.
NUMBERS_TAKEN = Statement(select(func.coalesce(func.pg_sequence_last_value(func.pg_get_serial_sequence("responses", "id")), 0)))
MADE = Statement(select(ever_made(bindparam("project_id", type_=BigInteger))))

_spending = (
    upsert(results_spendings)
    .from_select(
        [column.name for column in results_spendings.c],
        select(*parameters(results_spendings).values())
        .select_from(surveys)
        .where(surveys.c.project_id == bindparam("project_id"), surveys.c.version == bindparam("survey_version")),
    )
    .on_conflict_do_nothing()
    .returning(results_spendings.c.project_id)
    .cte("spending")
)
_result = upsert(survey_results).from_select(
    [column.name for column in survey_results.c], select(*parameters(survey_results).values()).select_from(_spending)
)
RELEASE = Statement(
    _result.on_conflict_do_update(
        index_elements=[survey_results.c.project_id],
        set_={column.name: _result.excluded[column.name] for column in survey_results.c if column.name != "project_id"},
    ).returning(survey_results.c.project_id)
)
ADD_NOTED = Statement(
    upsert(results_spendings)
    .from_select(
        [column.name for column in results_spendings.c],
        select(*parameters(results_spendings).values())
        .select_from(projects)
        .where(projects.c.id == bindparam("project_id"), projects.c.created_at == bindparam("project_made_at", type_=TIME)),
    )
    .on_conflict_do_nothing()
    .returning(results_spendings.c.number)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """How responses were counted last: how many there were, how many numbers were taken before, and when that was and took how long."""

    made: int
    numbers_taken: int
    at: float
    seconds: float

    def is_outdated(self, at_least: int, numbers_taken: int, now: float) -> bool:
        """Whether there may be so many by now, and counting again is not too dear."""
        are_enough = numbers_taken - self.numbers_taken >= at_least - self.made
        return now >= self.at + _LOOKING_SHARE * self.seconds and (are_enough or now >= self.at + _ANYHOW_SECONDS)


class PostgresResultsLedger(ResultsLedger):
    """Remembers when it counted: so many numbers have to be taken since as responses were missing, before they can all be there."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._looks: dict[int, _Look] = {}

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[bool]:
        async with Transaction(self._pool) as work:
            await work.be_patient(seconds=_TURN_SECONDS)
            yield (await work.one(TAKE_TURN))[0]

    async def public_surveys(self) -> list[PublicSurvey]:
        return [_public_survey(row) for row in await self._pool.rows(PUBLIC_SURVEYS)]

    async def made(self, project_id: int, *, at_least: int) -> int | None:
        loop = asyncio.get_running_loop()
        numbers_taken: int = (await self._pool.one(NUMBERS_TAKEN))[0]
        last = self._looks.get(project_id)
        begun_at = loop.time()
        if last is not None and not last.is_outdated(at_least, numbers_taken, begun_at):
            return None
        made: int = (await self._pool.one(MADE, project_id=project_id))[0]
        seconds = loop.time() - begun_at
        self._looks[project_id] = _Look(made=made, numbers_taken=numbers_taken, at=loop.time(), seconds=seconds)
        return made if made >= at_least else None

    async def release(self, survey: Survey, spending: Spending, documents: Mapping[str, bytes], *, at: datetime) -> bool:
        row = await self._pool.row(
            RELEASE,
            **spending_row(spending, project_id=survey.project_id, at=at),
            survey_version=survey.version,
            minimum_cell=survey.definition.results.minimum_cell,
            snapshot=None,
            documents=joined(documents),
            published_at=at,
        )
        return row is not None

    async def add_noted(self, noted: Iterable[NotedSpending]) -> int:
        added = 0
        async with Transaction(self._pool) as work:
            for each in noted:
                row = spending_row(each.spending, project_id=each.project_id, at=each.spent_at)
                added += await work.row(ADD_NOTED, **row, project_made_at=each.project_made_at) is not None
            await work.commit()
        return added


def _public_survey(row: Record) -> PublicSurvey:
    has_spent = row["number"] is not None
    return PublicSurvey(
        project=row["slug"],
        project_id=row["id"],
        project_made_at=row["created_at"],
        is_open=row["is_open"],
        results=results_from(row["results"]),
        spent=Spent(number=row["number"], responses=row["responses"], series=Fraction(row["series"]), closing=Fraction(row["closing"]))
        if has_spent
        else Spent(),
    )


def spending_row(spending: Spending, *, project_id: int, at: datetime) -> dict[str, Any]:
    """The columns of a spending, in their order."""
    return {
        "project_id": project_id,
        "number": spending.number,
        "responses": spending.responses,
        "series": _exact(spending.series),
        "closing": _exact(spending.closing),
        "spent_at": at,
    }


def _exact(share: Fraction) -> Decimal:
    """A share has twelve decimals, so nothing is rounded."""
    return Decimal(share.numerator) / Decimal(share.denominator)
