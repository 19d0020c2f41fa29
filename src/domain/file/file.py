"""An uploaded file, which never changes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.errors import Fault
from domain.text import text_faults

FILENAME_MAX = 255
VERSION = 1  # of every file, since none changes

# Besides the controls that no text may hold: what breaks a line, and what makes a name read in another order than it is written in.
_MISLEADING = re.compile("[\t\n\x7f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file of a project. Its content is kept under `content_name`; `sha256` is in hexadecimal."""

    id: UUID
    project: str
    filename: str
    size: int
    content_type: str
    sha256: str
    created_by: str
    created_by_id: int
    created_at: datetime

    @property
    def content_name(self) -> str:
        return f"files/{self.id}"


def base_name(sent: str) -> str:
    """The name that a client sent, without the path parts of any system."""
    return re.split(r"[/\\]", sent)[-1]


def name_faults(filename: str) -> Iterator[Fault]:
    """What is wrong with a name without path parts."""
    yield from text_faults("/file/filename", filename, shortest=1, longest=FILENAME_MAX)
    if _MISLEADING.search(filename):
        yield Fault(pointer="/file/filename", code="control-character", detail="Controls, breaks and changes of direction are not allowed.")
    if filename in (".", ".."):
        yield Fault(pointer="/file/filename", code="bad-filename", detail="That is no name of a file.")
