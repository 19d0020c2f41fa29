"""Units of work and the store as a whole: the sentences of `UnitOfWork` and `Database`."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import text

from adapters.postgres.database import Pool, Statement
from adapters.postgres.health import PostgresDatabase
from adapters.postgres.schema import migrate
from application.ports import Database
from domain.errors import NotFound, Unavailable
from domain.project import SlugTaken, new_project
from domain.session import new_session
from domain.survey import first_survey
from tests.contracts.stage import InMemory, InPostgres, Stage
from tests.examples import NOW, api_key, definition, resource, user
from tests.fakes.unit_of_work import FakeDatabase
from tests.postgres import lent


class OnPurpose(Exception):
    """Raised to leave a unit of work early."""


async def fill(stage: Stage, *, commit: bool, leave_by: Exception | None = None) -> None:
    """Write through every repository of a unit of work."""
    async with stage.unit_of_work() as work:
        ada = await work.users.add(user("ada"))
        await work.setup_tokens.add(token="token", user_id=ada.id, expires_at=NOW.replace(year=2030))
        await work.sessions.add(new_session(id=UUID(int=1), user_id=ada.id, at=NOW))
        await work.api_keys.add(api_key(ada), secret="secret")
        story = await work.projects.add(new_project(slug="story", title="A story", at=NOW))
        await work.resources.add(resource(by=ada))
        admin = user("grace", id=ada.id, role=type(ada.role).ADMIN)
        await work.surveys.save(*first_survey(definition(), project_id=story.id, project="story", by=admin, at=NOW))
        if commit:
            await work.commit()
        if leave_by is not None:
            raise leave_by


async def is_filled(stage: Stage) -> list[bool]:
    found = [await stage.users.by_username("ada") is not None, await stage.projects.was_used("story")]
    try:
        await stage.surveys.get("story")
        found.append(True)
    except NotFound:
        found.append(False)
    found.append(await stage.api_keys.holder("secret", at=NOW) is not None)
    async with stage.unit_of_work() as work:
        found.append(await work.sessions.lock(UUID(int=1)) is not None)
        found.append(await work.setup_tokens.redeem("token", at=NOW) is not None)
    return found


class UnitOfWorkContract:
    async def test_a_commit_stores_everything(self, stage: Stage) -> None:
        await fill(stage, commit=True)
        assert await is_filled(stage) == [True] * 6
        assert (await stage.projects.overview("story"))[1].resources == 1

    async def test_leaving_without_a_commit_undoes_everything(self, stage: Stage) -> None:
        await fill(stage, commit=False)
        assert await is_filled(stage) == [False] * 6

    async def test_leaving_by_an_error_undoes_everything_and_raises_it(self, stage: Stage) -> None:
        with pytest.raises(OnPurpose):
            await fill(stage, commit=False, leave_by=OnPurpose())
        assert await is_filled(stage) == [False] * 6

    async def test_what_was_committed_stays_whatever_happens_after(self, stage: Stage) -> None:
        with pytest.raises(OnPurpose):
            await fill(stage, commit=True, leave_by=OnPurpose())
        assert await is_filled(stage) == [True] * 6

    async def test_a_refusal_by_the_store_undoes_what_came_before_it(self, stage: Stage) -> None:
        await stage.project("story")
        with pytest.raises(SlugTaken):
            await fill(stage, commit=True)
        assert await stage.users.by_username("ada") is None

    async def test_nobody_sees_a_change_before_its_commit(self, stage: Stage) -> None:
        async with stage.unit_of_work() as work:
            await work.projects.add(new_project(slug="story", title="A story", at=NOW))
            assert await work.projects.was_used("story")
            assert not await stage.projects.was_used("story")
            await work.commit()
        assert await stage.projects.was_used("story")

    async def test_a_unit_of_work_that_was_cancelled_leaves_nothing(self, stage: Stage) -> None:
        entered = asyncio.Event()

        async def dawdle() -> None:
            async with stage.unit_of_work() as work:
                await work.projects.add(new_project(slug="story", title="A story", at=NOW))
                entered.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(dawdle())
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not await stage.projects.was_used("story")
        await stage.project("story")


class TestFakeUnitOfWork(InMemory, UnitOfWorkContract):
    pass


class TestPostgresUnitOfWork(InPostgres, UnitOfWorkContract):
    pass


class DatabaseContract:
    async def test_a_store_that_is_there_is_well(self, database: Database) -> None:
        await database.check()

    async def test_a_store_with_another_schema_is_unavailable(self, unfit: Database) -> None:
        with pytest.raises(Unavailable):
            await unfit.check()

    async def test_a_store_that_is_away_is_unavailable(self, away: Database) -> None:
        with pytest.raises(Unavailable):
            await away.check()


class TestFakeDatabase(DatabaseContract):
    @pytest.fixture
    async def database(self) -> Database:
        return FakeDatabase()

    @pytest.fixture
    async def away(self) -> Database:
        database = FakeDatabase()
        database.away = True
        return database

    @pytest.fixture
    async def unfit(self) -> Database:
        database = FakeDatabase()
        database.unfit = True
        return database


class TestPostgresDatabase(DatabaseContract):
    @pytest.fixture
    async def database(self, pool: Pool) -> Database:
        return PostgresDatabase(pool)

    @pytest.fixture(params=["none", "older", "newer"])
    async def unfit(self, request: pytest.FixtureRequest, empty_database: str) -> AsyncIterator[Database]:
        if request.param != "none":
            await migrate(empty_database, to="head" if request.param == "newer" else "0001")
        async with Pool(empty_database, size=1) as pool:
            if request.param == "newer":
                async with lent(pool) as connection:
                    await connection.execute("UPDATE alembic_version SET version_num = '9999'")
            yield PostgresDatabase(pool)

    @pytest.fixture
    async def away(self, database_url: str) -> Database:
        async with Pool(database_url, size=1) as stopped:
            lines = stopped._lines
        stopped._lines = lines  # a pool whose connections were all cut
        return PostgresDatabase(stopped)

    async def test_what_the_database_failed_in_is_counted_and_what_it_refused_is_not(self, pool: Pool, away: Database) -> None:
        assert isinstance(away, PostgresDatabase)
        for _ in range(3):
            with pytest.raises(Unavailable):
                await away.check()
        assert away._pool.failures == 3
        before = pool.failures
        with pytest.raises(asyncpg.NotNullViolationError):
            await pool.row(Statement(text("INSERT INTO projects (slug) VALUES (NULL)")))
        assert pool.failures == before
