"""API keys: made, used, listed and revoked."""

from dataclasses import replace
from datetime import timedelta

import pytest

from application.api_key import MadeKey
from domain.api_key import LIVE_MAX, Scope
from domain.errors import Invalid, NotFound
from domain.quota import QuotaExceeded
from domain.session import InvalidToken
from domain.user import User
from tests.unit.application.conftest import World


async def make(world: World, by: User, **content: object) -> MadeKey:
    given: dict[str, object] = {"name": "import", "scopes": [Scope.READ], "expires_in_days": 30} | content
    return await world.create_key(**given, by=by)  # type: ignore[arg-type]


async def test_a_key_speaks_for_who_made_it(world: World, member: User) -> None:
    made = await make(world, member)
    assert made.secret.startswith("cs_")
    assert len(made.secret) == 46
    assert made.secret.startswith(made.key.prefix)
    assert await world.authenticate_key(secret=made.secret) == (member, made.key)
    assert await world.list_keys(after=0, limit=10, by=member) == [made.key]
    assert made.secret not in repr(made.key)


async def test_nobody_sees_or_revokes_the_keys_of_another(world: World, member: User, other: User) -> None:
    made = await make(world, member)
    assert await world.list_keys(after=0, limit=10, by=other) == []
    with pytest.raises(NotFound):
        await world.revoke_key(key_id=made.key.id, by=other)
    await world.revoke_key(key_id=made.key.id, by=member)
    with pytest.raises(InvalidToken):
        await world.authenticate_key(secret=made.secret)
    with pytest.raises(NotFound):
        await world.revoke_key(key_id=made.key.id, by=member)


async def test_a_key_expires_and_dies_with_its_user(world: World, member: User) -> None:
    made = await make(world, member, expires_in_days=1)
    world.clock.advance(timedelta(days=1))
    with pytest.raises(InvalidToken):
        await world.authenticate_key(secret=made.secret)
    second = await make(world, member)
    async with world.unit_of_work() as work:
        await work.users.save(replace(member, is_active=False))
        await work.commit()
    with pytest.raises(InvalidToken):
        await world.authenticate_key(secret=second.secret)


async def test_who_was_deactivated_has_no_key_any_more_and_gets_none_meanwhile(
    world: World, member: User, other: User, admin: User
) -> None:
    made, others = await make(world, member), await make(world, other)
    await world.administer(user_id=member.id, is_active=False, expected=None, by=admin)
    with pytest.raises(InvalidToken):
        await make(world, member)  # who was let in just before
    again = await world.administer(user_id=member.id, is_active=True, expected=None, by=admin)
    with pytest.raises(InvalidToken):
        await world.authenticate_key(secret=made.secret)
    assert await world.list_keys(after=0, limit=10, by=again) == []
    assert await world.authenticate_key(secret=others.secret) == (other, others.key)


async def test_only_live_keys_count_against_the_limit(world: World, member: User, other: User) -> None:
    made = [await make(world, member) for _ in range(LIVE_MAX)]
    with pytest.raises(QuotaExceeded):
        await make(world, member)
    with pytest.raises(Invalid):
        await make(world, member, name="")
    assert await make(world, other)
    await world.revoke_key(key_id=made[0].key.id, by=member)
    assert await make(world, member)
    world.clock.advance(timedelta(days=30))
    assert await make(world, member)


async def test_a_use_is_noted_when_it_is_due(world: World, member: User) -> None:
    key = (await make(world, member)).key
    assert world.note_key_use.is_due(key)
    await world.note_key_use(key)
    (used,) = await world.list_keys(after=0, limit=10, by=member)
    assert used.last_used_at == world.clock.now()
    assert not world.note_key_use.is_due(used)


@pytest.mark.parametrize("secret", ["", "cs_", "cs_" + "0" * 43, "cs_é"])
async def test_a_made_up_key_opens_nothing(world: World, secret: str) -> None:
    with pytest.raises(InvalidToken):
        await world.authenticate_key(secret=secret)
