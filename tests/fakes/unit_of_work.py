"""Units of work over the store in memory: one at a time, on a copy that `commit` puts in place."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from application.ports import (
    ApiKeys,
    Archive,
    AuditTrail,
    Database,
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
from domain.errors import Unavailable
from tests.fakes.api_key import FakeApiKeys
from tests.fakes.audit import FakeAuditTrail
from tests.fakes.export import FakeExports
from tests.fakes.file import FakeFiles
from tests.fakes.idempotency import FakeReplays
from tests.fakes.project import FakeProjects
from tests.fakes.resource import FakeResources
from tests.fakes.resource_import import FakeResourceImports
from tests.fakes.retention import FakeArchive
from tests.fakes.session import FakeSessions
from tests.fakes.store import Draft, Store
from tests.fakes.survey import FakeSurveys
from tests.fakes.user import FakeSetupTokens, FakeUsers


class FakeUnitOfWork(UnitOfWork):
    def __init__(self, store: Store, *, request_id: Callable[[], str | None] = lambda: None) -> None:
        self._store = store
        self._draft = Draft(store)
        self.users: Users = FakeUsers(self._draft)
        self.setup_tokens: SetupTokens = FakeSetupTokens(self._draft)
        self.sessions: Sessions = FakeSessions(self._draft)
        self.api_keys: ApiKeys = FakeApiKeys(self._draft)
        self.projects: Projects = FakeProjects(self._draft)
        self.resources: Resources = FakeResources(self._draft)
        self.imports: ResourceImports = FakeResourceImports(self._draft, store.underway)
        self.surveys: Surveys = FakeSurveys(self._draft)
        self.archive: Archive = FakeArchive(self._draft)
        self.audit: AuditTrail = FakeAuditTrail(self._draft, request_id=request_id)
        self.files: Files = FakeFiles(self._draft)
        self.exports: Exports = FakeExports(self._draft)
        self.replays: Replays = FakeReplays(self._draft)

    async def __aenter__(self) -> Self:
        await self._store.lock.acquire()
        self._draft.tables = self._store.tables.copy()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._store.lock.release()

    async def commit(self) -> None:
        self._store.tables = self._draft.tables.copy()


class FakeDatabase(Database):
    """A store that is there, until it is taken `away`."""

    def __init__(self) -> None:
        self.away = False

    async def check(self) -> None:
        if self.away:
            raise Unavailable
