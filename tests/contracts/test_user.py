"""Accounts and set-up tokens: the sentences of `Users` and `SetupTokens`."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from domain.access import Role
from domain.errors import NotFound
from domain.user import UsernameTaken
from tests.contracts.stage import InMemory, InPostgres, Stage
from tests.examples import NOW, user

LATER = NOW + timedelta(days=7)


class UsersContract:
    async def test_a_user_is_found_again_by_id_and_by_name(self, stage: Stage) -> None:
        ada = await stage.users.add(user("ada", password_hash="hash", orcid_id="0000-0002-1825-0097"))
        assert ada.id > 0
        assert await stage.users.get(ada.id) == ada
        assert await stage.users.by_username("ada") == ada

    async def test_an_unknown_name_is_nobodys(self, stage: Stage) -> None:
        await stage.user("ada")
        assert await stage.users.by_username("ad") is None

    async def test_an_unknown_id_is_not_found(self, stage: Stage) -> None:
        ada = await stage.user()
        with pytest.raises(NotFound):
            await stage.users.get(ada.id + 1)
        async with stage.unit_of_work() as work:
            with pytest.raises(NotFound):
                await work.users.lock(ada.id + 1)

    async def test_a_username_is_given_once(self, stage: Stage) -> None:
        await stage.user("ada")
        with pytest.raises(UsernameTaken):
            await stage.user("ada")

    async def test_several_are_found_by_their_names(self, stage: Stage) -> None:
        ada, emmy = [await stage.user(name) for name in ("ada", "emmy")]
        assert sorted(each.id for each in await stage.users.named(["emmy", "nobody", "ada"])) == [ada.id, emmy.id]

    async def test_of_many_who_want_a_name_at_once_one_gets_it(self, stage: Stage) -> None:
        made = await asyncio.gather(*(stage.user("ada") for _ in range(8)), return_exceptions=True)
        assert sorted(type(each).__name__ for each in made) == ["User"] + ["UsernameTaken"] * 7

    async def test_of_many_those_with_free_names_are_added_and_the_others_left_as_they_are(self, stage: Stage) -> None:
        ada = await stage.user("ada")
        wanted = [
            user("zoe", role=Role.ADMIN),
            replace(user("ada"), email="other@example.org"),
            user("emmy", orcid_id="0000-0002-1825-0097"),
        ]
        added = {each.username: each for each in await stage.users.add_free(wanted)}
        assert set(added) == {"zoe", "emmy"}
        for each in (wanted[0], wanted[2]):
            made = added[each.username]
            assert made.id > ada.id
            assert await stage.users.get(made.id) == made == replace(each, id=made.id)
        assert await stage.users.by_username("ada") == ada
        assert await stage.users.add_free([]) == []

    async def test_of_many_who_add_the_same_names_at_once_each_name_goes_to_one(self, stage: Stage) -> None:
        async def add(order: list[str]) -> list[str]:
            async with stage.unit_of_work() as work:
                added = await work.users.add_free([user(name) for name in order])
                await work.commit()
            return [each.username for each in added]

        for round in range(6):  # in a circle they would wait for each other only now and then
            names = [f"user-{round}-{number:03}" for number in range(600)]
            orders = (names, names[::-1], names[300:] + names[:300], names[::-1])
            added = await asyncio.gather(*(add(order) for order in orders))
            assert sorted(name for each in added for name in each) == names

    async def test_what_was_saved_is_what_is_there(self, stage: Stage) -> None:
        ada = await stage.user()
        changed = replace(ada, role=Role.ANNOTATOR, is_active=False, email="a@b.c", password_hash="new", updated_at=LATER, version=2)
        async with stage.unit_of_work() as work:
            assert await work.users.lock(ada.id) == ada
            await work.users.save(changed)
            await work.commit()
        assert await stage.users.get(ada.id) == changed

    async def test_only_admins_who_are_active_are_active_admins(self, stage: Stage) -> None:
        grace = await stage.user("grace", role=Role.ADMIN)
        await stage.user("ada")
        await stage.user("emmy", role=Role.ANNOTATOR)
        await stage.users.add(user("gone", role=Role.ADMIN, is_active=False))
        async with stage.unit_of_work() as work:
            assert await work.users.lock_active_admins() == {grace.id}

    async def test_pages_go_by_id_and_lose_nobody(self, stage: Stage) -> None:
        everyone = [await stage.user(name) for name in ("zoe", "ada", "mary", "emmy", "grace")]
        found, after = [], 0
        while page := await stage.users.page(search=None, after=after, limit=2):
            assert len(page) <= 2
            found += page
            after = page[-1].id
        assert found == everyone

    @pytest.mark.parametrize(
        ("search", "names"),
        [
            ("DA_", ["ada_l"]),
            ("a_", ["ada_l"]),
            ("%", []),
            ("\\", []),
            ("пошта", ["lesya"]),
            ("ПОШТА", ["lesya"]),
            ("Example.ORG", ["ada_l", "adam"]),
            ("", ["ada_l", "adam", "lesya"]),
        ],
    )
    async def test_a_search_is_a_literal_part_of_the_name_or_the_address_in_any_case(
        self, stage: Stage, search: str, names: list[str]
    ) -> None:
        await stage.user("ada_l")
        await stage.user("adam")
        await stage.users.add(replace(user("lesya"), email="Леся@Пошта.укр"))
        assert [found.username for found in await stage.users.page(search=search, after=0, limit=10)] == names


class SetupTokensContract:
    async def test_a_token_is_redeemed_once(self, stage: Stage) -> None:
        ada = await stage.user()
        await stage.setup_tokens.add(token="t1", user_id=ada.id, expires_at=LATER)
        assert await stage.setup_tokens.redeem("t1", at=NOW) == ada.id
        assert await stage.setup_tokens.redeem("t1", at=NOW) is None

    async def test_of_many_who_redeem_it_at_once_one_does(self, stage: Stage) -> None:
        ada = await stage.user()
        await stage.setup_tokens.add(token="t1", user_id=ada.id, expires_at=LATER)
        redeemed = await asyncio.gather(*(stage.setup_tokens.redeem("t1", at=NOW) for _ in range(8)))
        assert sorted(redeemed, key=str) == [ada.id] + [None] * 7

    async def test_an_unknown_token_is_for_nobody(self, stage: Stage) -> None:
        ada = await stage.user()
        await stage.setup_tokens.add(token="t1", user_id=ada.id, expires_at=LATER)
        assert await stage.setup_tokens.redeem("t2", at=NOW) is None

    async def test_a_token_is_good_until_it_expires(self, stage: Stage) -> None:
        ada, emmy = await stage.user("ada"), await stage.user("emmy")
        await stage.setup_tokens.add(token="t1", user_id=ada.id, expires_at=LATER)
        await stage.setup_tokens.add(token="t2", user_id=emmy.id, expires_at=LATER)
        assert await stage.setup_tokens.redeem("t1", at=LATER) is None
        assert await stage.setup_tokens.redeem("t2", at=LATER - timedelta(microseconds=1)) == emmy.id

    async def test_only_the_newest_token_of_a_user_is_good(self, stage: Stage) -> None:
        ada, emmy = await stage.user("ada"), await stage.user("emmy")
        await stage.setup_tokens.add(token="t1", user_id=ada.id, expires_at=LATER)
        await stage.setup_tokens.add(token="other", user_id=emmy.id, expires_at=LATER)
        await stage.setup_tokens.add(token="t2", user_id=ada.id, expires_at=LATER)
        assert await stage.setup_tokens.redeem("t1", at=NOW) is None
        assert await stage.setup_tokens.redeem("t2", at=NOW) == ada.id
        assert await stage.setup_tokens.redeem("other", at=NOW) == emmy.id

    async def test_many_get_tokens_at_once(self, stage: Stage) -> None:
        people = [await stage.user(name) for name in ("ada", "emmy", "mary")]
        await stage.setup_tokens.add(token="former", user_id=people[1].id, expires_at=LATER)
        await stage.setup_tokens.add_all({person.id: f"token of {person.username}" for person in people}, expires_at=LATER)
        await stage.setup_tokens.add_all({}, expires_at=LATER)
        assert await stage.setup_tokens.redeem("former", at=NOW) is None
        assert await stage.setup_tokens.redeem("token of mary", at=LATER) is None
        for person in people[:2]:
            assert await stage.setup_tokens.redeem(f"token of {person.username}", at=NOW) == person.id

    async def test_no_token_of_a_user_is_good_after_its_end(self, stage: Stage) -> None:
        ada, emmy = await stage.user("ada"), await stage.user("emmy")
        for person, token in ((ada, "t1"), (emmy, "t2")):
            await stage.setup_tokens.add(token=token, user_id=person.id, expires_at=LATER)
        await stage.setup_tokens.end(ada.id)
        await stage.setup_tokens.end(ada.id)
        assert await stage.setup_tokens.redeem("t1", at=NOW) is None
        assert await stage.setup_tokens.redeem("t2", at=NOW) == emmy.id

    async def test_a_redemption_that_is_not_committed_never_was(self, stage: Stage) -> None:
        ada = await stage.user()
        await stage.setup_tokens.add(token="t1", user_id=ada.id, expires_at=LATER)
        async with stage.unit_of_work() as work:
            assert await work.setup_tokens.redeem("t1", at=NOW) == ada.id
        assert await stage.setup_tokens.redeem("t1", at=NOW) == ada.id


class TestFakeUsers(InMemory, UsersContract):
    pass


class TestPostgresUsers(InPostgres, UsersContract):
    pass


class TestFakeSetupTokens(InMemory, SetupTokensContract):
    pass


class TestPostgresSetupTokens(InPostgres, SetupTokensContract):
    pass
