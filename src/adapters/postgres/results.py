"""Published results in PostgreSQL.

What changed since a publication is told by transactions, not by times: a change counts while the snapshot that the publication was
made from does not see it, so that none is missed or counted twice, whatever was under way at that moment.
"""

import asyncio
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, Numeric, Text, and_, bindparam, case, cast, func, literal, select
from sqlalchemy.dialects.postgresql import insert as upsert

from adapters.postgres.database import Pool, Statement, Transaction, parameters
from adapters.postgres.responses_made import ever_made
from adapters.postgres.survey import NEWEST, survey_of
from adapters.postgres.tables import SNAPSHOT, XID8, answer_changes, responses, survey_results
from application.ports import PublishedDocument, PublishedResults, Standing
from domain.errors import NotFound
from domain.results import Tally
from domain.results.published import STEP_SHARE
from domain.survey import Protection, Survey

_BATCH = 2_000
_COUNTED_MAX = 1_000_000_000

# --- how results stand -------------------------------------------------------------------------------------------------------

_survey = NEWEST.cte("survey")
_published = survey_results.c.snapshot
_is_public = cast(_survey.c.definition["results"]["public"].astext, Boolean)
_minimum = cast(_survey.c.definition["results"]["minimum_cell"].astext, Numeric)
_told = case((_published.is_not(None), cast(survey_results.c.documents.op("->")("").op("->>")("n"), BigInteger)))
_step = func.greatest(_minimum, func.ceil(func.coalesce(_told, 0) / literal(float(STEP_SHARE))))
_asked = cast(func.least(_step, _COUNTED_MAX), BigInteger)


def _since(table: Any, counted: Any) -> Any:
    """How many of these came since the publication, counted up to the minimum cell.

    The upper bound excludes nothing: two bounds make the planner expect few rows, as there are, and take the index on them. The
    offset keeps it from walking the whole table in an order that would save the sorting of those few.
    """
    snapshot = cast(_published, SNAPSHOT)
    unseen = (
        select(counted.label("counted"))
        .where(
            table.c.project_id == _survey.c.project_id,
            table.c.xid >= func.pg_snapshot_xmin(snapshot, type_=XID8),
            table.c.xid <= func.pg_snapshot_xmax(func.pg_current_snapshot(), type_=XID8),
            ~func.pg_visible_in_snapshot(table.c.xid, snapshot),
        )
        .offset(0)
        .correlate(_survey, survey_results)
        .subquery()
    )
    distinct = select(unseen.c.counted).distinct().limit(_asked).correlate(_survey, survey_results).subquery()
    return select(func.count()).select_from(distinct).scalar_subquery()


_all = (
    select(literal(1))
    .where(responses.c.project_id == _survey.c.project_id, ~responses.c.is_test)
    .limit(_asked)
    .correlate(_survey)
    .subquery()
)
_of_survey = _survey.outerjoin(survey_results, survey_results.c.project_id == _survey.c.project_id)
_waits = and_(
    survey_results.c.project_id.is_(None),
    _is_public,
    func.coalesce(_survey.c.definition["results"]["protection"].astext, Protection.NOISE.value) == Protection.NOISE.value,
)
DOCUMENT = Statement(
    select(
        _survey,
        survey_results.c.minimum_cell,
        survey_results.c.published_at.label("released_at"),
        cast(survey_results.c.documents.op("->")(bindparam("by", type_=Text)), Text).label("document"),
        case((_waits, ever_made(_survey.c.project_id))).label("responses"),
    ).select_from(_of_survey)
)
STANDING = Statement(
    select(
        _survey,
        _published.label("snapshot"),
        _told.label("told"),
        case(
            (~_is_public, 0),
            (_published.is_(None), select(func.count()).select_from(_all).scalar_subquery()),
            else_=_since(answer_changes, answer_changes.c.response_id),
        ).label("changed"),
    ).select_from(_of_survey)
)

# --- publishing anew ---------------------------------------------------------------------------------------------------------

MOMENT = Statement(select(cast(func.pg_current_snapshot(), Text)))
ANSWERS = Statement(
    select(cast(responses.c.answers, Text)).where(responses.c.project_id == bindparam("project_id", type_=BigInteger), ~responses.c.is_test)
)
_new = upsert(survey_results).values(parameters(survey_results))
PUBLISH = Statement(
    _new.on_conflict_do_update(
        index_elements=[survey_results.c.project_id],
        set_={c.name: _new.excluded[c.name] for c in survey_results.c if c.name != "project_id"},
        where=_published.is_not_distinct_from(bindparam("instead_of", type_=Text)),
    ).returning(survey_results.c.project_id)
)


class PostgresResults(PublishedResults):
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def document(self, project: str, by: str) -> PublishedDocument:
        row = await self._pool.row(DOCUMENT, project=project, by=by)
        if row is None or row["version"] is None:
            raise NotFound
        return PublishedDocument(
            survey=survey_of(row, project),
            document=None if row["document"] is None else row["document"].encode(),
            published_at=row["released_at"],
            minimum_cell=row["minimum_cell"],
            responses=row["responses"],
        )

    async def standing(self, project: str) -> Standing:
        row = await self._pool.row(STANDING, project=project)
        if row is None or row["version"] is None:
            raise NotFound
        return Standing(survey=survey_of(row, project), changed=row["changed"], mark=row["snapshot"], n=row["told"])

    async def count(self, survey: Survey, tally: Tally) -> str:
        async with Transaction(self._pool, snapshot=True) as moment:
            mark: str = (await moment.one(MOMENT))[0]
            async for batch in moment.batches(ANSWERS, size=_BATCH, project_id=survey.project_id):
                await asyncio.to_thread(_add, tally, [row[0] for row in batch])
        return mark

    async def publish(self, survey: Survey, documents: Mapping[str, bytes], *, mark: str, instead_of: str | None, at: datetime) -> bool:
        row = await self._pool.row(
            PUBLISH,
            project_id=survey.project_id,
            survey_version=survey.version,
            minimum_cell=survey.definition.results.minimum_cell,
            snapshot=mark,
            documents=joined(documents),
            published_at=at,
            instead_of=instead_of,
        )
        return row is not None


def joined(documents: Mapping[str, bytes]) -> str:
    """Documents by field as one, each byte for byte as it was."""
    return "{" + ",".join(f"{json.dumps(by)}:{document.decode()}" for by, document in documents.items()) + "}"


def _add(tally: Tally, answers: list[str]) -> None:
    """Decode and count: in a thread, as 100 000 responses take seconds."""
    tally.add([json.loads(each) for each in answers])
