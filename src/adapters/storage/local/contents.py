"""Contents that are being read or written: one step after the other, whoever leaves meanwhile."""

import fcntl
import os
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from adapters.storage.local.disk import make_all, rename_new, sync
from adapters.storage.names import checked, passing_name
from application.ports import Incoming
from domain.errors import Unavailable

PIECE = 256 * 1024


class Kept:
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


class LocalIncoming(Incoming):
    """A file that is being written; its parts reach the disk some at a time.

    Who asks may leave while a thread is at work: hence one step after the other, and nothing after `close`.
    """

    def __init__(self, root: Path, answer: Callable[[Callable[[], None]], Awaitable[None]], *, may_make: bool) -> None:
        self._root = root
        self._answer = answer
        self._may_make = may_make
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
            if not self._may_make:
                raise
            make_all(self._root)
            return os.open(self._path, flags, 0o600)

    async def write(self, part: bytes) -> None:
        self._parts.append(part)
        self._held += len(part)
        if self._held >= PIECE:
            await self._answer(self._flush)

    async def keep(self, name: str) -> None:
        target = self._root / checked(name)

        def settle() -> None:
            self._flush()
            with self._one_step:
                os.fsync(self._file)
                try:
                    rename_new(self._path, target)
                except FileNotFoundError as error:  # the folder is gone, which is not what whoever sends asked for
                    raise Unavailable from error
                sync(target.parent)

        await self._answer(settle)

    def close(self) -> None:
        """Remove what was not kept, before the lock ends."""
        with self._one_step:
            self._is_closed = True
            if self._file >= 0:
                try:
                    self._path.unlink(missing_ok=True)
                finally:
                    os.close(self._file)

    def _flush(self) -> None:
        with self._one_step:
            parts, self._parts, self._held = self._parts, [], 0
            rest = memoryview(b"".join(parts))
            while rest:
                rest = rest[os.write(self._file, rest) :]
