"""Bringing a back-up back: nothing is touched before every part was found whole."""

import hashlib
from pathlib import Path
from uuid import UUID

from application.ports import FileStore, Settled
from domain.errors import NotFound
from entrypoints.backup.archive import DUMP, PIECE, BackupError, Manifest, Part, Progress, manifest_of, measure
from entrypoints.backup.making import pepper_check
from entrypoints.container import Container, migrate


def verified(folder: Path, progress: Progress) -> Manifest:
    """The manifest of a back-up all parts of which are what it says. Raises `BackupError` that names the first that is not."""
    manifest = manifest_of(folder)
    for done, (name, part) in enumerate(manifest.parts.items(), 1):
        try:
            found = measure(folder / name)
        except OSError:
            raise BackupError(f"The back-up lacks {name}: nothing was restored.") from None
        if found != part:
            raise BackupError(f"{name} is not what was backed up: nothing was restored.")
        progress("verified", done, len(manifest.parts))
    return manifest


async def bring_back(use: Container, folder: Path, manifest: Manifest, progress: Progress) -> Settled:
    """Restore a verified back-up into an empty database and the store. Raises `BackupError`, `CopyError`, `SchemaError`, `Unavailable`."""
    if pepper_check(use.config.pepper()) != manifest.pepper_check:
        raise BackupError(
            "The back-up was made under another PEPPER: set COMPLEX_STORIES_PEPPER to that one, so that readers are known again."
        )
    copies = use.database_copies()
    progress("database", 0, 1)
    await copies.load(folder / DUMP, schema=manifest.schema)
    progress("database", 1, 1)
    await _contents(use.file_store(), folder, {name: part for name, part in manifest.parts.items() if name != DUMP}, progress)
    journal = await use.read_journal()()
    spendings = await use.read_spendings()()
    deleted = [UUID(id) for id in manifest.deleted]
    settled = await copies.settle(schema=manifest.schema, deleted=deleted, is_erased=journal.holds, spendings=spendings)
    await migrate(use.config.database_url())
    async with use.pool():
        await use.results_ledger().add_noted(spendings)  # again, for a back-up of a schema that had no ledger yet
        await use.note_restore()(made_at=manifest.created_at, settled=settled)
    return settled


async def _contents(store: FileStore, folder: Path, parts: dict[str, Part], progress: Progress) -> None:
    """Put contents into the store, in the place of those that were damaged there."""
    for done, (name, part) in enumerate(parts.items(), 1):
        if not await _has(store, name, part):
            await store.remove(name)
            async with store.incoming() as content:
                with (folder / name).open("rb") as stream:
                    while piece := stream.read(PIECE):
                        await content.write(piece)
                await content.keep(name)
        progress("contents", done, len(parts))


async def _has(store: FileStore, name: str, part: Part) -> bool:
    digest = hashlib.sha256()
    try:
        async for piece in store.read(name):
            digest.update(piece)
    except NotFound:
        return False
    return digest.hexdigest() == part.sha256
