"""What a disk is asked to do that must outlast a crash, and who holds what is on it."""

import ctypes
import errno
import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path

from adapters.storage.names import INCOMING, KINDS
from application.ports import NameKept

SETTLED_SECONDS = 3600.0  # for a file system without locks
_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL}
_NO_SUCH_RENAME = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}
_AT_CWD, _NO_REPLACE = -100, 1


def rename_new(source: Path, target: Path) -> None:
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


def make_all(root: Path) -> None:
    for folder in ("", *KINDS, INCOMING):  # this one last: from then on others write, and keep what they wrote
        _make(root / folder)


def _make(folder: Path, *, mode: int = 0o700) -> None:
    """Make a folder and those above it, each durable in the one above."""
    if not folder.parent.is_dir():
        _make(folder.parent, mode=0o711)
    with suppress(FileExistsError):
        folder.mkdir(mode=mode)
        sync(folder.parent)


def sync(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return []  # nothing was ever kept


def is_settled(path: Path) -> bool:
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


def remove_if_settled(path: Path) -> bool:
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
