"""Making stored exports, one after the other, beside everything else that the service does."""

import asyncio
import hashlib
import json
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from application.export.sheets import Sheet, annotation_sheet, resource_sheet, response_sheet
from application.export.stored import name_of
from application.ports import (
    AnnotationReader,
    Claim,
    Clock,
    Exports,
    FileStore,
    ResourceTables,
    Respondents,
    ResponseReader,
    Tables,
    UnitOfWorkFactory,
)
from domain.annotation import AnnotationFilter
from domain.errors import DomainError, Unavailable
from domain.export import Format, Manifest, Quota, Subject, data_package, percent
from domain.quota import QuotaExceeded
from domain.resource import Filter, Status
from domain.survey import AskedTests

CLAIMED_FOR = timedelta(seconds=15)
TOLD_EVERY = timedelta(seconds=1)
ATTEMPTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheets:
    """The table that an export is of."""

    resources: ResourceTables
    responses: ResponseReader
    annotations: AnnotationReader
    respondents: Respondents
    tables: Tables

    def open(self, project: str, what: Subject, format: Format, filters: Mapping[str, Any]) -> AbstractAsyncContextManager[Sheet]:
        """The table as it is now, under the filters of its direct export; nothing is hidden. Annotators are pseudonyms without `names`.

        Raises `NotFound`, `TooManyTables`, `Invalid`.
        """
        is_guarded = not filters.get("raw", False)
        if what is Subject.RESPONSES:
            version = filters.get("version")
            tests = AskedTests(filters.get("test") or AskedTests.EXCLUDE)
            return response_sheet(
                self.responses, self.tables, project=project, kind=format, version=version, tests=tests, guarded=is_guarded
            )
        if what is Subject.ANNOTATIONS:
            shown = AnnotationFilter(project=project)
            respondents = None if filters.get("names", False) else self.respondents
            return annotation_sheet(self.annotations, self.tables, respondents, shown, kind=format, guarded=is_guarded)
        status = Status(filters["status"]) if filters.get("status") else None
        where = Filter(project=project, status=status, search=filters.get("search") or None)
        return resource_sheet(self.resources, self.tables, where, kind=format, guarded=is_guarded)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What came of making an export: `reason` is why it failed, if it did."""

    export_id: UUID
    reason: str | None = None


class _ClaimLost(Exception):
    """Another makes this export now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeNextExport:
    """Make the export whose turn it is, if one waits: people take turns, and of one person's the oldest comes first.

    One alone makes it at a time; when its maker is killed, another makes it anew. The bytes are durable before it is told as done.
    """

    exports: Exports
    sheets: Sheets
    store: FileStore
    clock: Clock
    unit_of_work: UnitOfWorkFactory
    quota: Quota = field(default_factory=Quota)

    async def __call__(self) -> Made | None:
        """What came of it; None when there was nothing to make. Raises `Unavailable`, and leaves the export to be made again."""
        now = self.clock.now()
        claim = await self.exports.claim(at=now, until=now + CLAIMED_FOR)
        if claim is None:
            return None
        try:
            if claim.attempts > ATTEMPTS:
                await self.exports.fail(claim)
                return Made(export_id=claim.export.id, reason="too-many-attempts")
            await self._make(claim)
        except (Unavailable, asyncio.CancelledError):
            await self.exports.release(claim)
            raise
        except _ClaimLost:
            pass
        except DomainError as error:
            await self.exports.fail(claim)
            return Made(export_id=claim.export.id, reason=error.code)
        return Made(export_id=claim.export.id)

    async def _make(self, claim: Claim) -> None:
        export, begun_at = claim.export, self.clock.now()
        async with self.store.incoming() as content:
            digest, size, rows, told_at = hashlib.sha256(), 0, 0, begun_at
            async with self.sheets.open(export.project, export.what, export.format, export.filters) as sheet:
                total = await sheet.count()
                async for part in sheet.parts:
                    await content.write(part.content)
                    digest.update(part.content)
                    size, rows = size + len(part.content), rows + part.rows
                    self.quota.expect_room(live=1, bytes=size)
                    if self.clock.now() - told_at >= TOLD_EVERY:
                        told_at = self.clock.now()
                        await self._hold(claim, done=percent(rows, total))
            await self._hold(claim, done=percent(rows, total))
            await content.keep(name_of(claim.content))
            manifest = _manifest(claim, sheet, at=begun_at, rows=rows, size=size, sha256=digest.hexdigest())
            try:
                is_done = await self._finish(claim, manifest)
            except QuotaExceeded:
                await self.store.remove(name_of(claim.content))
                raise
            if not is_done:
                await self.store.remove(name_of(claim.content))

    async def _finish(self, claim: Claim, manifest: Manifest) -> bool:
        async with self.unit_of_work() as work:
            is_done = await work.exports.finish(claim, manifest, quota=self.quota)
            await work.commit()
        return is_done

    async def _hold(self, claim: Claim, *, done: int) -> None:
        if not await self.exports.renew(claim, percent=done, until=self.clock.now() + CLAIMED_FOR):
            raise _ClaimLost


def _manifest(claim: Claim, sheet: Sheet, *, at: datetime, rows: int, size: int, sha256: str) -> Manifest:
    columns = tuple(sheet.columns)
    package = data_package(
        claim.export,
        title=claim.title,
        description=claim.description,
        codebook=sheet.codebook,
        columns=columns,
        survey_version=sheet.survey_version,
        at=at,
        rows=rows,
        size=size,
        sha256=sha256,
    )
    text = json.dumps(package, ensure_ascii=False, indent=2)
    return Manifest(rows=rows, size=size, sha256=sha256, columns=columns, survey_version=sheet.survey_version, package=text.encode())
