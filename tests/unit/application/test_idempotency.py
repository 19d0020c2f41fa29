"""Doing once what is asked for more than once."""

import asyncio
from datetime import timedelta
from functools import partial
from types import TracebackType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.idempotency import Once, Outcome
from application.ports import UnitOfWork
from domain.access import NotAllowed
from domain.errors import DomainError, Full, Refused, Stale, TooMany, Unauthenticated, Unavailable
from domain.idempotency import KEPT_FOR, Keyed, KeyReused
from domain.project import Project, SlugReserved, SlugTaken
from domain.user import User
from tests.fakes.unit_of_work import FakeUnitOfWork
from tests.unit.application.conftest import World

HOUR = timedelta(hours=1)


def told(project: Project) -> bytes:
    return f"made {project.id}".encode()


async def refused(error: DomainError) -> bytes:
    return error.code.encode()


async def make(world: World, by: User, slug: str, *, key: str = "key", fingerprint: str | None = None) -> Outcome:
    """What a request to make a project comes to."""
    keyed = Keyed(user_id=by.id, key=key, fingerprint=(fingerprint or slug).encode())
    return await world.once(keyed, act=partial(world.create_project.within, slug=slug, title="T", by=by), told=told, refused=refused)


async def slugs(world: World) -> list[str]:
    return [each.slug for each in await world.list_projects(after="", limit=1000)]


async def test_a_change_is_made_once_and_told_again(world: World, admin: User) -> None:
    first = await make(world, admin, "story")
    assert not first.is_replay
    world.clock.advance(23 * HOUR)
    assert await make(world, admin, "story") == Outcome(content=first.content, is_replay=True)
    assert await slugs(world) == ["story"]


async def test_a_refusal_is_told_again_though_it_would_be_none_now(world: World, admin: User) -> None:
    await world.create_project(slug="story", title="T", by=admin)
    assert (await make(world, admin, "story")).content == SlugTaken.code.encode()
    await world.delete_project(project="story", expected=None, by=admin)
    assert await make(world, admin, "story") == Outcome(content=SlugTaken.code.encode(), is_replay=True)
    assert await slugs(world) == []


async def test_a_refusal_undoes_what_was_done_before_it(world: World, admin: User) -> None:
    async def half(work: UnitOfWork) -> Project:
        await world.create_project.within(work, slug="half", title="T", by=admin)
        raise SlugReserved

    keyed = Keyed(user_id=admin.id, key="key", fingerprint=b"")
    for is_replay in (False, True):
        outcome = await world.once(keyed, act=half, told=told, refused=refused)
        assert outcome == Outcome(content=SlugReserved.code.encode(), is_replay=is_replay)
    assert await slugs(world) == []


@pytest.mark.parametrize(
    "error", [Unavailable(), Full(), NotAllowed(), Unauthenticated(), TooMany(retry_after=1), ValueError("a mistake")], ids=repr
)
async def test_what_is_no_outcome_leaves_the_key_unused(world: World, admin: User, error: Exception) -> None:
    async def fail(work: UnitOfWork) -> Project:
        await world.create_project.within(work, slug="half", title="T", by=admin)
        raise error

    keyed = Keyed(user_id=admin.id, key="key", fingerprint=b"story")
    with pytest.raises(type(error)):
        await world.once(keyed, act=fail, told=told, refused=refused)
    assert not (await make(world, admin, "story")).is_replay
    assert await slugs(world) == ["story"]


@pytest.mark.parametrize("error", [Refused("No."), Stale(current=1)], ids=repr)
async def test_every_judgement_of_the_request_is_an_outcome(world: World, admin: User, error: DomainError) -> None:
    async def fail(_: UnitOfWork) -> Project:
        raise error

    keyed = Keyed(user_id=admin.id, key="key", fingerprint=b"")
    for is_replay in (False, True):
        assert (await world.once(keyed, act=fail, told=told, refused=refused)).is_replay is is_replay


async def test_an_answer_that_cannot_be_told_leaves_nothing(world: World, admin: User) -> None:
    def fail(_: Project) -> bytes:
        raise ValueError

    act = partial(world.create_project.within, slug="story", title="T", by=admin)
    with pytest.raises(ValueError):  # noqa: PT011 - the one above
        await world.once(Keyed(user_id=admin.id, key="key", fingerprint=b"story"), act=act, told=fail, refused=refused)
    assert await slugs(world) == []
    assert not (await make(world, admin, "story")).is_replay


async def test_of_a_refusal_and_what_came_to_be_meanwhile_the_latter_stands(world: World, admin: User) -> None:
    """Between the refusal and its keeping another try of the same request gets through: both are told what that came to."""
    await world.create_project(slug="story", title="T", by=admin)
    found: list[Outcome] = []

    async def slowly(error: DomainError) -> bytes:
        await world.delete_project(project="story", expected=None, by=admin)
        found.append(await make(world, admin, "story"))
        return await refused(error)

    keyed = Keyed(user_id=admin.id, key="key", fingerprint=b"story")
    act = partial(world.create_project.within, slug="story", title="T", by=admin)
    late = await world.once(keyed, act=act, told=told, refused=slowly)
    assert found == [Outcome(content=late.content, is_replay=False)]
    assert late.is_replay
    assert await slugs(world) == ["story"]


class DiesAfterCommit(FakeUnitOfWork):
    """A process that ends just when what it did has become durable."""

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        await super().__aexit__(kind, error, traceback)
        if kind is None:
            raise asyncio.CancelledError


async def test_a_crash_after_the_commit_loses_no_outcome(world: World, admin: User) -> None:
    dying = Once(unit_of_work=partial(DiesAfterCommit, world.store), clock=world.clock)
    act = partial(world.create_project.within, slug="story", title="T", by=admin)
    keyed = Keyed(user_id=admin.id, key="key", fingerprint=b"story")
    with pytest.raises(asyncio.CancelledError):
        await dying(keyed, act=act, told=told, refused=refused)
    (made,) = await world.list_projects(after="", limit=10)
    assert await make(world, admin, "story") == Outcome(content=told(made), is_replay=True)
    assert await slugs(world) == ["story"]


requests = st.tuples(st.sampled_from(["grace", "hedy"]), st.sampled_from("kl"), st.sampled_from("abc"), st.integers(0, 13))


@given(st.lists(requests, max_size=30))
def test_any_sequence_comes_out_as_it_says(sequence: list[tuple[str, str, str, int]]) -> None:
    """Against a model: what is kept, by user and key, and which slugs are taken."""
    asyncio.run(compare(sequence))


async def compare(sequence: list[tuple[str, str, str, int]]) -> None:
    world = World()
    people = {name: await world.admin(name) for name in ("grace", "hedy")}
    kept: dict[tuple[str, str], tuple[str, bytes, timedelta]] = {}
    taken: set[str] = set()
    age = timedelta()
    for name, key, slug, hours in sequence:
        world.clock.advance(hours * HOUR)
        age += hours * HOUR
        asked, content, since = kept.get((name, key), ("", b"", timedelta()))
        is_kept = bool(asked) and age - since < KEPT_FOR
        if is_kept and asked != slug:
            with pytest.raises(KeyReused):
                await make(world, people[name], slug, key=key)
            continue
        outcome = await make(world, people[name], slug, key=key)
        assert outcome.is_replay is is_kept
        if is_kept:
            assert outcome.content == content
            continue
        assert (outcome.content == SlugTaken.code.encode()) is (slug in taken)
        kept[name, key] = slug, outcome.content, age
        taken.add(slug)
    assert await slugs(world) == sorted(taken)
