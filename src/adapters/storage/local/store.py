"""The store itself: contents by their names."""

import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from adapters.storage.local.contents import PIECE, Kept, LocalIncoming
from adapters.storage.local.disk import is_settled, make_all, names, remove_if_settled
from adapters.storage.local.threads import DiskThreads
from adapters.storage.names import INCOMING, checked, checked_kind, is_name
from application.ports import FileStore, Incoming, StoredContent
from domain.errors import NotFound, Unavailable

CHECK_SECONDS = 2.0
PATIENT_SECONDS = 60.0  # for what goes through whole folders


class LocalFileStore(FileStore):
    """A folder, made when it is first written to, that only this user may enter. Work on the disk is done on threads of its own."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._disk = DiskThreads(is_away=self._is_away)
        self._was_there = False

    @property
    def failures(self) -> int:
        return self._disk.failures

    @asynccontextmanager
    async def incoming(self) -> AsyncIterator[Incoming]:
        content = LocalIncoming(self._root, self._disk.answer, may_make=not self._was_there)
        try:
            await self._disk.answer(content.open)
            self._was_there = True
            yield content
        finally:
            await self._disk.see_done(content.close)

    async def size(self, name: str) -> int:
        path = self._path(name)
        return await self._disk.answer(lambda: path.stat().st_size)

    async def mark(self, name: str) -> str:
        path = self._path(name)

        def look() -> str:
            found = path.stat()
            return f"{found.st_dev}-{found.st_ino}-{found.st_size}-{found.st_mtime_ns}-{found.st_ctime_ns}"

        return await self._disk.answer(look)

    async def read(self, name: str, *, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        path = self._path(name)
        content = Kept(path)
        try:
            await self._disk.answer(content.open)
            position = start
            while end is None or position < end:
                size = PIECE if end is None else min(PIECE, end - position)
                piece = await self._disk.answer(lambda size=size, position=position: content.piece(size, position))  # type: ignore[misc]
                if not piece:
                    if end is not None:
                        raise Unavailable("The stored content is shorter than it was.")
                    break
                position += len(piece)
                yield piece
        finally:
            await self._disk.see_done(content.close)

    async def remove(self, name: str) -> None:
        path = self._path(name)
        await self._disk.answer(lambda: path.unlink(missing_ok=True))

    async def stored(self, kind: str) -> AsyncIterator[StoredContent]:
        folder = self._root / checked_kind(kind)
        for name in await self._disk.answer(lambda: names(folder), seconds=PATIENT_SECONDS):
            if is_name(f"{kind}/{name}"):
                with suppress(NotFound):
                    found = await self._disk.answer((folder / name).stat)
                    yield StoredContent(name=f"{kind}/{name}", size=found.st_size, at=datetime.fromtimestamp(found.st_mtime, UTC))

    async def is_settled(self, name: str) -> bool:
        path = self._path(name)
        return await self._disk.answer(lambda: is_settled(path))

    async def clear(self) -> int:
        folder = self._root / INCOMING

        def remove_settled() -> int:
            return sum(remove_if_settled(folder / name) for name in names(folder))

        return await self._disk.answer(remove_settled, seconds=PATIENT_SECONDS)

    async def check(self) -> None:
        def look() -> None:
            if not self._was_there:
                with suppress(OSError):  # what is there can be read, even where nothing can be made
                    make_all(self._root)
                self._was_there = (self._root / INCOMING).is_dir()
            if self._is_away():
                raise NotADirectoryError
            if not os.access(self._root, os.R_OK | os.X_OK) or not self._root.is_dir():
                raise NotADirectoryError

        await self._disk.answer(look, seconds=CHECK_SECONDS)

    def _is_away(self) -> bool:
        """Whether the folders that were there are not, as when a disk was unmounted: nothing is told by what is missing then."""
        return self._was_there and not (self._root / INCOMING).is_dir()

    def _path(self, name: str) -> Path:
        return self._root / checked(name)
