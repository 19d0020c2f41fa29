"""The data folder: one process at a time, and the secrets that are made on first start."""

import fcntl
import json
import os
import secrets
from pathlib import Path


class DataFolderError(Exception):
    """The data folder cannot be used: one sentence says why."""


class DataFolder:
    """A folder held by this process until it ends, however it ends; or used beside the process that holds it."""

    def __init__(self, path: Path, *, beside: bool = False) -> None:
        """Make and take the folder. Raises `DataFolderError` when it cannot be written, or when another process holds it.

        With `beside` the latter is fine: `is_held` then says whether this process is the holder.
        """
        self.path = path.resolve()
        self.is_held = True
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o711)  # 711: the database's own user passes through
            self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.is_held = False
            if beside:
                return
            raise DataFolderError(f"{self.path} is in use by another process: stop it, or choose another folder.") from None
        except OSError as error:
            raise DataFolderError(f"{self.path} cannot be used: {error.strerror}.") from None

    @property
    def postgres(self) -> Path:
        """Where the embedded cluster lives."""
        return self.path / "postgres"

    def secret(self, name: str, *, first: str | None = None) -> str:
        """The secret of this name, readable by this user alone. Asked for the first time it is `first`, or 256 new bits in hexadecimal."""
        file = self.path / "secrets.json"
        known: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
        if name not in known:
            known[name] = first or secrets.token_hex(32)
            self._write(file, json.dumps(known, indent=1))
        return known[name]

    def _write(self, file: Path, text: str) -> None:
        """Replace the file at once and for good: a crash leaves the old one or the new one."""
        new = file.with_suffix(".new")
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        new.replace(file)
        folder = os.open(self.path, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
