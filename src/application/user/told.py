"""What the audit trail tells of accounts."""

from datetime import datetime

from domain.audit import Entry, Target, differences, entry
from domain.user import User


def new_user_entry(action: str, user: User, *, by: User | None) -> Entry:
    """What the audit trail tells of a new account. Addresses are told when they change, not before: the account has the first."""
    return user_entry(action, user, by=by, at=user.created_at, before=None, fields=("username", "role"))


def user_entry(action: str, user: User, *, by: User | None, at: datetime, before: User | None, fields: tuple[str, ...] = ()) -> Entry:
    return entry(action, Target(type="user", id=user.id), by=by, at=at, changes=differences(before, user, *fields))
