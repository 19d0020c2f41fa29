"""Signing in, staying so, and signing out."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from application.session import SignedIn
from domain.access import Role
from domain.errors import NotFound
from domain.session import FAILED_SIGN_INS, FAILURE_WINDOW, IDLE_LIFETIME, InvalidCredentials, InvalidToken, TooManyAttempts
from domain.user import User
from tests.unit.application.conftest import PASSWORD, World

WRONG = "four other words do not"


async def deactivate(world: World, user: User) -> None:
    async with world.unit_of_work() as work:
        await work.users.save(replace(user, is_active=False))
        await work.commit()


async def test_a_name_in_any_case_and_its_password_sign_in(world: World) -> None:
    await world.signed_up()
    signed_in = await world.signed_in("LoveLace")
    assert signed_in.user.username == "lovelace"
    assert signed_in.expires_in == 900
    assert await world.authenticate(access_token=signed_in.access_token) == signed_in.user


async def test_unknown_wrong_and_inactive_get_the_same_answer_after_the_same_work(world: World) -> None:
    await world.signed_up()
    await deactivate(world, (await world.signed_up("inactive")).user)
    answers = []
    for username, password in [("nobody", PASSWORD), ("lovelace", WRONG), ("inactive", PASSWORD), ("", ""), ("x" * 999, "\x00")]:
        before = world.hasher.verifications
        with pytest.raises(InvalidCredentials) as refused:
            await world.signed_in(username, password)
        answers.append((refused.type, refused.value.code, refused.value.detail, world.hasher.verifications - before))
    assert set(answers) == {(InvalidCredentials, "invalid-credentials", "The username or the password is wrong.", 1)}


async def test_who_has_yet_to_set_a_password_does_not_sign_in(world: World, admin: User) -> None:
    await world.create_user(username="lovelace", email="a@b.c", by=admin)
    with pytest.raises(InvalidCredentials):
        await world.signed_in()


@pytest.mark.parametrize("username", ["lovelace", "nobody"])
async def test_after_ten_failures_the_network_waits_and_others_do_not(world: World, username: str) -> None:
    await world.signed_up()
    for _ in range(FAILED_SIGN_INS):
        with pytest.raises(InvalidCredentials):
            await world.signed_in(username, WRONG)
    for password in (WRONG, PASSWORD):
        with pytest.raises(TooManyAttempts) as refused:
            await world.signed_in(username.upper(), password)
        assert refused.value.retry_after == FAILURE_WINDOW.total_seconds()
    with pytest.raises(InvalidCredentials):
        await world.signed_in(username, WRONG, network="work")


async def test_the_owner_still_enters_from_elsewhere_and_from_home_after_the_wait(world: World) -> None:
    await world.signed_up()
    for _ in range(FAILED_SIGN_INS):
        with pytest.raises(InvalidCredentials):
            await world.signed_in(password=WRONG)
    assert await world.signed_in(network="work")
    world.clock.advance(FAILURE_WINDOW)
    assert await world.signed_in()


async def test_a_wait_is_not_made_longer_by_trying(world: World) -> None:
    await world.signed_up()
    for _ in range(FAILED_SIGN_INS):
        with pytest.raises(InvalidCredentials):
            await world.signed_in(password=WRONG)
    world.clock.advance(FAILURE_WINDOW - timedelta(seconds=1))
    for _ in range(5):
        with pytest.raises(TooManyAttempts) as refused:
            await world.signed_in(password=WRONG)
        assert refused.value.retry_after == 1
    world.clock.advance(timedelta(seconds=1))
    assert await world.signed_in()


async def test_signing_in_often_is_no_failure(world: World) -> None:
    await world.signed_up()
    for _ in range(FAILED_SIGN_INS + 5):
        assert await world.signed_in()


async def test_a_refresh_rotates_both_tokens(world: World) -> None:
    first = await world.signed_up()
    second = await world.refresh(refresh_token=first.refresh_token)
    third = await world.refresh(refresh_token=second.refresh_token)
    assert len({each.refresh_token for each in (first, second, third)}) == 3
    assert await world.authenticate(access_token=third.access_token) == first.user


async def test_a_lost_answer_can_be_asked_for_again_within_five_seconds(world: World) -> None:
    first = await world.signed_up()
    second = await world.refresh(refresh_token=first.refresh_token)
    world.clock.advance(timedelta(seconds=5))
    again = await world.refresh(refresh_token=first.refresh_token)
    assert again.refresh_token == second.refresh_token
    assert await world.refresh(refresh_token=again.refresh_token)


@pytest.mark.parametrize("use_successor", [True, False])
async def test_a_replay_ends_the_session_for_everybody(world: World, use_successor: object) -> None:
    first = await world.signed_up()
    newest = await world.refresh(refresh_token=first.refresh_token)
    if use_successor:
        newest = await world.refresh(refresh_token=newest.refresh_token)
    else:
        world.clock.advance(timedelta(seconds=5, microseconds=1))
    with pytest.raises(InvalidToken):
        await world.refresh(refresh_token=first.refresh_token)
    with pytest.raises(InvalidToken):
        await world.refresh(refresh_token=newest.refresh_token)
    with pytest.raises(InvalidToken):
        await world.authenticate(access_token=newest.access_token)


async def test_a_replay_leaves_other_sessions_alone(world: World) -> None:
    first = await world.signed_up()
    other = await world.signed_in()
    await world.refresh(refresh_token=first.refresh_token)
    world.clock.advance(timedelta(minutes=1))
    with pytest.raises(InvalidToken):
        await world.refresh(refresh_token=first.refresh_token)
    assert await world.authenticate(access_token=other.access_token)


@pytest.mark.parametrize("forged", ["", "x", "refresh-0"])
async def test_a_forged_refresh_token_is_refused(world: World, forged: str) -> None:
    await world.signed_up()
    with pytest.raises(InvalidToken):
        await world.refresh(refresh_token=forged)


async def test_an_idle_session_is_not_refreshed(world: World) -> None:
    first = await world.signed_up()
    world.clock.advance(IDLE_LIFETIME)
    with pytest.raises(InvalidToken):
        await world.refresh(refresh_token=first.refresh_token)


async def test_a_deactivated_user_is_out_at_once(world: World) -> None:
    first = await world.signed_up()
    await deactivate(world, first.user)
    with pytest.raises(InvalidToken):
        await world.authenticate(access_token=first.access_token)
    with pytest.raises(InvalidToken):
        await world.refresh(refresh_token=first.refresh_token)


async def test_a_role_holds_from_the_next_request_on(world: World, admin: User) -> None:
    first = await world.signed_up()
    await world.administer(user_id=first.user.id, role=Role.ANNOTATOR, expected=None, by=admin)
    assert (await world.authenticate(access_token=first.access_token)).role is Role.ANNOTATOR


async def test_an_access_token_expires(world: World) -> None:
    first = await world.signed_up()
    world.clock.advance(timedelta(seconds=first.expires_in))
    with pytest.raises(InvalidToken):
        await world.authenticate(access_token=first.access_token)


async def test_logging_out_ends_this_session_alone_and_may_be_done_twice(world: World) -> None:
    first, second = await world.signed_up(), await world.signed_in()
    for _ in range(2):
        _, session_id = world.authenticate.holder(access_token=first.access_token)
        await world.log_out(session_id=session_id)
    with pytest.raises(InvalidToken):
        await world.authenticate(access_token=first.access_token)
    with pytest.raises(InvalidToken):
        await world.refresh(refresh_token=first.refresh_token)
    assert await world.authenticate(access_token=second.access_token)


async def test_a_forged_token_has_no_holder(world: World) -> None:
    with pytest.raises(InvalidToken):
        world.authenticate.holder(access_token="forged")


async def test_without_limits_failures_do_not_count(world: World) -> None:
    await world.signed_up()
    unlimited = replace(world.log_in, check_password=replace(world.log_in.check_password, is_limited=False))
    for _ in range(30):
        with pytest.raises(InvalidCredentials):
            await unlimited(username="nobody", password="a wrong password", network="home")


async def test_a_sign_in_strengthens_an_outdated_hash_and_changes_nothing_else(world: World) -> None:
    signed_up = await world.signed_up()
    world.hasher.get_stronger()
    signed_in = await world.signed_in()
    stored = await world.users.get(signed_up.user.id)
    assert stored.password_hash != signed_up.user.password_hash
    assert replace(stored, password_hash=signed_up.user.password_hash) == signed_up.user
    assert await world.authenticate(access_token=signed_in.access_token) == stored
    await world.signed_in()
    assert await world.users.get(stored.id) == stored


async def test_a_wrong_password_strengthens_nothing(world: World) -> None:
    signed_up = await world.signed_up()
    world.hasher.get_stronger()
    with pytest.raises(InvalidCredentials):
        await world.signed_in(password=WRONG)
    assert await world.users.get(signed_up.user.id) == signed_up.user


async def test_a_password_that_was_changed_after_its_check_opens_nothing(world: World) -> None:
    checked = (await world.signed_up()).user
    async with world.unit_of_work() as work:
        await work.users.save(checked.change_password(await world.hasher.hash(WRONG), at=world.clock.now()))
        await work.commit()
    async with world.unit_of_work() as work:
        with pytest.raises(InvalidCredentials):
            await world.log_in.check_password.confirm(work, checked, PASSWORD)


async def test_a_hash_that_was_strengthened_after_its_check_opens_all_the_same(world: World) -> None:
    checked = (await world.signed_up()).user
    stronger = checked.strengthen_hash(await world.hasher.hash(PASSWORD))
    async with world.unit_of_work() as work:
        await work.users.save(stronger)
        assert await world.log_in.check_password.confirm(work, checked, PASSWORD) == stronger


async def test_who_was_deactivated_after_the_check_stays_out(world: World) -> None:
    checked = (await world.signed_up()).user
    await deactivate(world, checked)
    async with world.unit_of_work() as work:
        with pytest.raises(InvalidCredentials):
            await world.log_in.check_password.confirm(work, checked, PASSWORD)


def session_of(world: World, who: SignedIn) -> UUID:
    return world.authenticate.holder(access_token=who.access_token)[1]


async def test_one_sees_ones_own_sessions_and_when_they_were_last_used(world: World) -> None:
    first = await world.signed_up()
    ids = [session_of(world, first)]
    await world.signed_up("byron")
    world.clock.advance(timedelta(hours=1))
    ids.append(session_of(world, await world.signed_in()))
    world.clock.advance(timedelta(hours=1))
    await world.refresh(refresh_token=first.refresh_token)
    found = await world.list_sessions(after=UUID(int=0), limit=10, by=first.user)
    assert [each.id for each in found] == ids
    began, now = world.clock.now() - timedelta(hours=2), world.clock.now()
    assert [(each.created_at, each.last_used_at) for each in found] == [
        (began, now),
        (began + timedelta(hours=1), began + timedelta(hours=1)),
    ]


async def test_all_other_sessions_can_be_ended(world: World) -> None:
    here, there, stranger = await world.signed_up(), await world.signed_in(), await world.signed_up("byron")
    for _ in range(2):
        await world.end_other_sessions(session_id=session_of(world, here), by=here.user)
    for each in (here, stranger):
        assert await world.authenticate(access_token=each.access_token)
    with pytest.raises(InvalidToken):
        await world.authenticate(access_token=there.access_token)


async def test_one_session_can_be_ended_by_its_user_alone(world: World) -> None:
    here, there, stranger = await world.signed_up(), await world.signed_in(), await world.signed_up("byron")
    with pytest.raises(NotFound):
        await world.end_session(session_id=session_of(world, here), by=stranger.user)
    await world.end_session(session_id=session_of(world, there), by=here.user)
    with pytest.raises(NotFound):
        await world.end_session(session_id=session_of(world, there), by=here.user)
    with pytest.raises(InvalidToken):
        await world.refresh(refresh_token=there.refresh_token)
    assert await world.authenticate(access_token=here.access_token)
