"""A resource: an entry that the team curates, and that its creator or an admin may change."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from domain.access import Action, require, require_on
from domain.errors import Conflict, Fault, Invalid, expect_version
from domain.export import Column, ColumnType, table_schema
from domain.text import canonical, folded, is_clean, refuse, text_faults
from domain.user import User

NAME_MAX = 255
DESCRIPTION_MAX = 10_000
ATTRIBUTES_MAX_BYTES = 64 * 1024
ATTRIBUTES_MAX_DEPTH = 16
SEARCH_MAX = 200
SKIP_MAX = 100_000
LABELS_MAX = 8  # label sets in one filter
VERSIONS_MAX = 100  # of a resource, the newest among them
VERSIONS_KEPT = timedelta(days=365)  # after another took its place

COLUMNS = (
    Column(name="id", type=ColumnType.INTEGER),
    Column(name="project", type=ColumnType.TEXT),
    Column(name="name", type=ColumnType.TEXT),
    Column(name="description", type=ColumnType.TEXT),
    Column(name="status", type=ColumnType.TEXT),
    Column(name="attributes", type=ColumnType.TEXT),  # as JSON
    Column(name="created_by", type=ColumnType.TEXT),
    Column(name="created_at", type=ColumnType.TIME),
    Column(name="updated_at", type=ColumnType.TIME),
    Column(name="is_active", type=ColumnType.BOOLEAN),
    Column(name="version", type=ColumnType.INTEGER),
)
CODEBOOK = table_schema(
    COLUMNS,
    {
        "id": {"title": "Number of the resource", "constraints": {"required": True, "unique": True, "minimum": 1}},
        "project": {"title": "Slug of the project", "constraints": {"required": True}},
        "name": {"title": "Name", "constraints": {"required": True}},
        "description": {"title": "Description"},
        "status": {"title": "Label", "constraints": {"required": True, "enum": ["active", "inactive", "pending"]}},
        "attributes": {"type": "object", "title": "Further facts, as a JSON object", "constraints": {"required": True}},
        "created_by": {"title": "Username of who made it", "constraints": {"required": True}},
        "created_at": {"title": "When it was made", "constraints": {"required": True}},
        "updated_at": {"title": "When it last changed"},
        "is_active": {"title": "Always true: only live resources are exported", "constraints": {"required": True}},
        "version": {"title": "How often it was made or changed", "constraints": {"required": True, "minimum": 1}},
    },
)


class NameTaken(Conflict):
    """A live resource of this project has this name (compared trimmed, NFC and case-folded): choose another."""

    code = "name-taken"
    detail = "Another resource of this project has this name."


class SearchTooShort(Invalid):
    """The project has too many resources to look for a text this short in all of them: search for three letters or digits in a row."""

    code = "search-too-short"
    detail = "Search for at least three letters or digits in a row."

    def __init__(self) -> None:
        super().__init__(Fault(pointer="/search", code=self.code, detail=self.detail))


class Status(StrEnum):
    """A label for people. It never decides what is visible."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    PENDING = "pending"


