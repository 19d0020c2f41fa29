"""Removing for good what was put away long ago."""

from datetime import datetime

from sqlalchemy import Delete, Table, bindparam, delete, func, insert, or_, select

from adapters.postgres.database import Executor, Statement
from adapters.postgres.idempotency import SWEEP_ALL
from adapters.postgres.tables import (
    TIME,
    deleted_responses,
    erasures,
    exports,
    files,
    label_sets,
    projects,
    resource_counts,
    resource_versions,
    resources,
    responses,
    results_spendings,
    sessions,
    setup_tokens,
    survey_results,
    survey_versions,
    surveys,
)
from application.ports import Archive

_before = bindparam("before", type_=TIME)
_old_projects = select(projects.c.id).where(projects.c.deleted_at < _before)
_closed = select(surveys.c.project_id).where(~surveys.c.is_open)
_changed_at = func.coalesce(responses.c.updated_at, responses.c.created_at)


def _counting(doomed: Delete) -> Statement:
    gone = doomed.returning(doomed.table.c[0].label("gone")).cte("gone")
    return Statement(select(func.count().label("n")).select_from(gone), patient=True)


def _of_old_projects(table: Table) -> Statement:
    return Statement(delete(table).where(table.c.project_id.in_(_old_projects)), patient=True)


# Children first; what is counted is what a person put there.
_expired = (
    delete(responses)
    .where(
        or_(
            responses.c.project_id.in_(_closed) & (_changed_at < _before),
            responses.c.project_id.in_(_old_projects),
        )
    )
    .returning(responses.c.project_id)
    .cte("expired")
)
_trace = insert(erasures).from_select(["project_id"], select(_expired.c.project_id)).cte("trace")
RESPONSES = Statement(select(func.count().label("n")).select_from(_expired).add_cte(_trace), patient=True)
RESOURCES = _counting(delete(resources).where(or_(resources.c.deleted_at < _before, resources.c.project_id.in_(_old_projects))))
# No foreign key does it: see the table.
VERSIONS = Statement(
    delete(resource_versions).where(
        ~select(resources.c.id)
        .where(resources.c.project_id == resource_versions.c.project_id, resources.c.id == resource_versions.c.resource_id)
        .exists()
    ),
    patient=True,
)
_ended = or_(exports.c.status == "done", exports.c.status == "failed")
EXPORTS = _counting(delete(exports).where(or_(_ended & (exports.c.created_at < _before), exports.c.project_id.in_(_old_projects))))
_OF_PROJECTS = (
    label_sets,
    files,
    resource_counts,
    erasures,
    deleted_responses,
    results_spendings,
    survey_results,
    survey_versions,
    surveys,
)
REST_OF_PROJECTS = [_of_old_projects(table) for table in _OF_PROJECTS]
PROJECTS = _counting(delete(projects).where(projects.c.deleted_at < _before))
TOKENS = Statement(delete(setup_tokens).where(setup_tokens.c.expires_at < _before))
SESSIONS = _counting(delete(sessions).where(or_(sessions.c.ended_at < _before, sessions.c.expires_at < _before)))


class PostgresArchive(Archive):
    def __init__(self, executor: Executor) -> None:
        self._run = executor

    async def purge(self, *, before: datetime) -> dict[str, int]:
        counts = {
            "responses": (await self._run.one(RESPONSES, before=before))["n"],
            "resources": (await self._run.one(RESOURCES, before=before))["n"],
            "exports": (await self._run.one(EXPORTS, before=before))["n"],
        }
        await self._run.row(VERSIONS)
        for statement in REST_OF_PROJECTS:
            await self._run.row(statement, before=before)
        counts["projects"] = (await self._run.one(PROJECTS, before=before))["n"]
        await self._run.row(TOKENS, before=before)
        counts["sessions"] = (await self._run.one(SESSIONS, before=before))["n"]
        await self._run.row(SWEEP_ALL, at=before)
        return counts
