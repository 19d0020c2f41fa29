"""What a constraint's name means in the domain, and what a failing server does."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from domain.errors import DomainError, Full, Unavailable
from domain.project import SlugTaken
from domain.resource import NameTaken
from domain.response import TokenTaken
from domain.user import UsernameTaken

CONSTRAINTS: dict[str, type[DomainError]] = {
    "uq_users_username": UsernameTaken,
    "uq_projects_slug_live": SlugTaken,
    "uq_resources_name_live": NameTaken,
    "uq_responses_project_id_token_hash": TokenTaken,
}

_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.TransactionRollbackError,
    asyncpg.InvalidTransactionStateError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.LockNotAvailableError,
)


@contextmanager
def domain_errors() -> Iterator[None]:
    """Raise what the database says as the domain's own errors: a broken constraint by its name, absence as `Unavailable`."""
    try:
        yield
    except asyncpg.IntegrityConstraintViolationError as error:
        meaning = CONSTRAINTS.get(error.constraint_name or "")
        if meaning is None:
            raise
        raise meaning from None
    except asyncpg.DiskFullError as error:
        raise Full from error
    except _AWAY as error:
        raise Unavailable from error
