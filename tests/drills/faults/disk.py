"""A disk to take away: the folder of a service's files, that is moved, filled or closed to writers while it runs.

Filling takes a file system of one's own, and closing one too for whom no permission stops: a small one in memory, which root alone can
mount. Without that, filling is left out, and closing is done by permissions.
"""

import asyncio
import errno
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from adapters.storage.local import LocalFileStore

MEGABYTES = 96
LEFT = 40_000  # bytes of room that are left, so that what does not fit fails midway
SECONDS = 5.0


class Disk:
    """The folder `files` in a folder that is perhaps a file system of its own."""

    def __init__(self, root: Path, *, is_mounted: bool) -> None:
        self._root = root
        self._is_mounted = is_mounted
        self._filler = root / "filler"
        self._files = root / "files"
        self.url = f"file://{self._files}"

    @property
    def can_be_filled(self) -> bool:
        return self._is_mounted

    @property
    def can_be_closed(self) -> bool:
        return self._is_mounted or os.geteuid() != 0

    def take_away(self) -> None:
        self._files.rename(self._root / "away")

    def bring_back(self) -> None:
        """Fails where something else took its place."""
        assert not self._files.exists(), "the service wrote to what took the place of its disk"
        (self._root / "away").rename(self._files)

    def fill(self) -> None:
        with self._filler.open("wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(bytes(65536))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
            filler.truncate(max(0, filler.tell() - LEFT))

    def make_room(self) -> None:
        self._filler.unlink()

    def close(self) -> None:
        if not self._is_mounted:
            for folder in self._folders():
                folder.chmod(0o500)
            return
        end = time.monotonic() + SECONDS
        while _mount("-o", "remount,ro", str(self._root)):  # busy as long as a file is being written
            assert time.monotonic() < end, "the disk could not be closed"
            time.sleep(0.01)

    def open(self) -> None:
        if not self._is_mounted:
            for folder in self._folders():
                folder.chmod(0o700)
        else:
            assert not _mount("-o", "remount,rw", str(self._root))

    def _folders(self) -> list[Path]:
        return [self._files, *(folder for folder in self._files.iterdir() if folder.is_dir())]

    def contents(self) -> dict[str, str]:
        """The hash of each file by its path within the store."""
        paths = [path for path in self._files.rglob("*") if path.is_file()]
        return {str(path.relative_to(self._files)): sha256(path.read_bytes()).hexdigest() for path in paths}

    def unfinished(self) -> int:
        """How many contents are on their way, after the sweep that a service that starts begins with."""
        asyncio.run(LocalFileStore(self._files).clear())
        return len(list((self._files / "incoming").glob("*")))


def _mount(*options: str) -> int:
    return subprocess.run(["mount", *options], stderr=subprocess.DEVNULL, check=False).returncode


@contextmanager
def disk_to_take_away(folder: Path) -> Iterator[Disk]:
    """A disk at this new folder, while this lasts."""
    folder.mkdir()
    may_mount = os.geteuid() == 0 and shutil.which("mount") is not None
    is_mounted = may_mount and _mount("-t", "tmpfs", "-o", f"size={MEGABYTES}m,mode=0711", "tmpfs", str(folder)) == 0
    try:
        yield Disk(folder, is_mounted=is_mounted)
    finally:
        if is_mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)
