"""Removing for good, in memory."""

from datetime import datetime
from typing import TypeVar

from application.ports import Archive
from domain.export import Progress
from tests.fakes.store import Access

Key = TypeVar("Key")
Row = TypeVar("Row")


class FakeArchive(Archive):
    def __init__(self, access: Access) -> None:
        self._access = access

    async def purge(self, *, before: datetime) -> dict[str, int]:
        async with self._access.write() as tables:
            projects = {id for id, each in tables.projects.items() if _is_before(each.deleted_at, before)}
            closed = {id for id, each in tables.surveys.items() if not each.is_open}
            responses = {
                id
                for id, each in tables.responses.items()
                if each.project_id in projects or (each.project_id in closed and each.saved_at < before)
            }
            resources = {id for id, (owner, each) in tables.resources.items() if owner in projects or _is_before(each.deleted_at, before)}
            sessions = {id for id, each in tables.sessions.items() if _is_before(each.ended_at, before) or each.expires_at < before}
            exports = {
                id
                for id, each in tables.exports.items()
                if each.project_id in projects
                or (each.export.status in (Progress.DONE, Progress.FAILED) and each.export.created_at < before)
            }
            sets = {id for id, each in tables.label_sets.items() if each.project_id in projects}
            noted = {id for id, each in tables.annotations.items() if each.label_set_id in sets or each.resource_id in resources}
            tables.label_sets = _without(tables.label_sets, sets)
            tables.annotations = _without(tables.annotations, noted)
            versions = {key for key in tables.survey_versions if key[0] in projects}
            tables.deleted_responses.update(each.project_id for id in responses if not (each := tables.responses[id]).is_test)
            tables.responses = _without(tables.responses, responses)
            tables.resources = _without(tables.resources, resources)
            tables.resource_versions = {key: each for key, each in tables.resource_versions.items() if key[0] not in resources}
            tables.sessions = _without(tables.sessions, sessions)
            tables.survey_versions = _without(tables.survey_versions, versions)
            tables.exports = _without(tables.exports, exports)
            tables.surveys = _without(tables.surveys, projects)
            tables.spendings = _without(tables.spendings, {key for key in tables.spendings if key[0] in projects})
            tables.files = {id: (owner, each) for id, (owner, each) in tables.files.items() if owner not in projects}
            tables.projects = _without(tables.projects, projects)
            tables.replays = {key: each for key, each in tables.replays.items() if each.expires_at > before}
        return {
            "projects": len(projects),
            "resources": len(resources),
            "responses": len(responses),
            "exports": len(exports),
            "sessions": len(sessions),
        }


def _is_before(moment: datetime | None, before: datetime) -> bool:
    return moment is not None and moment < before


def _without(rows: dict[Key, Row], keys: set[Key]) -> dict[Key, Row]:
    return {key: row for key, row in rows.items() if key not in keys}
