"""What a constraint's name means in the domain, and what a failing server does."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import asyncpg

from domain.errors import DomainError, Full, Unavailable
from domain.outcome import OutcomeUnknown
from domain.project import SlugTaken
from domain.resource import NameTaken
from domain.response import TokenRequired
from domain.user import UsernameTaken

CONSTRAINTS: dict[str, type[DomainError]] = {
    "uq_users_username": UsernameTaken,
    "uq_projects_slug_live": SlugTaken,
    "uq_resources_name_live": NameTaken,
    "uq_responses_project_id_token_hash": TokenRequired,
}

_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what asyncpg makes of a line that a server closed as it was lent out
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.TransactionRollbackError,
    asyncpg.InvalidTransactionStateError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.LockNotAvailableError,
)


# After these the server may have carried out what it was sent; any other error it sent itself, having undone it.
_LINE_LOST = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.StatementCompletionUnknownError,
)


class Again(Unavailable):
    """Nothing was changed, and the very same may be tried again at once."""


@contextmanager
def domain_errors() -> Iterator[None]:
    """Raise what the database says as the domain's own errors."""
    try:
        yield
    except Exception as error:
        meant = meaning(error)
        if meant is None:
            raise
        raise meant from meant.__cause__


def meaning(error: BaseException, note_failure: Callable[[], None] = lambda: None, *, changes: bool | None = None) -> DomainError | None:
    """What an error of the database means in the domain: a broken constraint by its name, absence `Unavailable`. None: it has no meaning.

    `changes`: whether all that was sent is one statement, or a commit, that changes something. If it does, and the line is lost before
    the answer, nobody knows what became of it: `OutcomeUnknown`. If not, it may be tried `Again`, as may what met a deadlock.
    `note_failure` is told of absence. The error is its cause, but that of a broken constraint, which quotes what people sent.
    """
    meant = _meaning(error, note_failure, changes=changes)
    if meant is not None:
        meant.__cause__ = None if isinstance(error, asyncpg.IntegrityConstraintViolationError) else error
    return meant


def _meaning(error: BaseException, note_failure: Callable[[], None], *, changes: bool | None) -> DomainError | None:
    match error:
        case asyncpg.IntegrityConstraintViolationError():
            broken = CONSTRAINTS.get(error.constraint_name or "")
            return None if broken is None else broken()
        case asyncpg.SerializationError() | asyncpg.DeadlockDetectedError():
            return Again()
        case asyncpg.DiskFullError():
            return Full()
    if not isinstance(error, _AWAY):
        return None
    note_failure()
    if changes is not None and isinstance(error, _LINE_LOST):
        return OutcomeUnknown() if changes else Again()
    return Unavailable()
