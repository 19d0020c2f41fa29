"""What the fakes share: tables in memory, and the lock that a unit of work holds while it changes a copy of them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from copy import copy
from dataclasses import dataclass, field, fields
from datetime import datetime
from itertools import count
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from domain.annotation import Annotation, Judgement
from domain.api_key import ApiKey
from domain.audit import Entry
from domain.file import File
from domain.label_set import LabelSet
from domain.project import Project
from domain.resource import VERSIONS_MAX, Resource, ResourceVersion
from domain.response import Response
from domain.results import Spending
from domain.session import Session
from domain.survey import FieldChange, Survey
from domain.user import User

if TYPE_CHECKING:
    from tests.fakes.export import KeptExport


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupToken:
    user_id: int
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    username: str
    network: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedVersion:
    survey: Survey
    changes: tuple[FieldChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    fingerprint: bytes
    outcome: bytes
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotationChange:
    annotation: Annotation
    withdrawn: bool
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    annotator_id: int
    until: datetime


@dataclass(slots=True, kw_only=True)
class Tables:
    """Rows by their key; the entities in them never change. `resources` and `files` are kept with the id of their project, links with
    their entry's."""

    users: dict[int, User] = field(default_factory=dict)
    setup_tokens: dict[str, SetupToken] = field(default_factory=dict)
    sessions: dict[UUID, Session] = field(default_factory=dict)
    api_keys: dict[int, ApiKey] = field(default_factory=dict)
    key_secrets: dict[str, int] = field(default_factory=dict)
    failures: dict[int, Failure] = field(default_factory=dict)
    projects: dict[int, Project] = field(default_factory=dict)
    resources: dict[int, tuple[int, Resource]] = field(default_factory=dict)
    resource_versions: dict[tuple[int, int], ResourceVersion] = field(default_factory=dict)
    versions_replaced: dict[tuple[int, int], datetime] = field(default_factory=dict)
    surveys: dict[int, Survey] = field(default_factory=dict)
    survey_versions: dict[tuple[int, int], PublishedVersion] = field(default_factory=dict)
    responses: dict[int, Response] = field(default_factory=dict)
    deleted_responses: Counter[int] = field(default_factory=Counter)
    spendings: dict[tuple[int, int], Spending] = field(default_factory=dict)
    files: dict[UUID, tuple[int, File]] = field(default_factory=dict)
    files_verified: dict[UUID, datetime] = field(default_factory=dict)
    label_sets: dict[int, LabelSet] = field(default_factory=dict)
    label_set_versions: dict[tuple[int, int], LabelSet] = field(default_factory=dict)
    annotations: dict[int, Annotation] = field(default_factory=dict)
    annotation_changes: dict[tuple[int, int], AnnotationChange] = field(default_factory=dict)
    judgements: dict[tuple[int, int], Judgement] = field(default_factory=dict)
    leases: dict[tuple[int, int], Lease] = field(default_factory=dict)
    audit: dict[int, Entry] = field(default_factory=dict)
    audit_requests: dict[int, str | None] = field(default_factory=dict)
    audit_links: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    replays: dict[tuple[int, str], Replay] = field(default_factory=dict)
    exports: "dict[UUID, KeptExport]" = field(default_factory=dict)
    export_turns: dict[int, datetime] = field(default_factory=dict)

    def copy(self) -> "Tables":
        return Tables(**{each.name: copy(getattr(self, each.name)) for each in fields(self)})

    def version_of(self, resource: Resource) -> ResourceVersion:
        """What a resource is, as a version."""
        made_by = resource.created_by_id if resource.version == 1 else resource.updated_by_id
        return ResourceVersion(
            version=resource.version,
            made_at=resource.updated_at or resource.created_at,
            made_by=None if made_by is None else self.users[made_by].username,
            owner=self.users[resource.owner_id].username,
            name=resource.name,
            description=resource.description,
            status=resource.status,
            attributes=resource.attributes,
            is_active=resource.is_active,
        )

    def replace_resource(self, after: Resource) -> None:
        """Put a resource in its place, and keep what it was."""
        project_id, before = self.resources[after.id]
        self.resource_versions[after.id, before.version] = self.version_of(before)
        self.versions_replaced[after.id, before.version] = after.updated_at or after.created_at
        for key in [key for key in self.resource_versions if key[0] == after.id and key[1] <= after.version - VERSIONS_MAX]:
            del self.resource_versions[key]
        self.resources[after.id] = project_id, after

    def live_project(self, slug: str) -> Project | None:
        return next((each for each in self.projects.values() if each.slug == slug and each.is_active), None)

    def versions_of(self, project_id: int) -> list[PublishedVersion]:
        """All versions of a survey, oldest first."""
        return [self.survey_versions[key] for key in sorted(self.survey_versions) if key[0] == project_id]


class Access(Protocol):
    """Where a repository finds its tables: in the store itself, or in the copy of a unit of work."""

    @property
    def read(self) -> Tables: ...

    def write(self) -> AbstractAsyncContextManager[Tables]: ...

    def new_id(self) -> int: ...


class Store(Access):
    """Committed tables. A write by itself waits until no unit of work is open, so that a commit never loses it."""

    def __init__(self) -> None:
        self.tables = Tables()
        self.lock = asyncio.Lock()
        self.underway: set[str] = set()  # the projects into which somebody else imports
        self._ids = count(1)

    @property
    def read(self) -> Tables:
        return self.tables

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Tables]:
        async with self.lock:
            yield self.tables

    def new_id(self) -> int:
        return next(self._ids)


class Draft(Access):
    """A copy of the tables, seen by one unit of work alone."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.tables = Tables()

    @property
    def read(self) -> Tables:
        return self.tables

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Tables]:
        yield self.tables

    def new_id(self) -> int:
        return self._store.new_id()
