"""What happened: who did what to which thing, and what it changed."""

import json
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID

from domain.abridgement import abridged
from domain.text import rfc3339
from domain.user import User


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A field's value before and after, as JSON values."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What was acted upon: `type` is a noun of the contract, `id` what its address has (a number, a UUID as text, a slug)."""

    type: str
    id: int | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that happened. Without an actor, an operator did it at the command line.

    It never tells anything about a respondent, and no secret.
    """

    at: datetime
    actor_id: int | None
    action: str
    project: str | None
    target: Target
    changes: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """An entry as it stands in the trail, under its id there and that of the request that brought it, if one did."""

    id: int
    entry: Entry
    request_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An entry as people read it: with the username of the actor, if there is one."""

    record: Recorded
    actor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which entries: of this action, in this project, by the actor of this username, on this target."""

    action: str | None = None
    project: str | None = None
    actor: str | None = None
    target: Target | None = None


def entry(
    action: str,
    target: Target,
    *,
    by: User | None,
    at: datetime,
    project: str | None = None,
    changes: tuple[Difference, ...] = (),
) -> Entry:
    """An entry for what somebody did; `action` is `noun.verb`. Since entries stay for good, it has large values `abridged`."""
    kept = tuple(Difference(field=each.field, before=abridged(each.before), after=abridged(each.after)) for each in changes)
    return Entry(at=at, actor_id=None if by is None else by.id, action=action, project=project, target=target, changes=kept)


def differences(before: object | None, after: object | None, *fields: str) -> tuple[Difference, ...]:
    """What differs between two states of a thing, of these fields alone; None stands for a thing that is not there."""
    touched = [field for field in fields if getattr(before, field, None) is not getattr(after, field, None)]
    found = ((field, _told(before, field), _told(after, field)) for field in touched)
    return tuple(Difference(field=field, before=old, after=new) for field, old, new in found if not _same(old, new))


def _told(thing: object | None, field: str) -> Any:
    """The value of a field as JSON has it."""
    match value := getattr(thing, field, None):
        case datetime():
            return rfc3339(value)
        case Enum():
            return value.value
        case UUID():
            return str(value)
        case set() | frozenset():
            return sorted(value)
        case _:
            return value


def _same(one: object, other: object) -> bool:
    """Equal, and of the same JSON: to Python, true is 1."""
    if type(one) is type(other) and not isinstance(one, dict | list):
        return bool(one == other)
    return one == other and json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
