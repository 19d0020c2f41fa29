"""Stored exports in memory."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

from application.ports import Claim, Exports
from domain.errors import NotFound
from domain.export import Export, Manifest, Progress, Quota, Subject
from tests.fakes.store import Access, Tables


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptExport:
    project_id: int
    export: Export
    attempts: int = 0
    content: UUID | None = None
    until: datetime | None = None
    verified: datetime | None = None


class FakeExports(Exports):
    def __init__(self, access: Access) -> None:
        self._access = access

    async def add(self, export: Export, *, quota: Quota) -> None:
        async with self._access.write() as tables:
            project = tables.live_project(export.project)
            if project is None:
                raise NotFound
            live, size = _used(tables, export.created_by_id)
            quota.expect_room(live=live + 1, bytes=size + 1)
            tables.exports[export.id] = KeptExport(project_id=project.id, export=export)

    async def lock(self, *, project: str, export_id: UUID) -> Export:
        return await self.get(project=project, export_id=export_id)

    async def remove(self, export: Export) -> None:
        async with self._access.write() as tables:
            tables.exports.pop(export.id, None)

    async def get(self, *, project: str, export_id: UUID) -> Export:
        found = self._of(project).get(export_id)
        if found is None:
            raise NotFound
        return found.export

    async def page(self, project: str, *, of: Collection[Subject], after: UUID, limit: int) -> list[Export]:
        return [kept.export for id, kept in sorted(self._of(project).items()) if id > after and kept.export.what in of][:limit]

    async def claim(self, *, at: datetime, until: datetime) -> Claim | None:
        async with self._access.write() as tables:
            turns = tables.export_turns
            free = [kept for _, kept in sorted(tables.exports.items()) if _is_free(kept, at)]
            free.sort(key=lambda kept: turns.get(kept.export.created_by_id, datetime.min.replace(tzinfo=UTC)))
            if not free:
                return None
            turns[free[0].export.created_by_id] = at
            export = replace(free[0].export, status=Progress.RUNNING, percent=0)
            kept = replace(free[0], export=export, attempts=free[0].attempts + 1, content=uuid4(), until=until)
            tables.exports[export.id] = kept
            project = tables.projects[kept.project_id]
        assert kept.content is not None
        return Claim(export=export, attempts=kept.attempts, content=kept.content, title=project.title, description=project.description)

    async def renew(self, claim: Claim, *, percent: int, until: datetime) -> bool:
        return await self._change(claim, until=until, percent=percent)

    async def finish(self, claim: Claim, manifest: Manifest, *, quota: Quota) -> bool:
        _, size = _used(self._access.read, claim.export.created_by_id)
        if self._holds(self._access.read, claim):
            quota.expect_room(live=0, bytes=size + manifest.size)
        return await self._change(claim, status=Progress.DONE, percent=100, manifest=manifest, content=claim.content)

    async def fail(self, claim: Claim) -> None:
        await self._change(claim, status=Progress.FAILED)

    async def release(self, claim: Claim) -> None:
        await self._change(claim, status=Progress.QUEUED, percent=0)

    async def unknown(self, contents: Sequence[UUID]) -> set[UUID]:
        return set(contents) - {kept.content for kept in self._access.read.exports.values() if kept.content is not None}

    async def every(self, *, after: UUID, limit: int) -> list[Export]:
        return [kept.export for id, kept in sorted(self._access.read.exports.items()) if id > after and _is_done(kept)][:limit]

    async def take_unverified(self, *, before: datetime, at: datetime) -> Export | None:
        async with self._access.write() as tables:
            due = [(kept.verified or kept.export.created_at, id) for id, kept in tables.exports.items() if _is_done(kept)]
            verified, id = min(due, default=(before, UUID(int=0)))
            if verified >= before:
                return None
            tables.exports[id] = replace(tables.exports[id], verified=at)
            return tables.exports[id].export

    def _of(self, project: str) -> dict[UUID, KeptExport]:
        found = self._access.read.live_project(project)
        if found is None:
            raise NotFound
        return {id: kept for id, kept in self._access.read.exports.items() if kept.project_id == found.id}

    async def _change(self, claim: Claim, *, until: datetime | None = None, **changes: object) -> bool:
        async with self._access.write() as tables:
            if not self._holds(tables, claim):
                return False
            kept = tables.exports[claim.export.id]
            changed = replace(kept, export=replace(kept.export, **changes), until=until)  # type: ignore[arg-type]
            if changed.export.status in (Progress.FAILED, Progress.QUEUED):
                changed = replace(changed, content=None)
            if changed.export.status is Progress.QUEUED:
                changed = replace(changed, attempts=kept.attempts - 1)
            tables.exports[claim.export.id] = changed
            return True

    @staticmethod
    def _holds(tables: Tables, claim: Claim) -> bool:
        kept = tables.exports.get(claim.export.id)
        return kept is not None and kept.content == claim.content and kept.export.status is Progress.RUNNING


def _used(tables: Tables, user_id: int) -> tuple[int, int]:
    """How many exports a user has in projects that are there, and how many bytes they come to."""
    mine = [
        kept.export
        for kept in tables.exports.values()
        if kept.export.created_by_id == user_id and tables.projects[kept.project_id].is_active
    ]
    live = [export for export in mine if export.status is not Progress.FAILED]
    return len(live), sum(export.manifest.size for export in live if export.manifest)


def _is_done(kept: KeptExport) -> bool:
    return kept.export.status is Progress.DONE


def _is_free(kept: KeptExport, at: datetime) -> bool:
    status = kept.export.status
    return status is Progress.QUEUED or (status is Progress.RUNNING and kept.until is not None and kept.until < at)
