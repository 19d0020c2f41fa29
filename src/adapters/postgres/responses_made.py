"""How many responses were ever made: those that are there and those that were deleted, tests left out, all as of one moment."""

from typing import Any

from sqlalchemy import ColumnElement, func, select

from adapters.postgres.tables import deleted_responses, responses


def ever_made(project_id: ColumnElement[Any]) -> ColumnElement[int]:
    """The number for a project, as a part of any statement; what it counts stands in indexes."""
    live = select(func.count()).select_from(responses).where(responses.c.project_id == project_id).scalar_subquery()
    tests = select(func.count()).select_from(responses).where(responses.c.project_id == project_id, responses.c.is_test).scalar_subquery()
    deleted = select(deleted_responses.c.number).where(deleted_responses.c.project_id == project_id).scalar_subquery()
    return live - tests + func.coalesce(deleted, 0)
