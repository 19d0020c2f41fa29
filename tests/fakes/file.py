"""Uploaded files in memory."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from application.ports import Files
from domain.errors import NotFound
from domain.file import File
from domain.quota import QuotaExceeded
from tests.fakes.store import Access


class FakeFiles(Files):
    def __init__(self, access: Access) -> None:
        self._access = access

    async def add(self, file: File, *, quota: int) -> None:
        async with self._access.write() as tables:
            project = tables.live_project(file.project)
            if project is None:
                raise NotFound
            used = sum(each.size for _, each in tables.files.values() if each.created_by_id == file.created_by_id)
            if used + file.size > quota:
                raise QuotaExceeded
            tables.files[file.id] = project.id, file
            tables.files_verified[file.id] = file.created_at

    async def get(self, *, project: str, file_id: UUID) -> File:
        found = self._of(project).get(file_id)
        if found is None:
            raise NotFound
        return found

    async def page(self, project: str, *, after: UUID, limit: int) -> list[File]:
        return [file for id, file in sorted(self._of(project).items()) if id > after][:limit]

    async def remove(self, *, project: str, file_id: UUID) -> None:
        async with self._access.write() as tables:
            if file_id not in self._of(project):
                raise NotFound
            del tables.files[file_id]

    async def every(self, *, after: UUID, limit: int) -> list[File]:
        return [file for id, (_, file) in sorted(self._access.read.files.items()) if id > after][:limit]

    async def strangers(self, ids: Collection[UUID]) -> set[UUID]:
        return {id for id in ids if id not in self._access.read.files}

    async def wait(self) -> None:
        """A unit of work is alone here."""

    async def take_unverified(self, *, before: datetime, at: datetime) -> File | None:
        async with self._access.write() as tables:
            due = [(verified, id) for id, verified in tables.files_verified.items() if verified < before and id in tables.files]
            if not due:
                return None
            _, id = min(due)
            tables.files_verified[id] = at
            return tables.files[id][1]

    def _of(self, slug: str) -> dict[UUID, File]:
        project = self._access.read.live_project(slug)
        if project is None:
            raise NotFound
        return {id: file for id, (owner, file) in self._access.read.files.items() if owner == project.id}
