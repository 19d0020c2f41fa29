"""All repositories over one store, in memory or in PostgreSQL, and what a scene needs to begin."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

import pytest

from adapters.postgres.agreement import PostgresLabelReader
from adapters.postgres.annotation import PostgresAnnotationReader
from adapters.postgres.api_key import PostgresApiKeys
from adapters.postgres.audit import PostgresAuditReader
from adapters.postgres.audit_chain import PostgresAuditChain
from adapters.postgres.database import Pool
from adapters.postgres.export import PostgresExports
from adapters.postgres.file import PostgresFiles
from adapters.postgres.label_set import PostgresLabelSets
from adapters.postgres.project import PostgresProjects
from adapters.postgres.resource import PostgresResourceEdits, PostgresResourceReader, PostgresResources, PostgresResourceVersions
from adapters.postgres.resource_table import PostgresResourceTables
from adapters.postgres.response import PostgresResponseReader, PostgresResponses
from adapters.postgres.session import PostgresSessions, PostgresSignInFailures
from adapters.postgres.snapshots import Snapshots
from adapters.postgres.survey import PostgresSurveys
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from adapters.postgres.user import PostgresSetupTokens, PostgresUsers
from application.ports import (
    AnnotationReader,
    ApiKeys,
    AuditChain,
    AuditReader,
    Exports,
    Files,
    LabelReader,
    LabelSets,
    Projects,
    ResourceEdits,
    ResourceReader,
    Resources,
    ResourceTables,
    ResourceVersions,
    ResponseReader,
    Responses,
    Sessions,
    SetupTokens,
    SignInFailures,
    Surveys,
    UnitOfWorkFactory,
    Users,
)
from domain.access import Role
from domain.erasure import Erasure
from domain.errors import DomainError
from domain.label_set import LabelSet, first_label_set
from domain.project import Project, new_project
from domain.survey import Definition, FieldChange, Survey, first_survey
from domain.user import User
from tests import examples
from tests.fakes.agreement import FakeLabelReader
from tests.fakes.annotation import FakeAnnotationReader
from tests.fakes.api_key import FakeApiKeys
from tests.fakes.audit import FakeAuditChain, FakeAuditReader
from tests.fakes.export import FakeExports
from tests.fakes.file import FakeFiles
from tests.fakes.label_set import FakeLabelSets
from tests.fakes.project import FakeProjects
from tests.fakes.resource import FakeResourceEdits, FakeResourceReader, FakeResources, FakeResourceVersions
from tests.fakes.resource_table import FakeResourceTables
from tests.fakes.response import FakeResponses
from tests.fakes.response_reader import FakeResponseReader
from tests.fakes.session import FakeSessions, FakeSignInFailures
from tests.fakes.store import Store
from tests.fakes.survey import FakeSurveys
from tests.fakes.unit_of_work import FakeUnitOfWork
from tests.fakes.user import FakeSetupTokens, FakeUsers

REQUEST = "request-1"  # what every unit of work on a stage is done for


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    users: Users
    setup_tokens: SetupTokens
    sessions: Sessions
    api_keys: ApiKeys
    failures: SignInFailures
    projects: Projects
    resources: Resources
    edits: ResourceEdits
    versions: ResourceVersions
    reader: ResourceReader
    surveys: Surveys
    responses: Responses
    witnessed: list[Erasure]
    witness_refuses: list[DomainError]
    response_reader: ResponseReader
    label_sets: LabelSets
    annotation_reader: AnnotationReader
    label_reader: LabelReader
    audit: AuditReader
    chain: AuditChain
    files: Files
    tables: ResourceTables
    exports: Exports
    unit_of_work: UnitOfWorkFactory
    another_surveys: Callable[[], Surveys]

    async def user(self, username: str = "ada", *, role: Role = Role.MEMBER) -> User:
        return await self.users.add(examples.user(username, role=role))

    async def project(self, slug: str = "story") -> Project:
        return await self.projects.add(new_project(slug=slug, title="A story", at=examples.NOW))

    async def survey(self, definition: Definition | None = None, *, slug: str = "story") -> Survey:
        """A project of this slug with a survey that an admin published."""
        project, admin = await self.project(slug), await self.user(f"admin-of-{slug}", role=Role.ADMIN)
        made, changes = first_survey(definition or examples.definition(), project_id=project.id, project=slug, by=admin, at=examples.NOW)
        await self.store(made, changes)
        return made

    async def label_set(self, name: str = "topic", *, by: User, slug: str = "story", **changes: Any) -> LabelSet:
        """A new label set of this name in the project of this slug."""
        async with self.unit_of_work() as work:
            project_id, _ = await work.label_sets.lock(slug, name)
            declared = examples.declaration(**changes)
            made, told = first_label_set(declared, project_id=project_id, project=slug, name=name, by=by, at=examples.NOW)
            saved = await work.label_sets.save(made, told)
            await work.commit()
        return saved

    async def store(self, survey: Survey, changes: tuple[FieldChange, ...] = ()) -> None:
        async with self.unit_of_work() as work:
            await work.surveys.lock(survey.project)
            await work.surveys.save(survey, changes)
            await work.commit()

    async def switch(self, *, is_open: bool, slug: str = "story") -> Survey:
        """The survey of this slug, open or closed from now on."""
        async with self.unit_of_work() as work:
            _, found = await work.surveys.lock(slug)
            assert found is not None
            switched = replace(found, is_open=is_open)
            await work.surveys.switch(switched)
            await work.commit()
        return switched

    async def purge(self, *, before: datetime, for_good: bool = True) -> dict[str, int]:
        """What the archive removes of what was put away before this time, for good or only to see."""
        async with self.unit_of_work() as work:
            counts = await work.archive.purge(before=before)
            if for_good:
                await work.commit()
        return counts

    async def put_away(self, slug: str = "story", *, at: datetime = examples.NOW) -> None:
        async with self.unit_of_work() as work:
            project = await work.projects.lock(slug)
            await work.projects.save(project.delete(at=at))
            await work.commit()


def stage_in_memory() -> Stage:
    store = Store()
    witnessed: list[Erasure] = []

    refusals: list[DomainError] = []

    async def told(erasure: Erasure) -> None:
        for refusal in refusals:
            raise refusal
        witnessed.append(erasure)

    return Stage(
        witnessed=witnessed,
        witness_refuses=refusals,
        users=FakeUsers(store),
        setup_tokens=FakeSetupTokens(store),
        sessions=FakeSessions(store),
        api_keys=FakeApiKeys(store),
        failures=FakeSignInFailures(store),
        projects=FakeProjects(store),
        resources=FakeResources(store),
        edits=FakeResourceEdits(store, request_id=lambda: REQUEST),
        versions=FakeResourceVersions(store),
        reader=FakeResourceReader(store),
        surveys=FakeSurveys(store),
        responses=FakeResponses(store, witness=told),
        response_reader=FakeResponseReader(store),
        label_sets=FakeLabelSets(store),
        annotation_reader=FakeAnnotationReader(store),
        label_reader=FakeLabelReader(store),
        audit=FakeAuditReader(store),
        chain=FakeAuditChain(store),
        unit_of_work=partial(FakeUnitOfWork, store, request_id=lambda: REQUEST),
        files=FakeFiles(store),
        tables=FakeResourceTables(store),
        exports=FakeExports(store),
        another_surveys=partial(FakeSurveys, store),
    )


def stage_in_postgres(pool: Pool) -> Stage:
    witnessed: list[Erasure] = []

    refusals: list[DomainError] = []

    async def told(erasure: Erasure) -> None:
        for refusal in refusals:
            raise refusal
        witnessed.append(erasure)

    return Stage(
        witnessed=witnessed,
        witness_refuses=refusals,
        users=PostgresUsers(pool),
        setup_tokens=PostgresSetupTokens(pool),
        sessions=PostgresSessions(pool),
        api_keys=PostgresApiKeys(pool),
        failures=PostgresSignInFailures(pool),
        projects=PostgresProjects(pool),
        resources=PostgresResources(pool),
        edits=PostgresResourceEdits(pool, request_id=lambda: REQUEST),
        versions=PostgresResourceVersions(pool),
        reader=PostgresResourceReader(pool),
        surveys=PostgresSurveys(pool),
        label_sets=PostgresLabelSets(pool),
        annotation_reader=PostgresAnnotationReader(pool, Snapshots(pool)),
        label_reader=PostgresLabelReader(pool),
        responses=PostgresResponses(pool, witness=told),
        audit=PostgresAuditReader(pool),
        chain=PostgresAuditChain(pool),
        unit_of_work=partial(PostgresUnitOfWork, pool, request_id=lambda: REQUEST),
        files=PostgresFiles(pool),
        response_reader=PostgresResponseReader(Snapshots(pool)),
        tables=PostgresResourceTables(Snapshots(pool)),
        exports=PostgresExports(pool),
        another_surveys=partial(PostgresSurveys, pool),
    )


class InMemory:
    """Sets a suite's stage in memory."""

    @pytest.fixture
    async def stage(self) -> Stage:
        return stage_in_memory()


class InPostgres:
    """Sets a suite's stage in an empty PostgreSQL."""

    @pytest.fixture
    async def stage(self, pool: Pool) -> Stage:
        return stage_in_postgres(pool)
