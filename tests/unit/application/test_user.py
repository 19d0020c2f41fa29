"""Accounts: registering, setting a password, and what admins do."""

from datetime import timedelta
from typing import Any

import pytest

from application.session import SignedIn
from application.user import SETUP_LIFETIME
from domain.access import NotAllowed, Role
from domain.errors import Invalid, NotFound, Stale
from domain.session import FAILED_SIGN_INS, InvalidCredentials, InvalidToken, TooManyAttempts
from domain.user import LastAdmin, User, UsernameTaken, WrongPassword
from tests.unit.application.conftest import PASSWORD, World


async def faults_of_registering(world: World, **changes: Any) -> list[tuple[str, str]]:
    account: dict[str, Any] = {"username": "lovelace", "email": "ada@example.org", "password": PASSWORD} | changes
    with pytest.raises(Invalid) as refused:
        await world.register(**account)
    assert await world.users.page(search=None, after=0, limit=10) == []
    return [(fault.pointer, fault.code) for fault in refused.value.faults]


async def test_whoever_registers_is_a_member_and_signed_in(world: World) -> None:
    signed_in = await world.register(
        username="LoveLace",
        email="ada@example.org",
        password=PASSWORD,
        orcid_id="https://orcid.org/0000-0002-1825-0097",
        openalex_id="https://openalex.org/A5023888391",
    )
    assert (signed_in.user.username, signed_in.user.role) == ("lovelace", Role.MEMBER)
    assert (signed_in.user.orcid_id, signed_in.user.openalex_id) == ("0000-0002-1825-0097", "A5023888391")
    assert await world.authenticate(access_token=signed_in.access_token) == signed_in.user
    assert PASSWORD not in str(signed_in.user.password_hash)


async def test_a_taken_name_is_told_and_an_address_may_be_used_twice(world: World) -> None:
    await world.register(username="lovelace", email="ada@example.org", password=PASSWORD)
    assert await world.register(username="byron", email="ada@example.org", password=PASSWORD)
    with pytest.raises(UsernameTaken):
        await world.register(username="LOVELACE", email="other@example.org", password=PASSWORD)


@pytest.mark.parametrize("username", ["admin", "Admin", "ROOT", "ſupport", "nobody"])
async def test_a_reserved_name_is_refused_in_any_case(world: World, username: str) -> None:
    assert (await faults_of_registering(world, username=username))[0][0] == "/username"


@pytest.mark.parametrize("username", ["аdmin", "ａdmin", "admin\u200b", "admın", "lovelаce"])
async def test_a_name_that_only_looks_like_another_is_refused(world: World, username: str) -> None:
    assert await faults_of_registering(world, username=username) == [("/username", "bad-username")]


async def test_all_faults_of_a_registration_are_told_at_once(world: World) -> None:
    faults = await faults_of_registering(world, username="x", email="x", password="short", orcid_id="x", openalex_id="x")
    assert [pointer for pointer, _ in faults] == ["/username", "/email", "/orcid_id", "/openalex_id", "/password"]


@pytest.mark.parametrize("password", ["passwordpassword", "x lovelace and more", "short"])
async def test_a_bad_password_is_refused(world: World, password: str) -> None:
    assert [pointer for pointer, _ in await faults_of_registering(world, password=password)] == ["/password"]


async def test_the_operator_may_use_a_reserved_name(world: World) -> None:
    made = await world.create_admin(username="Admin", email="a@localhost", password=PASSWORD)
    assert (made.username, made.role) == ("admin", Role.ADMIN)
    with pytest.raises(UsernameTaken):
        await world.create_admin(username="admin", email="a@localhost", password=PASSWORD)
    with pytest.raises(Invalid):
        await world.create_admin(username="root", email="a@localhost", password="short")


async def test_a_set_up_token_sets_the_password_once(world: World, admin: User) -> None:
    setup = await world.create_user(username="lovelace", email="a@b.c", role=Role.ANNOTATOR, by=admin)
    await world.set_password(token=setup.token, new_password=PASSWORD)
    signed_in = await world.signed_in()
    assert (signed_in.user.role, signed_in.user.version) == (Role.ANNOTATOR, 2)
    with pytest.raises(InvalidToken):
        await world.set_password(token=setup.token, new_password="other random words too")
    assert await world.signed_in()