class Sort(StrEnum):
    """The orders in which resources are listed; the id breaks ties, a null sorts last both ways."""

    ID = "id"
    ID_DESC = "-id"
    NAME = "name"
    NAME_DESC = "-name"
    CREATED = "created_at"
    CREATED_DESC = "-created_at"
    UPDATED = "updated_at"
    UPDATED_DESC = "-updated_at"

    @property
    def column(self) -> str:
        return self.value.removeprefix("-")

    @property
    def descending(self) -> bool:
        return self.value.startswith("-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which resources of a project: with this status, with this text (in any case) in the name or the description.

    `labels` names label sets, each with the label, in its written form, that most annotators gave the resource.
    """

    project: str
    status: Status | None = None
    search: str | None = None
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """An entry of a project. `id` is 0 until the store has given one. Its owner is whoever made it, until it is given to another."""

    id: int = 0
    project: str
    name: str
    description: str | None = None
    status: Status = Status.ACTIVE
    attributes: dict[str, Any]
    created_by: str
    created_by_id: int
    created_at: datetime
    owner_id: int
    updated_at: datetime | None = None
    updated_by_id: int | None = None
    deleted_at: datetime | None = None
    version: int = 1

    @property
    def name_key(self) -> str:
        """What makes the name unique among the live resources of the project."""
        return canonical(self.name)

    @property
    def search_text(self) -> str:
        """What a search looks in; the separator is a character that no text may hold, so no match crosses it."""
        return folded(f"{self.name}\x1f{self.description or ''}")

    @property
    def is_active(self) -> bool:
        return self.deleted_at is None

    def revise(self, changes: dict[str, Any], *, by: User, expected: frozenset[int] | None = None, at: datetime) -> "Resource":
        """This resource with the fields in `changes` (of name, description, status, attributes).

        Raises `Invalid`, then `NotTheOwner`, then `Stale`; with nothing different, it is itself again.
        """
        revised = replace(self._changed(by, at), **changes)
        refuse(_faults(revised))
        require_on(by, Action.RESOURCE_UPDATE, owner_id=self.owner_id)
        expect_version(self.version, expected)
        return self if all(_same(getattr(self, field), value) for field, value in changes.items()) else revised

    def delete(self, *, by: User, expected: frozenset[int] | None = None, at: datetime) -> "Resource":
        """This resource, put away; its name is free from then on. Raises `NotAllowed`, `Stale`."""
        require(by, Action.RESOURCE_DELETE)
        expect_version(self.version, expected)
        return replace(self._changed(by, at), deleted_at=at)

    def restore(self, *, by: User, expected: frozenset[int] | None = None, at: datetime) -> "Resource":
        """This resource, back among the living; a live one is itself again. Raises `NotAllowed`, `Stale`."""
        require(by, Action.RESOURCE_DELETE)
        expect_version(self.version, expected)
        return self if self.is_active else replace(self._changed(by, at), deleted_at=None)

    def give(self, *, to: User, by: User, expected: frozenset[int] | None = None, at: datetime) -> "Resource":
        """This resource, owned by another from now on; to its owner it is itself again. Raises `NotAllowed`, `NotTheOwner`, `Stale`."""
        require_on(by, Action.RESOURCE_GIVE, owner_id=self.owner_id)
        expect_version(self.version, expected)
        return self if to.id == self.owner_id else replace(self._changed(by, at), owner_id=to.id)

    def _changed(self, by: User, at: datetime) -> "Resource":
        return replace(self, updated_at=at, updated_by_id=by.id, version=self.version + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceVersion:
    """What a resource was from `made_at` on, by whom, as far as that is known. `owner` and `made_by` are usernames."""

    version: int
    made_at: datetime
    made_by: str | None
    owner: str
    name: str
    description: str | None
    status: Status
    attributes: dict[str, Any]
    is_active: bool

    @property
    def content(self) -> dict[str, Any]:
        """What an edit that brings it back changes a resource to."""
        return {field: getattr(self, field) for field in ("name", "description", "status", "attributes")}


def new_resource(
    *,
    project: str,
    name: str,
    description: str | None = None,
    status: Status = Status.ACTIVE,
    attributes: dict[str, Any],
    by: User,
    at: datetime,
) -> Resource:
    """A resource ready to be stored, owned by whoever makes it. Raises `NotAllowed`, `Invalid`."""
    require(by, Action.RESOURCE_CREATE)
    resource = Resource(
        project=project,
        name=name,
        description=description,
        status=status,
        attributes=attributes,
        created_by=by.username,
        created_by_id=by.id,
        owner_id=by.id,
        created_at=at,
    )
    refuse(_faults(resource))
    return resource


def _same(one: Any, other: Any) -> bool:
    """Equal, and of the same JSON: to Python, true is 1."""
    return bool(one == other) and (not isinstance(one, dict) or json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True))


def _faults(resource: Resource) -> Iterator[Fault]:
    yield from name_faults(resource.name)
    if resource.description is not None:
        yield from description_faults(resource.description)
    yield from attribute_faults(resource.attributes)


def name_faults(name: str) -> Iterator[Fault]:
    """What is wrong with a name."""
    return text_faults("/name", name, shortest=1, longest=NAME_MAX)


def description_faults(description: str) -> Iterator[Fault]:
    """What is wrong with a description."""
    return text_faults("/description", description, longest=DESCRIPTION_MAX)


def attribute_faults(attributes: dict[str, Any]) -> Iterator[Fault]:
    """What is wrong with attributes."""
    if _depth(attributes) > ATTRIBUTES_MAX_DEPTH:
        yield Fault(pointer="/attributes", code="too-deep", detail=f"Nested at most {ATTRIBUTES_MAX_DEPTH} deep.")
        return
    if not all(is_clean(text) for text in _texts(attributes)):
        yield Fault(pointer="/attributes", code="control-character", detail="Control characters and lone surrogates are not allowed.")
        return
    if not all(_is_representable(number) for number in _numbers(attributes)):
        yield Fault(pointer="/attributes", code="number-out-of-range", detail="Numbers that a double can hold.")
        return
    if len(json.dumps(attributes, ensure_ascii=False, separators=(",", ":")).encode()) > ATTRIBUTES_MAX_BYTES:
        yield Fault(pointer="/attributes", code="too-large", detail=f"At most {ATTRIBUTES_MAX_BYTES} bytes as JSON.")


def _depth(value: object) -> int:
    """How deep a JSON value nests: 0 for a scalar, 1 for `{}`."""
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _numbers(value: object) -> Iterator[int | float]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _numbers(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _numbers(inner)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


def _is_representable(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:
        return False
