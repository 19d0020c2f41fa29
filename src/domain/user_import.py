"""Accounts that come as a table: judged whole, row by row, before any of them is made."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

from domain.access import Role
from domain.errors import Fault, Invalid
from domain.text import refuse
from domain.user import User, account_faults, canonical_username, new_user

ROWS_MAX = 1000
FAULTS_MAX = 1000

_ROLES = {"", *(role.value for role in Role)}


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRow:
    """One row, as it was written; without a role it is a member's."""

    username: str
    email: str
    role: str = ""


def users_from(rows: Sequence[AccountRow], *, at: datetime) -> list[User]:
    """The users whom the rows describe, in their order. Raises `Invalid` with the first 1 000 faults of all rows."""
    if len(rows) > ROWS_MAX:
        raise Invalid(Fault(pointer="/rows", code="too-many-rows", detail=f"At most {ROWS_MAX} rows."))
    refuse(islice(_faults(rows), FAULTS_MAX))
    return [new_user(username=row.username, email=row.email, role=Role(row.role or Role.MEMBER), at=at) for row in rows]


def refuse_taken(users: Sequence[User], *, free: Collection[str]) -> None:
    """Raise `Invalid` unless the usernames of all are among the `free` ones."""
    faults = (
        Fault(pointer=f"/rows/{number}/username", code="username-taken", detail="This username is taken.")
        for number, user in enumerate(users, start=1)
        if user.username not in free
    )
    refuse(islice(faults, FAULTS_MAX))


def _faults(rows: Sequence[AccountRow]) -> Iterator[Fault]:
    seen: set[str] = set()
    for number, row in enumerate(rows, start=1):
        name = canonical_username(row.username)
        for fault in _faults_of(row, name, is_repeated=name in seen):
            yield replace(fault, pointer=f"/rows/{number}{fault.pointer}")
        seen.add(name)


def _faults_of(row: AccountRow, name: str, *, is_repeated: bool) -> Iterator[Fault]:
    yield from account_faults(username=name, email=row.email)
    if is_repeated:
        yield Fault(pointer="/username", code="username-repeated", detail="An earlier row has this username.")
    if row.role not in _ROLES:
        yield Fault(pointer="/role", code="bad-role", detail=f"Nothing, or one of {', '.join(Role)}.")
