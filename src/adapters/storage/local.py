"""Contents as files in a folder, written so that a crash at any moment leaves a whole one or none.

A content is written to a file of its own in `incoming`, synced, and renamed; then its folder is synced. The lock that its writer holds
on it goes along with the rename and ends with the process, however that ends: by it, what a crash left is told from what is being
made, at once and exactly. See docs/decisions/0015-files.md.
"""

import asyncio
import ctypes
import errno
import fcntl
import os
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from adapters.storage.names import INCOMING, KINDS, checked, checked_kind, is_name, passing_name
from application.ports import FileStore, Incoming, NameKept, StoredContent
from domain.errors import Full, NotFound, Unavailable

PIECE = 256 * 1024
SETTLED_SECONDS = 3600.0  # for a file system without locks
_THREADS = 8
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL}
_NO_SUCH_RENAME = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}
_AT_CWD, _NO_REPLACE = -100, 1

T = TypeVar("T")


class LocalFileStore(FileStore):
    """A folder, made when it is first written to, that only this user may enter. Work on the disk is done on threads of its own."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="files")

    @asynccontextmanager
    async def incoming(self) -> AsyncIterator[Incoming]:
        content = _LocalIncoming(self._root, self._in_thread)
        try:
            await self._in_thread(content.open)
            yield content
        finally:
            await self._in_thread(content.close)

    async def size(self, name: str) -> int:
        path = self._path(name)
        return await self._in_thread(lambda: path.stat().st_size)

    async def mark(self, name: str) -> str:
        path = self._path(name)

        def look() -> str:
            found = path.stat()
            return f"{found.st_dev}-{found.st_ino}-{found.st_size}-{found.st_mtime_ns}-{found.st_ctime_ns}"

        return await self._in_thread(look)

    async def read(self, name: str, *, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        path = self._path(name)
        content = _Kept(path)
        try:
            await self._in_thread(content.open)
            position = start
            while end is None or position < end:
                size = PIECE if end is None else min(PIECE, end - position)
                piece = await self._in_thread(lambda size=size, position=position: content.piece(size, position))  # type: ignore[misc]
                if not piece:
                    if end is not None:
                        raise Unavailable("The stored content is shorter than it was.")
                    break
                position += len(piece)
                yield piece
        finally:
            await self._in_thread(content.close)

    async def remove(self, name: str) -> None:
        path = self._path(name)
        await self._in_thread(lambda: path.unlink(missing_ok=True))

    async def stored(self, kind: str) -> AsyncIterator[StoredContent]:
        folder = self._root / checked_kind(kind)
        for name in await self._in_thread(lambda: _names(folder)):
            if is_name(f"{kind}/{name}"):
                with suppress(NotFound):
                    found = await self._in_thread((folder / name).stat)
                    yield StoredContent(name=f"{kind}/{name}", size=found.st_size, at=datetime.fromtimestamp(found.st_mtime, UTC))

    async def is_settled(self, name: str) -> bool:
        path = self._path(name)
        return await self._in_thread(lambda: _is_settled(path))

    async def clear(self) -> int:
        folder = self._root / INCOMING

        def remove_settled() -> int:
            return sum(_remove_if_settled(folder / name) for name in _names(folder))

        return await self._in_thread(remove_settled)

    async def check(self) -> None:
        def look() -> None:
            if not self._root.is_dir():
                _make(self._root)
            if not os.access(self._root, os.R_OK | os.X_OK) or not self._root.is_dir():
                raise NotADirectoryError

        await self._in_thread(look)

    def _path(self, name: str) -> Path:
        return self._root / checked(name)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """What the work answers. Whoever waits may leave; the work is done all the same."""

        def translated() -> T:
            with _domain_errors():
                return work()

        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._threads, translated))


class _Kept:
    """A file that is being read: one step after the other, and nothing after `close`, since who asks may leave meanwhile."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1
        self._is_closed = False
        self._one_step = threading.Lock()

    def open(self) -> None:
        with self._one_step:
            if not self._is_closed:
                self._file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)

    def piece(self, size: int, position: int) -> bytes:
        with self._one_step:
            return b"" if self._is_closed else os.pread(self._file, size, position)

    def close(self) -> None:
        with self._one_step:
            if self._file >= 0 and not self._is_closed:
                os.close(self._file)
            self._is_closed = True


