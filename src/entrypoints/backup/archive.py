"""What a back-up looks like on a disk: parts, and a manifest that names them with their hashes and is written last."""

import hashlib
import json
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FORMAT = 1
DUMP = "database.dump"
MANIFEST = "manifest.json"
PIECE = 1024 * 1024

_CONTENT = r"(?:files|exports|erasures|spendings)/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_PART = re.compile(rf"{re.escape(DUMP)}|{_CONTENT}")

Progress = Callable[[str, int, int], None]


class BackupError(Exception):
    """A back-up cannot be made or is not whole: one sentence says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of a back-up, as it has to be."""

    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a back-up holds. `deleted` are files that went while it was made, `damaged` those whose content was not what was uploaded."""

    format: int
    version: str
    schema: str
    created_at: str
    pepper_check: str
    pepper: str | None
    deleted: list[str]
    damaged: list[str]
    parts: dict[str, Part]

    def text(self) -> str:
        return json.dumps(asdict(self), indent=1)


def manifest_of(folder: Path) -> Manifest:
    """The manifest of a back-up. Raises `BackupError`."""
    try:
        told: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
        if told["format"] != FORMAT:
            raise BackupError(f"This program reads back-ups of format {FORMAT} alone.")
        parts = {name: Part(**part) for name, part in told.pop("parts").items()}
        manifest = Manifest(**told, parts=parts)
    except FileNotFoundError:
        raise BackupError("That is no back-up, or one that was cut off: it has no manifest.") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BackupError("The manifest of that back-up is damaged.") from None
    if DUMP not in parts or not all(_PART.fullmatch(name) for name in parts):
        raise BackupError("The manifest of that back-up is damaged.")
    return manifest


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder to put the parts into, which becomes `target` (a tar, if it is called so) once this is left without an error."""
    if target.exists():
        raise BackupError(f"{target} is there already: choose another name.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as passing:
            folder = Path(passing) / target.stem
            folder.mkdir(mode=0o700)
            yield folder
            if target.suffix == ".tar":
                folder = _packed(folder, Path(passing) / target.name)
            folder.rename(target)
            sync(target.parent)
    except OSError as error:
        raise BackupError(f"{target} cannot be written: {error.strerror}.") from None


@contextmanager
def opened(source: Path) -> Iterator[Path]:
    """The folder of a back-up; a tar is unpacked beside the system's other temporary files. Raises `BackupError`."""
    if source.is_dir():
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="complex-stories-") as passing:
        try:
            with tarfile.open(source) as tar:
                tar.extractall(passing, filter="data")
        except (OSError, tarfile.TarError) as error:
            raise BackupError(f"{source} cannot be read: {error}.") from None
        yield Path(passing)


def write(target: Path, pieces: Iterator[bytes]) -> Part:
    """Write a part, for good."""
    digest, size = hashlib.sha256(), 0
    target.parent.mkdir(mode=0o700, exist_ok=True)
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        for piece in pieces:
            stream.write(piece)
            digest.update(piece)
            size += len(piece)
        stream.flush()
        os.fsync(stream.fileno())
    return Part(sha256=digest.hexdigest(), bytes=size)


def measure(path: Path) -> Part:
    """What a part is like. Raises `FileNotFoundError`."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256")
        return Part(sha256=digest.hexdigest(), bytes=stream.tell())


def sync(path: Path) -> None:
    """See that what is in a file or folder is there for good."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _packed(folder: Path, target: Path) -> Path:
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        with tarfile.open(fileobj=stream, mode="w") as tar:
            tar.add(folder, arcname=".")
        stream.flush()
        os.fsync(stream.fileno())
    shutil.rmtree(folder)
    return target