async def test_a_set_up_token_survives_a_bad_password(world: World, admin: User) -> None:
    setup = await world.create_user(username="lovelace", email="a@b.c", by=admin)
    with pytest.raises(Invalid) as refused:
        await world.set_password(token=setup.token, new_password="lovelace and lovelace")
    assert [fault.pointer for fault in refused.value.faults] == ["/new_password"]
    await world.set_password(token=setup.token, new_password=PASSWORD)


async def test_a_set_up_token_expires(world: World, admin: User) -> None:
    setup = await world.create_user(username="lovelace", email="a@b.c", by=admin)
    assert setup.expires_at == world.clock.now() + SETUP_LIFETIME
    world.clock.advance(SETUP_LIFETIME)
    with pytest.raises(InvalidToken):
        await world.set_password(token=setup.token, new_password=PASSWORD)


async def test_setting_a_password_ends_every_session(world: World, admin: User) -> None:
    signed_up = await world.signed_up()
    async with world.unit_of_work() as work:
        await work.setup_tokens.add(token="reset", user_id=signed_up.user.id, expires_at=world.clock.now() + timedelta(days=1))
        await work.commit()
    await world.set_password(token="reset", new_password="other random words too")
    with pytest.raises(InvalidToken):
        await world.authenticate(access_token=signed_up.access_token)


async def test_only_an_admin_handles_accounts(world: World, member: User, other: User) -> None:
    for by in (member, other):
        with pytest.raises(NotAllowed):
            await world.create_user(username="lovelace", email="a@b.c", by=by)
        with pytest.raises(NotAllowed):
            await world.list_users(search=None, after=0, limit=10, by=by)
        with pytest.raises(NotAllowed):
            await world.get_user(user_id=by.id, by=by)
        with pytest.raises(NotAllowed):
            await world.administer(user_id=by.id, role=Role.ADMIN, expected=None, by=by)
    assert await world.users.by_username("lovelace") is None


async def test_an_admin_finds_users(world: World, admin: User, member: User, other: User) -> None:
    assert await world.list_users(search=None, after=0, limit=10, by=admin) == [admin, member, other]
    assert await world.list_users(search="EMM", after=0, limit=10, by=admin) == [other]
    assert await world.get_user(user_id=other.id, by=admin) == other
    with pytest.raises(NotFound):
        await world.get_user(user_id=10**6, by=admin)


async def test_an_admin_changes_roles_under_a_version(world: World, admin: User, member: User) -> None:
    promoted = await world.administer(user_id=member.id, role=Role.ADMIN, expected=frozenset({1}), by=admin)
    assert (promoted.role, promoted.version) == (Role.ADMIN, 2)
    with pytest.raises(Stale):
        await world.administer(user_id=member.id, is_active=False, expected=frozenset({1}), by=admin)
    assert (await world.users.get(member.id)) == promoted
    with pytest.raises(NotFound):
        await world.administer(user_id=10**6, is_active=False, expected=None, by=admin)


@pytest.mark.parametrize("change", [{"role": Role.MEMBER}, {"is_active": False}])
async def test_the_last_active_admin_stays(world: World, admin: User, member: User, change: dict[str, Any]) -> None:
    with pytest.raises(LastAdmin):
        await world.administer(user_id=admin.id, **change, expected=None, by=admin)
    assert await world.users.get(admin.id) == admin
    await world.administer(user_id=member.id, role=Role.ADMIN, expected=None, by=admin)
    assert not (await world.administer(user_id=admin.id, **change, expected=None, by=admin)).is_active_admin


ANOTHER = "other random words too"


async def change_password(world: World, who: SignedIn, *, current: str = PASSWORD, new: str = ANOTHER, **more: Any) -> User:
    _, session_id = world.authenticate.holder(access_token=who.access_token)
    return await world.change_password(
        current_password=current, new_password=new, network="home", session_id=session_id, by=who.user, **more
    )


async def test_a_changed_password_is_the_one_that_opens(world: World) -> None:
    signed_up = await world.signed_up()
    changed = await change_password(world, signed_up)
    assert (changed.version, changed.updated_at) == (2, world.clock.now())
    with pytest.raises(InvalidCredentials):
        await world.signed_in()
    assert (await world.signed_in(password=ANOTHER)).user == changed


async def test_changing_a_password_ends_every_other_session_and_nobody_elses(world: World) -> None:
    here, there, stranger = await world.signed_up(), await world.signed_in(), await world.signed_up("byron")
    await change_password(world, here)
    for token in (here.access_token, stranger.access_token):
        assert await world.authenticate(access_token=token)
    with pytest.raises(InvalidToken):
        await world.authenticate(access_token=there.access_token)
    with pytest.raises(InvalidToken):
        await world.refresh(refresh_token=there.refresh_token)
    assert await world.refresh(refresh_token=here.refresh_token)


