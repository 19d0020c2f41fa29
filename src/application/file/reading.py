"""Contents of files: those that were uploaded, or none."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from application.ports import Content, FileStore
from domain.errors import NotFound, Unavailable
from domain.file import File

_REMEMBERED = 10_000


class ContentDamaged(Unavailable):
    """The stored content is missing or is not what was uploaded, and is therefore not sent: an operator has to restore it from a backup."""

    code = "content-damaged"
    detail = "The stored content is damaged and cannot be sent."
    retry_after = 3600.0


def content_of(file: File) -> Content:
    """What the row of a file says of its content."""
    return Content(id=file.id, name=file.content_name, size=file.size, sha256=file.sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckContent:
    """Whether a stored content is the one that its row tells of, by its hash."""

    store: FileStore

    async def __call__(self, content: Content) -> bool:
        """Raises `Unavailable`."""
        return await self.fault(content) is None

    async def fault(self, content: Content) -> Literal["missing", "damaged"] | None:
        """What is wrong with the content, if anything is. Raises `Unavailable`."""
        try:
            if await self.store.size(content.name) != content.size:
                return "damaged"
            digest = hashlib.sha256()
            async for piece in self.store.read(content.name):
                digest.update(piece)
                await asyncio.sleep(0)  # others go on meanwhile
        except NotFound:
            return "missing"
        return None if digest.hexdigest() == content.sha256 else "damaged"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadContent:
    """The bytes of a file, from `start` to before `end`: those that were uploaded, or none.

    A content is hashed before its first byte is sent, once in each process unless it was touched since. Raises `ContentDamaged`.
    """

    store: FileStore
    check: CheckContent
    _found: "OrderedDict[UUID, tuple[str, bool]]" = field(default_factory=OrderedDict)
    _checks: "dict[tuple[UUID, str], asyncio.Task[bool]]" = field(default_factory=dict)

    async def __call__(self, file: File, *, start: int, end: int) -> AsyncGenerator[bytes, None]:
        await self._require_whole(file)
        return self.store.read(file.content_name, start=start, end=end)

    async def _require_whole(self, file: File) -> None:
        """Raises `ContentDamaged`, `Unavailable`."""
        try:
            mark = await self.store.mark(file.content_name)
        except NotFound:
            raise ContentDamaged from None
        marked, is_whole = self._found.get(file.id, ("", False))
        if marked != mark:
            is_whole = await asyncio.shield(self._checks.get((file.id, mark)) or self._begin(file, mark))
        if not is_whole:
            raise ContentDamaged

    def _begin(self, file: File, mark: str) -> "asyncio.Task[bool]":
        """Whoever else asks meanwhile waits for the same check. Only what it found is kept: a task holds the context of its request."""

        def ended(done: "asyncio.Task[bool]") -> None:
            del self._checks[file.id, mark]
            if done.cancelled() or done.exception():
                return
            self._found[file.id] = mark, done.result()
            self._found.move_to_end(file.id)
            while len(self._found) > _REMEMBERED:
                self._found.popitem(last=False)

        check = self._checks[file.id, mark] = asyncio.create_task(self.check(content_of(file)))
        check.add_done_callback(ended)
        return check
