"""What happens to files while a back-up is being made."""

import hashlib
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from dependency_injector import providers

from adapters.postgres.database import Pool
from adapters.storage.local import LocalFileStore
from entrypoints.backup import BackupError, back_up
from entrypoints.runtime import Deployment
from entrypoints.settings import Settings
from tests.contracts.stage import Stage, stage_in_postgres
from tests.contracts.test_file import added, file_of


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


class Moving(LocalFileStore):
    """A store whose files are deleted, or damaged, in the moment before they are read."""

    def __init__(self, root: Path, stage: Stage, *, deleted: UUID, damaged: UUID) -> None:
        super().__init__(root)
        self._stage, self._path_of_root, self._deleted, self._damaged = stage, root, deleted, damaged

    async def read(self, name: str, *, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        if name == f"files/{self._deleted}":
            await self._stage.files.remove(project="story", file_id=self._deleted)
            await self.remove(name)
        elif name == f"files/{self._damaged}":
            (self._path_of_root / name).write_bytes(b"rot")
        async for piece in super().read(name, start=start, end=end):
            yield piece


async def test_what_is_deleted_or_damaged_meanwhile_is_named_and_the_rest_is_whole(pool: Pool, database_url: str, tmp_path: Path) -> None:
    stage = stage_in_postgres(pool)
    ada, _ = await stage.user(), await stage.project()
    sha = hashlib.sha256(b"content").hexdigest()
    kept, deleted, damaged = (replace(file_of(ada, number), sha256=sha, size=7) for number in (1, 2, 3))
    await added(stage, kept, deleted, damaged)
    store = Moving(tmp_path / "store", stage, deleted=deleted.id, damaged=damaged.id)
    for file in (kept, deleted, damaged):
        async with store.incoming() as content:
            await content.write(b"content")
            await content.keep(file.content_name)
    deployment = Deployment(database_url=database_url, secret_keys=("0" * 32,), pepper="1" * 32)
    use = deployment.container(Settings(data_dir=tmp_path))
    use.file_store.override(providers.Object(store))
    manifest = await back_up(use, tmp_path / "made", with_pepper=False, progress=lambda *_: None)
    assert (manifest.deleted, manifest.damaged) == ([str(deleted.id)], [damaged.content_name])
    assert set(manifest.parts) == {"database.dump", kept.content_name}
    assert names(tmp_path / "made" / "files") == [str(kept.id)]


@pytest.mark.parametrize("name", ["made", "made.tar"])
async def test_a_backup_that_fails_leaves_nothing_behind(pool: Pool, database_url: str, tmp_path: Path, name: str) -> None:
    class Refusing(LocalFileStore):
        async def stored(self, kind: str) -> AsyncGenerator[None, None]:  # type: ignore[override]
            raise ConnectionError(5, "no reason given")
            yield

    await stage_in_postgres(pool).project()
    deployment = Deployment(database_url=database_url, secret_keys=("0" * 32,), pepper="1" * 32)
    use = deployment.container(Settings(data_dir=tmp_path))
    use.file_store.override(providers.Object(Refusing(tmp_path / "store")))
    with pytest.raises(BackupError, match="cannot be written"):
        await back_up(use, tmp_path / name, with_pepper=False, progress=lambda *_: None)
    assert names(tmp_path) == []
