"""One transaction over all repositories."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from adapters.postgres.api_key import PostgresApiKeys
from adapters.postgres.audit import PostgresAuditTrail
from adapters.postgres.database import Pool, Transaction
from adapters.postgres.export import PostgresExports
from adapters.postgres.file import PostgresFiles
from adapters.postgres.idempotency import PostgresReplays
from adapters.postgres.project import PostgresProjects
from adapters.postgres.resource import PostgresResources
from adapters.postgres.resource_import import PostgresResourceImports
from adapters.postgres.retention import PostgresArchive
from adapters.postgres.session import PostgresSessions
from adapters.postgres.survey import PostgresSurveys
from adapters.postgres.user import PostgresSetupTokens, PostgresUsers
from application.ports import (
    ApiKeys,
    Archive,
    AuditTrail,
    Exports,
    Files,
    Projects,
    Replays,
    ResourceImports,
    Resources,
    Sessions,
    SetupTokens,
    Surveys,
    UnitOfWork,
    Users,
)


class PostgresUnitOfWork(UnitOfWork):
    """A transaction (READ COMMITTED) that is undone unless `commit` was called.

    `request_id` tells the id of the request that is being answered, if one is.
    """

    def __init__(self, pool: Pool, *, request_id: Callable[[], str | None] = lambda: None) -> None:
        self._transaction = Transaction(pool)
        self.users: Users = PostgresUsers(self._transaction)
        self.setup_tokens: SetupTokens = PostgresSetupTokens(self._transaction)
        self.sessions: Sessions = PostgresSessions(self._transaction)
        self.api_keys: ApiKeys = PostgresApiKeys(self._transaction)
        self.projects: Projects = PostgresProjects(self._transaction)
        self.resources: Resources = PostgresResources(self._transaction)
        self.imports: ResourceImports = PostgresResourceImports(self._transaction, pool, request_id=request_id)
        self.surveys: Surveys = PostgresSurveys(self._transaction)
        self.archive: Archive = PostgresArchive(self._transaction)
        self.files: Files = PostgresFiles(self._transaction)
        self.audit: AuditTrail = PostgresAuditTrail(self._transaction, request_id=request_id)
        self.exports: Exports = PostgresExports(self._transaction)
        self.replays: Replays = PostgresReplays(self._transaction)

    async def __aenter__(self) -> Self:
        await self._transaction.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        await self._transaction.__aexit__(kind, error, traceback)

    async def commit(self) -> None:
        await self._transaction.commit()
