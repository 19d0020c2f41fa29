"""A stored export: a table of one moment, made in the background, that can be cited because it never changes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from domain.access import Action, NotAllowed, is_unblinded, may, require, require_on
from domain.errors import Conflict, expect_version
from domain.export.table import Column, Format
from domain.quota import QuotaExceeded
from domain.user import User

LIVE_MAX = 20  # of one person: those that wait, are made, or are done
BYTES_MAX = 5 * 2**30  # of those that are done


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """How many stored exports one person may have, and how many bytes they may come to."""

    live: int = LIVE_MAX
    bytes: int = BYTES_MAX

    def expect_room(self, *, live: int, bytes: int) -> None:
        """Raise `QuotaExceeded` where there would be more."""
        if live > self.live:
            raise QuotaExceeded(f"At most {self.live} stored exports of one person: delete one first.")
        if bytes > self.bytes:
            raise QuotaExceeded(f"The stored exports of one person come to at most {self.bytes} bytes: delete one first.")


class ExportNotDone(Conflict):
    """The export is still being made, or failed: read it until its `status` is `done`; ask for a new one where it says `failed`."""

    code = "export-not-done"
    detail = "This export is not done."


class Subject(StrEnum):
    """What is exported."""

    RESOURCES = "resources"
    RESPONSES = "responses"
    ANNOTATIONS = "annotations"


class Progress(StrEnum):
    """How far an export is."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What an export came to: its rows, its size in bytes and their SHA-256 in hexadecimal, its columns; and its data package, as JSON."""

    rows: int
    size: int
    sha256: str
    columns: tuple[Column, ...]
    survey_version: int | None
    package: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """An export of a project. `percent` of its rows are written; `content` names its bytes once it is done."""

    id: UUID
    project: str
    what: Subject
    format: Format
    filters: Mapping[str, Any]
    status: Progress = Progress.QUEUED
    percent: int = 0
    manifest: Manifest | None = None
    content: UUID | None = None
    created_by: str
    created_by_id: int
    created_at: datetime

    def show_to(self, by: User) -> None:
        """Raise `NotAllowed` unless one may see and read it."""
        if self.what not in shown_to(by):
            raise NotAllowed

    @property
    def filename(self) -> str:
        """Its name tells the day, in UTC, on which it was asked for: snapshots lie beside each other."""
        return f"{self.project}-{self.what}-{self.created_at.astimezone(UTC):%Y-%m-%d}.{self.format}"

    @property
    def version(self) -> int:
        """How often its status changed, which is what a precondition is about."""
        return {Progress.QUEUED: 1, Progress.RUNNING: 2}.get(self.status, 3)

    def delete(self, *, by: User, expected: frozenset[int] | None = None) -> None:
        """Raise `NotAllowed`, `NotTheOwner` or `Stale` unless one may: one's own, also where one may not read it, or any as an admin."""
        require_on(by, Action.EXPORT_DELETE, owner_id=self.created_by_id)
        expect_version(self.version, expected)

    def whole(self) -> tuple[Manifest, UUID]:
        """What it came to, and the name of its bytes. Raises `ExportNotDone`."""
        if self.manifest is None or self.content is None:
            raise ExportNotDone
        return self.manifest, self.content

    def done(self, manifest: Manifest, content: UUID) -> "Export":
        """This export, done."""
        return replace(self, status=Progress.DONE, percent=100, manifest=manifest, content=content)


def shown_to(by: User) -> frozenset[Subject]:
    """Of what one may ask for stored exports, see and read them. Raises `NotAllowed`.

    A stored export of annotations holds all labels and never changes: it is only for those from whom blind sets hide nothing. One of
    responses is for who may read single responses now, whoever asked for it.
    """
    require(by, Action.EXPORT_READ)
    shown = {Subject.RESOURCES} | ({Subject.ANNOTATIONS} if is_unblinded(by) else set())
    return frozenset(shown | ({Subject.RESPONSES} if may(by, Action.RESPONSE_READ) else set()))


def new_export(*, id: UUID, project: str, what: Subject, format: Format, filters: Mapping[str, Any], by: User, at: datetime) -> Export:
    """An export to be made. `filters` are those of the direct export that were given. Raises `NotAllowed`."""
    require(by, Action.EXPORT_CREATE)
    made = Export(
        id=id,
        project=project,
        what=what,
        format=format,
        filters=filters,
        created_by=by.username,
        created_by_id=by.id,
        created_at=at,
    )
    made.show_to(by)
    return made


def percent(rows: int, total: int) -> int:
    """How much of it is written, in whole percent; 100 is told only by what is done."""
    return min(99, rows * 100 // total) if total else 0
