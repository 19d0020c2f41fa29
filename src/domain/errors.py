"""The few kinds of error that the domain knows.

Each concrete error stands beside its feature, is named for the fact, and carries a stable kebab-case `code`. Its docstring
says what it means and what to do about it: `GET /problems/{code}` answers that text. No HTTP number appears here.
"""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong with an input: where (a JSON pointer), which rule (a stable code), and a sentence for people."""

    pointer: str
    code: str
    detail: str


class DomainError(Exception):
    """Something the domain refuses."""

    code: ClassVar[str] = "refused"
    detail: str = "This cannot be done."

    def __init__(self, detail: str | None = None) -> None:
        if detail is not None:
            self.detail = detail
        super().__init__(self.detail)

    @property
    def members(self) -> dict[str, Any]:
        """What else the error tells, as plain data."""
        return {}


class Invalid(DomainError):
    """The request was understood but breaks a rule. `errors` names each fault: correct those and send it again."""

    code = "invalid"
    detail = "The request breaks a rule: see errors."

    def __init__(self, *faults: Fault) -> None:
        self.faults = faults
        super().__init__()

    @property
    def members(self) -> dict[str, Any]:
        return {"errors": [asdict(fault) for fault in self.faults]}


class Refused(DomainError):
    """The request is not one that can be answered as it stands."""


class Unauthenticated(DomainError):
    """No valid credentials came with the request: sign in, and send the access token as `Authorization: Bearer`."""

    code = "unauthenticated"
    detail = "Sign in to do this."


class Forbidden(DomainError):
    """You are signed in, but this is not yours to do: ask an admin."""

    code = "forbidden"
    detail = "You may not do this."


class NotFound(DomainError):
    """There is nothing at this address that you may see: it never was, it was deleted, or it is not visible to you."""

    code = "not-found"
    detail = "There is nothing here."


class Conflict(DomainError):
    """The request does not fit the present state: read that state again, then decide."""

    code = "conflict"


class Stale(DomainError):
    """The thing has changed since you read it (`If-Match` named an older version): read it again, then decide."""

    code = "stale-version"
    detail = "This has changed since you read it."

    def __init__(self, *, current: int) -> None:
        """`current` is the version that stands, 0 where there is nothing yet."""
        self.current = current
        self.tag = str(current)
        super().__init__()


def expect_version(current: int, expected: frozenset[int] | None) -> None:
    """Raise `Stale` unless `current` is one of the versions that the caller expects (None: any will do)."""
    if expected is not None and current not in expected:
        raise Stale(current=current)


class TooMany(DomainError):
    """You asked more often than is allowed: wait as many seconds as `Retry-After` says."""

    code = "too-many-requests"
    detail = "Too many requests: wait a little."

    def __init__(self, *, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__()


class Unsupported(DomainError):
    """The content is not of a type that is taken here."""


class Unavailable(DomainError):
    """Something the service depends on is away or overloaded: try again after `Retry-After` seconds."""

    code = "unavailable"
    detail = "The service cannot do this right now: try again shortly."
    retry_after: float = 1


class Full(DomainError):
    """The storage is full: an operator has to make room."""

    code = "storage-full"
    detail = "The storage is full."
