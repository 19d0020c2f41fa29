"""Seeing to it that the store holds what stored exports say, and nothing else of theirs."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from uuid import UUID

from application.export.stored import KIND, name_of
from application.file import VERIFIED_EVERY, CheckContent, Fault, Finding
from application.ports import Clock, Content, Exports, FileStore
from domain.export import Export

_BATCH = 500
_NIL = UUID(int=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnnamedContents:
    """The names of contents that are settled and that no export names: those of exports that were removed, and what a crash left."""

    exports: Exports
    store: FileStore

    async def __call__(self) -> AsyncIterator[str]:
        batch: list[UUID] = []
        async for stored in self.store.stored(KIND):
            batch.append(UUID(stored.name.removeprefix(f"{KIND}/")))
            if len(batch) == _BATCH:
                for name in await self._among(batch):
                    yield name
                batch = []
        for name in await self._among(batch):
            yield name

    async def _among(self, contents: list[UUID]) -> list[str]:
        names = sorted(name_of(content) for content in await self.exports.unknown(contents))
        return [name for name in names if await self.store.is_settled(name)]


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepExports:
    """Remove contents that no export names. How many."""

    unnamed: UnnamedContents
    store: FileStore

    async def __call__(self) -> int:
        removed = 0
        async for name in self.unnamed():
            await self.store.remove(name)
            removed += 1
        return removed


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyExports:
    """Compare the content of every export that is done with the hash in its manifest, and the store with the exports: what is wrong.

    `looked_at` hears of each export that was looked at.
    """

    exports: Exports
    check: CheckContent
    unnamed: UnnamedContents

    async def __call__(self, *, looked_at: Callable[[Export], None] = lambda _: None) -> AsyncIterator[Finding]:
        after = _NIL
        while batch := await self.exports.every(after=after, limit=_BATCH):
            for export in batch:
                finding = await finding_of(export, self.exports, self.check)
                if finding is not None:
                    yield finding
                looked_at(export)
            after = batch[-1].id
        async for name in self.unnamed():
            yield Finding(fault=Fault.STRANGER, name=name)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyNextExport:
    """Compare the content that was longest not looked at, if that is a day ago, with the hash in its manifest: what is wrong, if it is."""

    exports: Exports
    check: CheckContent
    clock: Clock

    async def __call__(self) -> Finding | None:
        now = self.clock.now()
        export = await self.exports.take_unverified(before=now - VERIFIED_EVERY, at=now)
        return None if export is None else await finding_of(export, self.exports, self.check)


async def finding_of(export: Export, exports: Exports, check: CheckContent) -> Finding | None:
    """What is wrong with the content of an export that is done, unless it was removed in the meantime."""
    manifest, id = export.whole()
    content = Content(id=id, name=name_of(id), size=manifest.size, sha256=manifest.sha256)
    fault = await check.fault(content)
    if fault is None or await exports.unknown([id]):
        return None
    return Finding(fault=Fault(fault), name=content.name, owner=export)
