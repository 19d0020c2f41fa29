"""A project: one data story, the slug that owns everything else."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from domain.errors import Conflict, Fault, expect_version
from domain.text import refuse, text_faults

SLUG_PATTERN = r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?"
TITLE_MAX = 255
DESCRIPTION_MAX = 10_000
RESERVED_SLUGS = frozenset(["admin", "audit", "auth", "docs", "health", "metrics", "problems", "projects", "redoc", "static", "users"])

_SLUG = re.compile(SLUG_PATTERN)


def is_slug(text: str) -> bool:
    """Whether this follows the grammar of slugs."""
    return _SLUG.fullmatch(text) is not None


class SlugTaken(Conflict):
    """Another project has this slug: choose another."""

    code = "slug-taken"
    detail = "Another project has this slug."


class SlugReserved(Conflict):
    """This slug is an address of the service itself: choose another."""

    code = "slug-reserved"
    detail = "This slug is reserved for the service itself."


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A data story. `id` is 0 until the store has given one."""

    id: int = 0
    slug: str
    title: str
    description: str | None = None
    created_at: datetime
    updated_at: datetime | None = None
    deleted_at: datetime | None = None
    version: int = 1

    @property
    def is_active(self) -> bool:
        return self.deleted_at is None

    def revise(self, changes: dict[str, Any], *, expected: frozenset[int] | None = None, at: datetime) -> "Project":
        """This project with the fields in `changes` (of title, description). Raises `Invalid`, `Stale`."""
        revised = replace(self, **changes)
        refuse(_faults(revised))
        expect_version(self.version, expected)
        return self if revised == self else replace(revised, updated_at=at, version=self.version + 1)

    def delete(self, *, expected: frozenset[int] | None = None, at: datetime) -> "Project":
        """This project, put away: nothing of it is visible from then on. Raises `Stale`."""
        expect_version(self.version, expected)
        return replace(self, deleted_at=at, updated_at=at, version=self.version + 1)


def new_project(*, slug: str, title: str, description: str | None = None, at: datetime) -> Project:
    """A project ready to be stored. Raises `Invalid`, `SlugReserved`."""
    project = Project(slug=slug, title=title, description=description, created_at=at)
    refuse(_faults(project))
    if slug in RESERVED_SLUGS:
        raise SlugReserved
    return project


def _faults(project: Project) -> Iterator[Fault]:
    if not is_slug(project.slug):
        yield Fault(pointer="/slug", code="bad-slug", detail="1 to 64 of a-z, 0-9 and hyphen, beginning and ending with a letter or digit.")
    yield from text_faults("/title", project.title, shortest=1, longest=TITLE_MAX)
    if project.description is not None:
        yield from text_faults("/description", project.description, longest=DESCRIPTION_MAX)
