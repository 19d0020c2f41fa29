"""Accounts from a table: all or none."""

import pytest

from domain.access import NotAllowed, Role
from domain.errors import Invalid
from domain.user import User
from domain.user_import import FAULTS_MAX, ROWS_MAX, AccountRow
from tests.unit.application.conftest import PASSWORD, World


def row(username: str = "lovelace", email: str = "a@b.c", role: str = "") -> AccountRow:
    return AccountRow(username=username, email=email, role=role)


async def faults_of(world: World, rows: list[AccountRow], by: User) -> list[tuple[str, str]]:
    before = await world.users.page(search=None, after=0, limit=10_000)
    with pytest.raises(Invalid) as refused:
        await world.import_users(rows, by=by)
    assert await world.users.page(search=None, after=0, limit=10_000) == before
    return [(fault.pointer, fault.code) for fault in refused.value.faults]


async def test_everybody_gets_an_account_and_a_token_of_their_own(world: World, admin: User) -> None:
    made = await world.import_users([row("Zoe"), row("byron", role="annotator"), row("mary", role="admin")], by=admin)
    assert [(each.user.username, each.user.role) for each in made] == [
        ("zoe", Role.MEMBER),
        ("byron", Role.ANNOTATOR),
        ("mary", Role.ADMIN),
    ]
    assert len({each.token for each in made}) == 3
    for each in made:
        assert await world.users.get(each.user.id) == each.user
        await world.set_password(token=each.token, new_password=PASSWORD)
        assert (await world.signed_in(each.user.username)).user.id == each.user.id


async def test_every_fault_of_every_row_is_told_and_nothing_stored(world: World, admin: User) -> None:
    rows = [row("zoe"), row("x", "nobody", "owner"), row("ZOE"), row("admin"), row("mary", "a@b.c", "Admin")]
    assert await faults_of(world, rows, admin) == [
        ("/rows/2/username", "bad-username"),
        ("/rows/2/email", "bad-email"),
        ("/rows/2/role", "bad-role"),
        ("/rows/3/username", "username-repeated"),
        ("/rows/4/username", "reserved-username"),
        ("/rows/5/role", "bad-role"),
    ]


async def test_a_name_that_is_taken_is_a_fault_of_its_row(world: World, admin: User, member: User) -> None:
    faults = await faults_of(world, [row("zoe"), row(member.username.upper()), row("mary"), row(admin.username)], admin)
    assert faults == [("/rows/2/username", "username-taken"), ("/rows/4/username", "username-taken")]


async def test_a_table_has_at_most_a_thousand_rows_and_as_many_faults_are_told(world: World, admin: User) -> None:
    assert await faults_of(world, [row(f"user-{n}") for n in range(ROWS_MAX + 1)], admin) == [("/rows", "too-many-rows")]
    assert len(await faults_of(world, [row("", "", "x")] * ROWS_MAX, admin)) == FAULTS_MAX
    assert len(await world.import_users([row(f"user-{n}") for n in range(ROWS_MAX)], by=admin)) == ROWS_MAX
    assert await world.import_users([], by=admin) == []


async def test_only_an_admin_imports(world: World, member: User, other: User) -> None:
    for by in (member, other):
        with pytest.raises(NotAllowed):
            await world.import_users([row()], by=by)