class _LocalIncoming(Incoming):
    """A file that is being written; its parts reach the disk some at a time.

    Who asks may leave while a thread is at work: hence one step after the other, and nothing after `close`.
    """

    def __init__(self, root: Path, in_thread: Callable[[Callable[[], None]], Awaitable[None]]) -> None:
        self._root = root
        self._in_thread = in_thread
        self._path = root / passing_name()
        self._file = -1
        self._is_closed = False
        self._parts: list[bytes] = []
        self._held = 0
        self._one_step = threading.Lock()

    def open(self) -> None:
        with self._one_step:
            while self._file < 0 and not self._is_closed:
                self._file = self._new_file()
                with suppress(OSError):  # a file system without locks: age has to tell
                    fcntl.flock(self._file, fcntl.LOCK_EX)
                if os.fstat(self._file).st_nlink == 0:  # taken for a leftover in the moment before it was locked
                    os.close(self._file)
                    self._file = -1

    def _new_file(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            return os.open(self._path, flags, 0o600)
        except FileNotFoundError:
            for folder in ("", *KINDS, INCOMING):  # this one last: from then on others write, and keep what they wrote
                _make(self._root / folder)
            return os.open(self._path, flags, 0o600)

    async def write(self, part: bytes) -> None:
        self._parts.append(part)
        self._held += len(part)
        if self._held >= PIECE:
            await self._in_thread(self._flush)

    async def keep(self, name: str) -> None:
        target = self._root / checked(name)

        def settle() -> None:
            self._flush()
            with self._one_step:
                os.fsync(self._file)
                _rename_new(self._path, target)
                _sync(target.parent)

        await self._in_thread(settle)

    def close(self) -> None:
        """Remove what was not kept, before the lock ends."""
        with self._one_step:
            self._is_closed = True
            if self._file >= 0:
                self._path.unlink(missing_ok=True)
                os.close(self._file)

    def _flush(self) -> None:
        with self._one_step:
            parts, self._parts, self._held = self._parts, [], 0
            rest = memoryview(b"".join(parts))
            while rest:
                rest = rest[os.write(self._file, rest) :]


def _rename_new(source: Path, target: Path) -> None:
    """Rename, but never over another. Raises `NameKept`."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is not None and rename(_AT_CWD, os.fsencode(source), _AT_CWD, os.fsencode(target), _NO_REPLACE) == 0:
        return
    number = errno.ENOSYS if rename is None else ctypes.get_errno()
    if number == errno.EEXIST:
        raise NameKept
    if number not in _NO_SUCH_RENAME:
        raise OSError(number, os.strerror(number))
    try:
        target.hardlink_to(source)
    except FileExistsError:
        raise NameKept from None
    source.unlink()


def _make(folder: Path, *, mode: int = 0o700) -> None:
    """Make a folder and those above it, each durable in the one above."""
    if not folder.parent.is_dir():
        _make(folder.parent, mode=0o711)
    with suppress(FileExistsError):
        folder.mkdir(mode=mode)
        _sync(folder.parent)


def _sync(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return []  # nothing was ever kept


def _is_settled(path: Path) -> bool:
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return True
    try:
        return _lock_is_free(file)
    finally:
        os.close(file)


def _lock_is_free(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return time.time() - os.fstat(file).st_mtime > SETTLED_SECONDS
        raise
    return True


def _remove_if_settled(path: Path) -> bool:
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        is_free = _lock_is_free(file)
        if is_free:
            path.unlink(missing_ok=True)
        return is_free
    finally:
        os.close(file)


@contextmanager
def _domain_errors() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise NotFound from None
    except OSError as error:
        raise (Full if error.errno in _FULL else Unavailable) from error
