"""How many live resources a project has of each status, told without looking at them. See docs/decisions/0032-counting.md."""

from functools import cache

from sqlalchemy import BigInteger, ColumnElement, bindparam, cast, func, select

from adapters.postgres.database import Statement
from adapters.postgres.resource.filters import PROJECT_ID
from adapters.postgres.tables import resource_counts


def counted(*, status: bool) -> ColumnElement[int]:
    """The number of a project's live resources, of one status or of all."""
    of_project = select(cast(func.coalesce(func.sum(resource_counts.c.number), 0), BigInteger)).where(
        resource_counts.c.project_id == PROJECT_ID.scalar_subquery()
    )
    return (of_project.where(resource_counts.c.status == bindparam("status")) if status else of_project).scalar_subquery()


@cache
def counted_statement(*, status: bool) -> Statement:
    return Statement(select(counted(status=status).label("n")))
