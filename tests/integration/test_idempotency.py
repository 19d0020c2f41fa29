"""Doing once what is asked for more than once, on real PostgreSQL: many at a time, and cut off at any moment."""

import asyncio
from collections import Counter
from functools import partial

import pytest

from adapters.postgres.database import Pool
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from application.idempotency import Once, Outcome
from application.project import CreateProject
from domain.access import Role
from domain.errors import DomainError
from domain.idempotency import Keyed, KeyReused, StillRunning
from domain.project import Project, SlugTaken
from domain.user import User
from tests.contracts.stage import Stage, stage_in_postgres
from tests.fakes.system import FakeClock


class Maker:
    """Makes projects, each once for a key."""

    def __init__(self, pool: Pool, by: User) -> None:
        unit_of_work = partial(PostgresUnitOfWork, pool)
        self._by = by
        self._once = Once(unit_of_work=unit_of_work, clock=FakeClock())
        self._create = CreateProject(unit_of_work=unit_of_work, clock=FakeClock())

    async def __call__(self, slug: str, *, key: str = "key") -> Outcome:
        keyed = Keyed(user_id=self._by.id, key=key, fingerprint=slug.encode())
        act = partial(self._create.within, slug=slug, title="T", by=self._by)
        return await self._once(keyed, act=act, told=_told, refused=_refused)


def _told(project: Project) -> bytes:
    return f"made {project.id}".encode()


async def _refused(error: DomainError) -> bytes:
    return error.code.encode()


@pytest.fixture
async def stage(pool: Pool) -> Stage:
    return stage_in_postgres(pool)


@pytest.fixture
async def make(pool: Pool, stage: Stage) -> Maker:
    return Maker(pool, await stage.user("grace", role=Role.ADMIN))


async def slugs(stage: Stage) -> list[str]:
    return [each.slug for each in await stage.projects.page(after="", limit=1000)]


async def once_more(make: Maker, slug: str) -> Outcome:
    """The request again, as often as it is told to come back: the database may take a moment to notice that nobody waits any more."""
    async with asyncio.timeout(10):
        while True:
            try:
                return await make(slug, key=slug)
            except StillRunning:
                await asyncio.sleep(0.02)


async def test_of_32_at_once_one_makes_it(stage: Stage, make: Maker) -> None:
    for round in "abcdef":
        told = await asyncio.gather(*(make(round, key=round) for _ in range(32)), return_exceptions=True)
        outcomes = [each for each in told if isinstance(each, Outcome)]
        assert {type(each) for each in told} <= {Outcome, StillRunning}
        assert [each.is_replay for each in outcomes].count(False) == 1
        assert {each.content for each in outcomes} == {(await make(round, key=round)).content}
    assert await slugs(stage) == list("abcdef")


async def test_of_32_at_once_that_are_refused_all_are_told_the_same(stage: Stage, make: Maker) -> None:
    await stage.project("a")
    told = await asyncio.gather(*(make("a") for _ in range(32)), return_exceptions=True)
    outcomes = Counter(each if isinstance(each, Outcome) else type(each) for each in told)
    assert set(outcomes) <= {Outcome(content=SlugTaken.code.encode(), is_replay=flag) for flag in (True, False)} | {StillRunning}
    assert outcomes[Outcome(content=SlugTaken.code.encode(), is_replay=False)] == 1


async def test_of_two_requests_under_one_key_only_one_is_ever_done(stage: Stage, make: Maker) -> None:
    for round in range(8):
        pair = [f"{half}{round}" for half in "ab"]
        told = await asyncio.gather(*(make(slug, key=str(round)) for slug in pair * 16), return_exceptions=True)
        assert {type(each) for each in told} <= {Outcome, StillRunning, KeyReused}
        assert len(set(await slugs(stage)) & set(pair)) == 1


async def test_cut_off_at_any_moment_a_request_is_done_once_in_the_end(stage: Stage, make: Maker) -> None:
    cut, made = 0, []
    for turns in range(60):
        slug = f"story-{turns}"
        task = asyncio.create_task(make(slug, key=slug))
        for _ in range(turns * 2):
            await asyncio.sleep(0)
        task.cancel()
        (first,) = await asyncio.gather(task, return_exceptions=True)
        again = await once_more(make, slug)
        assert again.content.startswith(b"made")
        if isinstance(first, Outcome):
            assert again == Outcome(content=first.content, is_replay=True)
        else:
            cut += 1
        made.append(slug)
    assert cut > 5
    assert await slugs(stage) == sorted(made)
