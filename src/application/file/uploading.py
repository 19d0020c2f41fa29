"""Files: receive, store, list, show, delete."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from application.ports import Clock, Files, FileStore, Incoming, Projects, Random, UnitOfWork, UnitOfWorkFactory
from domain.access import Action, require
from domain.audit import Difference, Target, differences, entry
from domain.errors import Unavailable, expect_version
from domain.file import VERSION, File, Inspection, base_name, name_faults
from domain.text import refuse
from domain.user import User


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A content that came whole and is what it says, not kept yet."""

    content: Incoming
    filename: str
    size: int
    content_type: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiveFile:
    """Receives a content part by part, hashing and inspecting it; while this lasts it can be kept, and what was not is gone after.

    Raises `NotFound` without such a project, `UnsupportedContent`, then `Invalid` for the name, and `Full`, `Unavailable`.
    """

    projects: Projects
    store: FileStore

    @asynccontextmanager
    async def __call__(
        self, *, project: str, filename: str, declared: str, parts: AsyncIterator[bytes], by: User
    ) -> AsyncIterator[Received]:
        require(by, Action.FILE_UPLOAD)
        await self.projects.get(project)
        inspection, digest, size = Inspection(), hashlib.sha256(), 0
        async with self.store.incoming() as content:
            async for part in parts:
                inspection.take(part)
                digest.update(part)
                size += len(part)
                await content.write(part)
            content_type = inspection.end(declared)
            name = base_name(filename)
            refuse(name_faults(name))
            yield Received(content=content, filename=name, size=size, content_type=content_type, sha256=digest.hexdigest())


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadFile:
    """Store a PNG, JPEG or PDF in a project: once this answers it is durable, and nobody sees it before.

    The type is told by the bytes. The name is kept without path parts. All files that one person uploaded have one quota.
    """

    unit_of_work: UnitOfWorkFactory
    random: Random
    clock: Clock
    quota: int

    async def __call__(self, *, project: str, received: Received, by: User) -> File:
        async with self.unit_of_work() as work:
            made = await self.within(work, project=project, received=received, by=by)
            await work.commit()
        return made

    async def within(self, work: UnitOfWork, *, project: str, received: Received, by: User) -> File:
        """The same within somebody else's unit of work. The content is durable before that commits; the sweep removes it if it does not."""
        require(by, Action.FILE_UPLOAD)
        now = self.clock.now()
        file = File(
            id=self.random.uuid(),
            project=project,
            filename=received.filename,
            size=received.size,
            content_type=received.content_type,
            sha256=received.sha256,
            created_by=by.username,
            created_by_id=by.id,
            created_at=now,
        )
        await work.files.add(file, quota=self.quota)
        await work.audit.add(
            entry("file.upload", Target(type="file", id=str(file.id)), by=by, at=now, project=project, changes=_told(None, file))
        )
        await received.content.keep(file.content_name)
        return file


@dataclass(frozen=True, slots=True, kw_only=True)
class ListFiles:
    """The files of a project, oldest first."""

    files: Files

    async def __call__(self, *, project: str, after: UUID, limit: int) -> list[File]:
        return await self.files.page(project, after=after, limit=limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class GetFile:
    """What is known of a file."""

    files: Files

    async def __call__(self, *, project: str, file_id: UUID) -> File:
        return await self.files.get(project=project, file_id=file_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteFile:
    """Delete a file and its content, for good."""

    unit_of_work: UnitOfWorkFactory
    store: FileStore
    clock: Clock

    async def __call__(self, *, project: str, file_id: UUID, expected: frozenset[int] | None, by: User) -> None:
        require(by, Action.FILE_DELETE)
        async with self.unit_of_work() as work:
            file = await work.files.get(project=project, file_id=file_id)
            expect_version(VERSION, expected)
            await work.files.remove(project=project, file_id=file_id)
            await work.audit.add(
                entry(
                    "file.delete",
                    Target(type="file", id=str(file.id)),
                    by=by,
                    at=self.clock.now(),
                    project=project,
                    changes=_told(file, None),
                )
            )
            await work.commit()
        try:
            await self.store.remove(file.content_name)
        except Unavailable:
            return  # nobody can reach it any more; the sweep removes it


def _told(before: File | None, after: File | None) -> tuple[Difference, ...]:
    return differences(before, after, "filename", "size", "content_type", "sha256")
