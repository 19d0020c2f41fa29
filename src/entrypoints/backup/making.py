"""Making a back-up: a snapshot of the database first, then the contents that its files have."""

import hashlib
import hmac
import os
from pathlib import Path

from application.ports import Content, FileStore
from domain.errors import NotFound
from domain.text import rfc3339
from entrypoints.backup.archive import DUMP, FORMAT, MANIFEST, BackupError, Manifest, Part, Progress, measure, new_folder, sync, write
from entrypoints.container import Container
from entrypoints.http.service import VERSION

_JOURNALS = ("erasures", "spendings")


def pepper_check(pepper: bytes) -> str:
    """What tells whether a pepper is the same, without telling it."""
    return hmac.digest(pepper, b"back-up", "sha256").hex()[:16]


async def back_up(use: Container, target: Path, *, with_pepper: bool, progress: Progress) -> Manifest:
    """Write a back-up to `target`, whole or not at all. Raises `BackupError`, `CopyError`, `Unavailable`."""
    store, copies, pepper = use.file_store(), use.database_copies(), use.config.pepper()
    parts: dict[str, Part] = {}
    with new_folder(target) as folder:
        async with copies.moment() as moment:
            made_at, schema, contents = use.clock().now(), await moment.schema(), await moment.contents()
            progress("database", 0, 1)
            (folder / DUMP).touch(mode=0o600)
            await moment.dump(folder / DUMP)
            sync(folder / DUMP)
            progress("database", 1, 1)
        parts[DUMP] = measure(folder / DUMP)
        damaged = await _contents(store, contents, folder, parts, progress)
        # What was deleted since the snapshot has a row in the dump and no content: the restore deletes that row, as its owner did.
        deleted = await copies.gone([content.id for content in damaged])
        # Last, so that they have every erasure and spending that was noted before the back-up was done.
        for journal in _JOURNALS:
            entries = [entry.name async for entry in store.stored(journal)]
            for done, name in enumerate(entries, 1):
                parts[name] = write(folder / name, iter([await _bytes(store, name)]))
                progress(journal, done, len(entries))
        manifest = Manifest(
            format=FORMAT,
            version=VERSION,
            schema=schema,
            created_at=rfc3339(made_at),
            pepper_check=pepper_check(pepper),
            pepper=pepper.decode() if with_pepper else None,
            deleted=sorted(str(id) for id in deleted),
            damaged=sorted(content.name for content in damaged if content.id not in deleted),
            parts=parts,
        )
        write(folder / MANIFEST, iter([manifest.text().encode()]))
        for path in (folder, *(path for path in folder.iterdir() if path.is_dir())):
            sync(path)
    return manifest


async def _contents(store: FileStore, contents: list[Content], folder: Path, parts: dict[str, Part], progress: Progress) -> list[Content]:
    """Copy contents; those that were missing, or not what their rows say, are answered and left out."""
    damaged = []
    for done, content in enumerate(contents, 1):
        part = await _content(store, content.name, folder / content.name)
        if part is None or part.sha256 != content.sha256:
            (folder / content.name).unlink(missing_ok=True)
            damaged.append(content)
        else:
            parts[content.name] = part
        progress("files", done, len(contents))
    return damaged


async def _content(store: FileStore, name: str, target: Path) -> Part | None:
    digest, size = hashlib.sha256(), 0
    target.parent.mkdir(mode=0o700, exist_ok=True)
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        try:
            async for piece in store.read(name):
                stream.write(piece)
                digest.update(piece)
                size += len(piece)
        except NotFound:
            return None
        stream.flush()
        os.fsync(stream.fileno())
    return Part(sha256=digest.hexdigest(), bytes=size)


async def _bytes(store: FileStore, name: str) -> bytes:
    try:
        return b"".join([piece async for piece in store.read(name)])
    except NotFound:
        raise BackupError("A journal was changed from outside while the back-up was made.") from None