async def test_a_wrong_current_password_changes_nothing_and_counts_as_a_failed_sign_in(world: World) -> None:
    here, there = await world.signed_up(), await world.signed_in()
    for _ in range(FAILED_SIGN_INS):
        with pytest.raises(WrongPassword):
            await change_password(world, here, current=ANOTHER)
    with pytest.raises(TooManyAttempts):
        await change_password(world, here)
    assert await world.users.get(here.user.id) == here.user
    assert await world.authenticate(access_token=there.access_token)


@pytest.mark.parametrize("new", ["short", "passwordpassword", "my name is lovelace"])
async def test_a_new_password_obeys_the_rules_and_is_judged_before_the_current_one(world: World, new: str) -> None:
    here = await world.signed_up()
    before = world.hasher.verifications
    with pytest.raises(Invalid) as refused:
        await change_password(world, here, current="wrong", new=new)
    assert [fault.pointer for fault in refused.value.faults] == ["/new_password"]
    assert world.hasher.verifications == before


async def test_a_password_is_not_changed_on_a_version_that_has_passed(world: World) -> None:
    here, there = await world.signed_up(), await world.signed_in()
    with pytest.raises(Stale):
        await change_password(world, here, expected=frozenset({7}))
    assert await world.authenticate(access_token=there.access_token) == here.user


async def test_of_a_profile_only_what_was_sent_changes(world: World, member: User) -> None:
    first = await world.update_profile(
        orcid_id="https://orcid.org/0000-0002-1825-0097", openalex_id="a5023888391", expected=None, by=member
    )
    assert (first.orcid_id, first.openalex_id, first.email, first.version) == ("0000-0002-1825-0097", "A5023888391", member.email, 2)
    second = await world.update_profile(openalex_id="", expected=frozenset({2}), by=member)
    assert (second.orcid_id, second.openalex_id, second.version) == ("0000-0002-1825-0097", None, 3)
    third = await world.update_profile(email="new@example.org", expected=None, by=member)
    assert (third.orcid_id, third.email) == ("0000-0002-1825-0097", "new@example.org")
    assert await world.update_profile(expected=None, by=member) == third == await world.users.get(member.id)
    with pytest.raises(Stale):
        await world.update_profile(email="newer@example.org", expected=frozenset({1}), by=member)


@pytest.mark.parametrize(
    "changes", [{"orcid_id": "0000-0002-1825-0098"}, {"openalex_id": "W1"}, {"email": ""}, {"email": "nobody"}, {"email": "a\x00@b.c"}]
)
async def test_a_bad_detail_changes_nothing_of_a_profile(world: World, member: User, changes: dict[str, str]) -> None:
    with pytest.raises(Invalid) as refused:
        await world.update_profile(**({"email": "ok@example.org"} | changes), expected=None, by=member)
    assert {fault.pointer for fault in refused.value.faults} == {f"/{name}" for name in changes}
    assert await world.users.get(member.id) == member


async def test_a_reset_leads_to_a_new_password_and_changes_nothing_before(world: World, admin: User) -> None:
    signed_up = await world.signed_up()
    setup = await world.reset_user(user_id=signed_up.user.id, by=admin)
    assert (setup.user, setup.expires_at) == (signed_up.user, world.clock.now() + SETUP_LIFETIME)
    assert await world.authenticate(access_token=signed_up.access_token)
    assert await world.signed_in()
    await world.set_password(token=setup.token, new_password=ANOTHER)
    with pytest.raises(InvalidToken):
        await world.authenticate(access_token=signed_up.access_token)
    assert await world.signed_in(password=ANOTHER)


async def test_a_reset_makes_the_former_token_worthless(world: World, admin: User) -> None:
    first = await world.create_user(username="lovelace", email="a@b.c", by=admin)
    second = await world.reset_user(user_id=first.user.id, by=admin)
    with pytest.raises(InvalidToken):
        await world.set_password(token=first.token, new_password=PASSWORD)
    await world.set_password(token=second.token, new_password=PASSWORD)


async def test_only_an_admin_resets_and_only_who_is_there(world: World, admin: User, member: User) -> None:
    with pytest.raises(NotAllowed):
        await world.reset_user(user_id=member.id, by=member)
    with pytest.raises(NotFound):
        await world.reset_user(user_id=10**6, by=admin)
