"""What the team erases of responses: one by what is told of its pseudonym, or tests, each with its entry of the trail."""

from collections.abc import Awaitable, Callable
from dataclasses import fields
from typing import Any

from sqlalchemy import ColumnElement, Integer, LargeBinary, bindparam, delete, insert, literal_column, select

from adapters.postgres.audit import PostgresAuditTrail
from adapters.postgres.database import Statement, Transaction
from adapters.postgres.tables import erasures, projects, responses
from domain.audit import Entry
from domain.erasure import Erasure
from domain.errors import NotFound

PSEUDONYM_BYTES = 32

_here = select(projects.c.id).where(projects.c.slug == bindparam("slug"), projects.c.deleted_at.is_(None)).cte("here")


def _erasing(*which: ColumnElement[bool]) -> Statement:
    """Erases these of a live project, and answers them beside the project, or the project alone."""
    gone = (
        delete(responses)
        .where(responses.c.project_id == _here.c.id, *which)
        .returning(*(responses.c[field.name] for field in fields(Erasure)))
        .cte("gone")
    )
    trace = insert(erasures).from_select(["project_id"], select(gone.c.project_id)).cte("trace")
    return Statement(select(_here.c.id.label("project"), gone).select_from(_here.outerjoin(gone, literal_column("true"))).add_cte(trace))


# A stretch of the index on pseudonyms: those that begin with what is told of one.
ERASE_NAMED = _erasing(responses.c.pseudonym.between(bindparam("first", type_=LargeBinary), bindparam("last", type_=LargeBinary)))
_tests = (
    select(responses.c.id)
    .where(responses.c.project_id == select(_here.c.id).scalar_subquery(), responses.c.is_test)
    .order_by(responses.c.id)
    .limit(bindparam("limit", type_=Integer))
)
ERASE_TESTS = _erasing(responses.c.id.in_(_tests))


def named(project: str, respondent: bytes) -> dict[str, Any]:
    """What `ERASE_NAMED` asks for: a response of this project whose pseudonym begins so."""
    return {"slug": project, "first": respondent, "last": respondent.ljust(PSEUDONYM_BYTES, b"\xff")}


async def erase_and_tell(
    work: Transaction,
    statement: Statement,
    given: dict[str, Any],
    *,
    entry: Callable[[int], Entry],
    request_id: Callable[[], str | None],
    witness: Callable[[Erasure], Awaitable[None]],
) -> int:
    """Erase, and put the entry for so many down, where there are any; how many. The caller commits. Raises `NotFound`."""
    rows = await work.rows(statement, **given)
    if not rows:
        raise NotFound
    gone = [Erasure(**{field.name: row[field.name] for field in fields(Erasure)}) for row in rows if row["revision"] is not None]
    if gone:
        await PostgresAuditTrail(work, request_id=request_id).add(entry(len(gone)))
    for erasure in gone:
        await witness(erasure)
    return len(gone)
