"""API keys: the sentences of `ApiKeys`."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from adapters.postgres.database import Statement
from adapters.postgres.tables import api_keys
from domain.api_key import USE_NOTED_EVERY, ApiKey, Scope
from domain.errors import NotFound
from domain.user import User
from tests.contracts.stage import InMemory, InPostgres, Stage
from tests.examples import NOW, api_key

A_MOMENT = timedelta(microseconds=1)
SECRET = "cs_secret"


async def made(stage: Stage, user: User, secret: str = SECRET, **content: object) -> ApiKey:
    return await stage.api_keys.add(api_key(user, **content), secret=secret)


class ApiKeysContract:
    async def test_a_key_and_its_user_are_found_by_the_secret(self, stage: Stage) -> None:
        ada = await stage.user()
        key = await made(stage, ada, scopes=[Scope.WRITE, Scope.READ])
        assert key.id > 0
        assert await stage.api_keys.holder(SECRET, at=NOW) == (ada, key)
        for other in ("", "cs_", SECRET + "x", SECRET.upper(), "é\x00"):
            assert await stage.api_keys.holder(other, at=NOW) is None

    async def test_a_key_names_its_user_as_now_stored(self, stage: Stage) -> None:
        ada = await stage.user()
        key = await made(stage, ada)
        renamed = replace(ada, email="new@example.org", version=2)
        async with stage.unit_of_work() as work:
            await work.users.save(renamed)
            await work.commit()
        assert await stage.api_keys.holder(SECRET, at=NOW) == (renamed, key)

    async def test_a_key_opens_nothing_for_who_is_not_active(self, stage: Stage) -> None:
        ada = await stage.user()
        await made(stage, ada)
        async with stage.unit_of_work() as work:
            await work.users.save(replace(ada, is_active=False))
            await work.commit()
        assert await stage.api_keys.holder(SECRET, at=NOW) is None

    async def test_a_key_is_good_until_it_expires(self, stage: Stage) -> None:
        ada = await stage.user()
        key = await made(stage, ada)
        assert await stage.api_keys.holder(SECRET, at=key.expires_at - A_MOMENT)
        assert await stage.api_keys.holder(SECRET, at=key.expires_at) is None
        with pytest.raises(NotFound):
            await stage.api_keys.revoke(key.id, user_id=ada.id, at=key.expires_at)

    async def test_the_live_keys_of_a_user_are_counted_and_listed_by_id(self, stage: Stage) -> None:
        ada, emmy = await stage.user("ada"), await stage.user("emmy")
        keys = [await made(stage, ada, f"cs_{number}", expires_in_days=number) for number in (3, 1, 4, 9)]
        await made(stage, emmy, "cs_other")
        await stage.api_keys.revoke(keys[2].id, user_id=ada.id, at=NOW)
        at = NOW + timedelta(days=1)
        assert await stage.api_keys.count(ada.id, at=NOW) == 3
        assert await stage.api_keys.count(ada.id, at=at) == 2
        assert await stage.api_keys.page(ada.id, at=at, after=0, limit=9) == [keys[0], keys[3]]
        assert await stage.api_keys.page(ada.id, at=at, after=0, limit=1) == [keys[0]]
        assert await stage.api_keys.page(ada.id, at=at, after=keys[0].id, limit=9) == [keys[3]]

    async def test_a_key_is_revoked_by_its_own_user_once(self, stage: Stage) -> None:
        ada, emmy = await stage.user("ada"), await stage.user("emmy")
        key = await made(stage, ada)
        with pytest.raises(NotFound):
            await stage.api_keys.revoke(key.id, user_id=emmy.id, at=NOW)
        assert await stage.api_keys.holder(SECRET, at=NOW)
        revoked = await asyncio.gather(*(stage.api_keys.revoke(key.id, user_id=ada.id, at=NOW) for _ in range(6)), return_exceptions=True)
        assert sorted(type(each).__name__ for each in revoked) == ["NoneType"] + ["NotFound"] * 5
        assert await stage.api_keys.holder(SECRET, at=NOW) is None

    async def test_all_live_keys_of_a_user_are_revoked_at_once(self, stage: Stage) -> None:
        ada, emmy = await stage.user("ada"), await stage.user("emmy")
        keys = [await made(stage, ada, f"cs_{number}", expires_in_days=number) for number in (3, 1, 4)]
        others = await made(stage, emmy, "cs_other")
        await stage.api_keys.revoke(keys[0].id, user_id=ada.id, at=NOW)
        assert await stage.api_keys.revoke_all(ada.id, at=NOW + timedelta(days=1)) == [keys[2].id]
        assert await stage.api_keys.revoke_all(ada.id, at=NOW) == [keys[1].id]  # live then, and not revoked since
        assert await stage.api_keys.revoke_all(ada.id, at=NOW) == []
        assert await stage.api_keys.page(ada.id, at=NOW, after=0, limit=9) == []
        assert await stage.api_keys.holder("cs_other", at=NOW) == (emmy, others)

    async def test_a_use_is_noted_at_most_once_a_minute(self, stage: Stage) -> None:
        ada = await stage.user()
        key = await made(stage, ada)

        async def used(at: timedelta) -> object:
            await stage.api_keys.note_use(key.id, at=NOW + at)
            (stored,) = await stage.api_keys.page(ada.id, at=NOW, after=0, limit=9)
            return stored.last_used_at

        assert await used(timedelta(0)) == NOW
        assert await used(USE_NOTED_EVERY - A_MOMENT) == NOW
        assert await used(USE_NOTED_EVERY) == NOW + USE_NOTED_EVERY
        assert await used(timedelta(0)) == NOW + USE_NOTED_EVERY
        await stage.api_keys.note_use(key.id + 1, at=NOW)


class TestFakeApiKeys(InMemory, ApiKeysContract):
    pass


class TestPostgresApiKeys(InPostgres, ApiKeysContract):
    async def test_the_secret_itself_is_not_stored(self, stage: Stage) -> None:
        key = await made(stage, await stage.user(), "cs_very-secret-text")
        async with stage.unit_of_work() as work:
            rows = await work.api_keys._run.rows(_EVERYTHING)  # type: ignore[attr-defined]
        assert key.id in rows[0].values()
        assert "very-secret" not in str([tuple(row.values()) for row in rows])


_EVERYTHING = Statement(select(api_keys))
