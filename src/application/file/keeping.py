"""Seeing to it, again and again, that the store holds what the files say, and nothing else."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from application.file.reading import CheckContent, content_of
from application.ports import Clock, Files, FileStore, StoredContent, UnitOfWorkFactory
from domain.errors import Conflict
from domain.export import Export
from domain.file import File

VERIFIED_EVERY = timedelta(days=1)
CRASH_MAX = 100  # more than processes have uploads under way
CRASH_AGE_MAX = timedelta(days=1)

_BATCH = 500
_NIL = UUID(int=0)


class NotOurs(Conflict):
    """The store holds contents that no crash explains: look at `complex-stories verify-files`, and remove them with its `--sweep`."""

    code = "contents-not-ours"
    detail = "The store holds contents of no file that no crash explains: see complex-stories verify-files."


class Fault(StrEnum):
    """What can be wrong between the database and the store."""

    MISSING = "missing"  # a file or an export whose content is not there
    DAMAGED = "damaged"  # one whose content is another than was uploaded or made
    STRANGER = "stranger"  # a content that is nobody's


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong: with the content of this name, and with the file or export that has it, if one does."""

    fault: Fault
    name: str
    owner: File | Export | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Strangers:
    """Contents that are settled and no file's: by the order in which this asks, no file will ever have them."""

    unit_of_work: UnitOfWorkFactory
    files: Files
    store: FileStore

    async def __call__(self) -> AsyncIterator[StoredContent]:
        batch: dict[UUID, StoredContent] = {}
        async for content in self.store.stored("files"):
            batch[UUID(content.name.partition("/")[2])] = content
            if len(batch) == _BATCH:
                for stranger in await self._among(batch):
                    yield stranger
                batch = {}
        for stranger in await self._among(batch):
            yield stranger

    async def _among(self, contents: dict[UUID, StoredContent]) -> list[StoredContent]:
        unknown = await self.files.strangers(contents)
        settled = [id for id in sorted(unknown) if await self.store.is_settled(contents[id].name)]
        if not settled:
            return []
        async with self.unit_of_work() as work:
            await work.files.wait()
            return [contents[id] for id in sorted(await work.files.strangers(settled))]


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepFiles:
    """Remove what crashes left in the store: contents not kept, and contents that no file has. How many.

    Where there are more or older ones of the latter than crashes leave, perhaps the store is another database's: then none is removed.
    Raises `NotOurs`, unless `everything` was asked for.
    """

    store: FileStore
    strangers: Strangers
    clock: Clock

    async def __call__(self, *, everything: bool = False) -> int:
        removed = await self.store.clear()
        strangers = [content async for content in self.strangers()]
        oldest = self.clock.now() - CRASH_AGE_MAX
        if not everything and (len(strangers) > CRASH_MAX or any(content.at < oldest for content in strangers)):
            raise NotOurs
        for content in strangers:
            await self.store.remove(content.name)
        return removed + len(strangers)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyFiles:
    """Compare every content with the hash of its file, and the store with the files: what is wrong, as it is found.

    `looked_at` hears of each file that was looked at.
    """

    files: Files
    store: FileStore
    check: CheckContent
    strangers: Strangers

    async def __call__(self, *, looked_at: Callable[[File], None] = lambda _: None) -> AsyncIterator[Finding]:
        after = _NIL
        while batch := await self.files.every(after=after, limit=_BATCH):
            for file in batch:
                finding = await self.check.fault(content_of(file))
                if finding is not None and await self._is_still_there(file):
                    yield Finding(fault=Fault(finding), name=file.content_name, owner=file)
                looked_at(file)
            after = batch[-1].id
        async for content in self.strangers():
            yield Finding(fault=Fault.STRANGER, name=content.name)

    async def _is_still_there(self, file: File) -> bool:
        """Whether the file was not deleted in the meantime."""
        return not await self.files.strangers([file.id])


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyNextFile:
    """Compare the content that was longest not looked at, if that is a day ago, with the hash of its file: what is wrong, if anything."""

    files: Files
    check: CheckContent
    clock: Clock

    async def __call__(self) -> Finding | None:
        now = self.clock.now()
        file = await self.files.take_unverified(before=now - VERIFIED_EVERY, at=now)
        fault = await self.check.fault(content_of(file)) if file is not None else None
        if file is None or fault is None or await self.files.strangers([file.id]):
            return None
        return Finding(fault=Fault(fault), name=file.content_name, owner=file)
