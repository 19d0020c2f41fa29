"""Back-ups: the database and the contents of its files at one moment, in a folder or a tar, with checksums."""

from entrypoints.backup.archive import BackupError, Manifest, opened
from entrypoints.backup.making import back_up
from entrypoints.backup.restoring import bring_back, verified

__all__ = ["BackupError", "Manifest", "back_up", "bring_back", "opened", "verified"]
