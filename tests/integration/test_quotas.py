"""Quotas hold however many ask at once, shown with the use cases themselves on real PostgreSQL."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Iterable
from functools import partial

import pytest

from adapters.postgres.database import Pool
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from application.api_key import CreateApiKey
from application.label_set import PublishLabelSet
from application.session import CheckPassword, LogIn, OpenSession
from domain import api_key, label_set, session
from domain.access import Role
from domain.api_key import Scope
from domain.errors import DomainError
from domain.user import User
from tests.contracts.stage import Stage, stage_in_postgres
from tests.examples import declaration, user
from tests.fakes.system import FakeClock, FakeHasher, FakeRandom, FakeTokens
from tests.postgres import lent

CLOCK = FakeClock()
AT_ONCE = 8


@pytest.fixture
async def stage(pool: Pool) -> Stage:
    return stage_in_postgres(pool)


@pytest.fixture
async def admin(stage: Stage) -> User:
    return await stage.user("grace", role=Role.ADMIN)


async def outcomes(tasks: Iterable[Awaitable[object]]) -> dict[str, int]:
    """How many came to what: the code of a refusal, or `done`."""
    told: Counter[str] = Counter()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, BaseException) and not isinstance(result, DomainError):
            raise result
        told[result.code if isinstance(result, DomainError) else "done"] += 1
    return dict(told)


async def test_of_many_sign_ins_at_once_the_newest_go_on(pool: Pool, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("application.session.LIVE_MAX", 3)
    hasher = FakeHasher()
    check = CheckPassword(users=stage.users, failures=stage.failures, hasher=hasher, clock=CLOCK, is_limited=False)
    open_session = OpenSession(tokens=FakeTokens(), random=FakeRandom(), clock=CLOCK)
    log_in = LogIn(check_password=check, open_session=open_session, unit_of_work=partial(PostgresUnitOfWork, pool))
    person = await stage.users.add(user("ada", password_hash=await hasher.hash("the right password")))
    assert session.LIVE_MAX == 50
    enter = partial(log_in, username="ada", password="the right password", network="home")
    assert await outcomes(enter() for _ in range(AT_ONCE)) == {"done": AT_ONCE}
    async with lent(pool) as connection:
        live = "SELECT count(*) FROM sessions WHERE user_id = $1 AND ended_at IS NULL"
        assert await connection.fetchval(live, person.id) == 3
        told = "SELECT count(*) FROM audit_entries WHERE action = $1"
        assert [await connection.fetchval(told, f"session.{verb}") for verb in ("start", "end")] == [AT_ONCE, AT_ONCE - 3]


async def test_of_many_keys_at_once_as_many_are_made_as_one_may_have(pool: Pool, admin: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_key, "LIVE_MAX", 3)
    make = CreateApiKey(unit_of_work=partial(PostgresUnitOfWork, pool), random=FakeRandom(), clock=CLOCK)
    keys = (make(name=f"k{number}", scopes=[Scope.READ], expires_in_days=1, by=admin) for number in range(AT_ONCE))
    assert await outcomes(keys) == {"done": 3, "quota-exceeded": AT_ONCE - 3}


async def test_of_many_label_sets_at_once_as_many_are_made_as_a_project_may_have(
    pool: Pool, stage: Stage, admin: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_set, "SETS_MAX", 3)
    await stage.project()
    publish = PublishLabelSet(unit_of_work=partial(PostgresUnitOfWork, pool), clock=CLOCK)
    sets = [publish(project="story", name=f"s{number}", declaration=declaration(), by=admin) for number in range(AT_ONCE)]
    assert await outcomes(sets) == {"done": 3, "quota-exceeded": AT_ONCE - 3}
    names = [each.name for each in await stage.label_sets.page("story", after="", limit=10)]
    assert await outcomes(publish(project="story", name=name, declaration=declaration(), by=admin) for name in names) == {"done": 3}
