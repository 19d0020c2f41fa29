"""Keys with which a program acts for a person: what they open, and for how long."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from domain.access import PERMISSIONS, Action
from domain.errors import Fault, Forbidden
from domain.quota import QuotaExceeded
from domain.text import refuse, text_faults

MARK = "cs_"  # by which secret scanners, and this service, tell a key from any other token
PREFIX_LENGTH = len(MARK) + 8
NAME_MAX = 100
DAYS_MAX = 365
LIVE_MAX = 50
USE_NOTED_EVERY = timedelta(minutes=1)


class ScopeMissing(Forbidden):
    """The API key lacks the scope for this: `read` opens what only reads, `write` everything else."""

    code = "scope-missing"
    detail = "This API key lacks the scope for this."


class SessionRequired(Forbidden):
    """An API key does not open this: sign in, and send the access token instead."""

    code = "session-required"
    detail = "An API key does not open this: sign in."


class Scope(StrEnum):
    """What a key opens."""

    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key, without the secret itself. `id` is 0 until the store has given one; `prefix` is how a person tells keys apart."""

    id: int = 0
    user_id: int
    name: str
    scopes: frozenset[Scope]
    prefix: str
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    def is_live(self, at: datetime) -> bool:
        """Whether this key still opens anything."""
        return self.revoked_at is None and at < self.expires_at

    def is_use_due(self, at: datetime) -> bool:
        """Whether a use at this time is worth noting: at most one a minute is."""
        return self.last_used_at is None or at - self.last_used_at >= USE_NOTED_EVERY

    def require(self, action: Action) -> None:
        """Raise `SessionRequired` for what only a signed-in person may do, and `ScopeMissing` where the scope is another."""
        permission = PERMISSIONS[action]
        if not permission.by_key:
            raise SessionRequired
        if (Scope.WRITE if permission.changes else Scope.READ) not in self.scopes:
            raise ScopeMissing


def new_api_key(
    *, user_id: int, name: str, scopes: Collection[Scope], expires_in_days: int, secret: str, live: int, at: datetime
) -> ApiKey:
    """A key that is good from now on, of a user who has so many `live` ones. Raises `Invalid` with every fault, `QuotaExceeded`."""
    refuse(_faults(name, scopes, expires_in_days))
    if live >= LIVE_MAX:
        raise QuotaExceeded(f"At most {LIVE_MAX} live keys: revoke one first.")
    return ApiKey(
        user_id=user_id,
        name=name,
        scopes=frozenset(scopes),
        prefix=secret[:PREFIX_LENGTH],
        created_at=at,
        expires_at=at + timedelta(days=expires_in_days),
    )


def is_key(token: str) -> bool:
    """Whether this means to be a key, genuine or not."""
    return token.startswith(MARK)


def _faults(name: str, scopes: Collection[Scope], expires_in_days: int) -> Iterator[Fault]:
    yield from text_faults("/name", name, longest=NAME_MAX, shortest=1)
    if not scopes or len(set(scopes)) != len(scopes):
        yield Fault(pointer="/scopes", code="bad-scopes", detail="At least one scope, and each once.")
    if not 1 <= expires_in_days <= DAYS_MAX:
        yield Fault(pointer="/expires_in_days", code="bad-lifetime", detail=f"1 to {DAYS_MAX} days.")
