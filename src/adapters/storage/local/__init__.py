"""Contents as files in a folder, written so that a crash at any moment leaves a whole one or none.

A content is written to a file of its own in `incoming`, synced, and renamed; then its folder is synced. The lock that its writer holds
on it goes along with the rename and ends with the process, however that ends: by it, what a crash left is told from what is being
made, at once and exactly. See docs/decisions/0015-files.md.

Folders are made once. Where they were and are no more, the disk is away, and what took its place is not written to.
"""

from adapters.storage.local.store import LocalFileStore

__all__ = ["LocalFileStore"]
