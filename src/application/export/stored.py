"""Stored exports: ask for one, see how far it is, read it."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from application.ports import AuditReader, Clock, Exports, FileStore, Random, UnitOfWork, UnitOfWorkFactory
from domain.access import Action, require
from domain.audit import AuditFilter, Target, differences, entry
from domain.errors import Fault, Invalid, Unavailable
from domain.export import Export, Format, Manifest, Quota, Subject, new_export, shown_to
from domain.user import User

KIND = "exports"
RESUMED_WITHIN = timedelta(days=1)


def name_of(content: UUID) -> str:
    """The name under which the bytes of an export are stored."""
    return f"{KIND}/{content}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateExport:
    """Ask for an export that is made in the background and kept: its content is that of a direct export, and never changes.

    Read it again until its `status` is `done`; `progress` is the share of rows written, in percent. Annotations are for admins: the file
    holds all labels, those of blind sets too, under pseudonyms. One person has at most 20 at once, of 5 GiB in all.
    """

    unit_of_work: UnitOfWorkFactory
    random: Random
    clock: Clock
    quota: Quota = field(default_factory=Quota)

    async def __call__(self, *, project: str, what: Subject, format: Format, filters: Mapping[str, Any], by: User) -> Export:
        async with self.unit_of_work() as work:
            made = await self.within(work, project=project, what=what, format=format, filters=filters, by=by)
            await work.commit()
        return made

    async def within(
        self, work: UnitOfWork, *, project: str, what: Subject, format: Format, filters: Mapping[str, Any], by: User
    ) -> Export:
        """The same within somebody else's unit of work."""
        now = self.clock.now()
        made = new_export(id=self.random.uuid(), project=project, what=what, format=format, filters=filters, by=by, at=now)
        if what is Subject.RESPONSES:
            newest, version = (await work.surveys.get(project)).version, filters.get("version")
            if version is not None and not 1 <= version <= newest:
                raise Invalid(Fault(pointer="/filters/version", code="unknown-version", detail=f"Versions run from 1 to {newest}."))
        await work.exports.add(made, quota=self.quota)
        asked = differences(None, made, "what", "format", "filters")
        await work.audit.add(entry("export.create", Target(type="export", id=str(made.id)), by=by, at=now, project=project, changes=asked))
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteExport:
    """Delete a stored export and its content for good, whether it waits, is being made or is done; one's own, or any as an admin."""

    unit_of_work: UnitOfWorkFactory
    store: FileStore
    clock: Clock

    async def __call__(self, *, project: str, export_id: UUID, expected: frozenset[int] | None, by: User) -> None:
        require(by, Action.EXPORT_DELETE)
        async with self.unit_of_work() as work:
            found = await work.exports.lock(project=project, export_id=export_id)
            found.delete(by=by, expected=expected)
            await work.exports.remove(found)
            told, target = differences(found, None, "what", "format"), Target(type="export", id=str(found.id))
            await work.audit.add(entry("export.delete", target, by=by, at=self.clock.now(), project=project, changes=told))
            await work.commit()
        if found.content is not None:
            with suppress(Unavailable):  # nobody can reach it any more; the sweep removes it
                await self.store.remove(name_of(found.content))


@dataclass(frozen=True, slots=True, kw_only=True)
class ListExports:
    """The stored exports of a project that one may read, in the order in which they were asked for."""

    exports: Exports

    async def __call__(self, *, project: str, after: UUID, limit: int, by: User) -> list[Export]:
        return await self.exports.page(project, of=shown_to(by), after=after, limit=limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class GetExport:
    """A stored export: how far it is and, once it is done, what it came to."""

    exports: Exports

    async def __call__(self, *, project: str, export_id: UUID, by: User) -> Export:
        require(by, Action.EXPORT_READ)
        found = await self.exports.get(project=project, export_id=export_id)
        found.show_to(by)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadExport:
    """The content of a stored export that is done: the bytes that were made then, or a part of them."""

    exports: Exports
    store: FileStore

    async def __call__(self, *, project: str, export_id: UUID, by: User) -> tuple[Export, Manifest]:
        """The export and its manifest. Raises `ExportNotDone`."""
        require(by, Action.EXPORT_READ)
        found = await self.exports.get(project=project, export_id=export_id)
        found.show_to(by)
        manifest, _ = found.whole()
        return found, manifest

    def bytes_of(self, export: Export, *, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """Its bytes from `start` to before `end`."""
        _, content = export.whole()
        return self.store.read(name_of(content), start=start, end=end)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRead:
    """Put down that somebody is about to get the content of a stored export: each time from its beginning on, once a day from further on.

    So a download that goes on where it broke off leaves one entry, and without any nobody gets a part of it.
    """

    audit: AuditReader
    unit_of_work: UnitOfWorkFactory
    clock: Clock

    async def __call__(self, export: Export, *, start: int, by: User) -> None:
        now, action, target = self.clock.now(), "export.read", Target(type="export", id=str(export.id))
        if start:
            last = await self.audit.page(AuditFilter(action=action, actor=by.username, target=target), before=None, limit=1)
            if last and last[0].record.entry.at > now - RESUMED_WITHIN:
                return
        async with self.unit_of_work() as work:
            told = differences(None, export, "what", "format")
            await work.audit.add(entry(action, target, by=by, at=now, project=export.project, changes=told))
            await work.commit()
