"""Sign-ins and failed sign-ins: the sentences of `Sessions` and `SignInFailures`."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from domain.errors import NotFound
from domain.session import ABSOLUTE_LIFETIME, FAILED_SIGN_INS, FAILURE_WINDOW, IDLE_LIFETIME, Session, new_session
from domain.user import User
from tests.contracts.stage import InMemory, InPostgres, Stage
from tests.examples import NOW

A_MOMENT = timedelta(microseconds=1)
FIRST, SECOND = UUID(int=1), UUID(int=2)


async def signed_in(stage: Stage, user: User, id: UUID = FIRST) -> Session:
    session = new_session(id=id, user_id=user.id, at=NOW)
    await stage.sessions.add(session)
    return session


async def is_open(stage: Stage, session: Session, at: datetime = NOW) -> bool:
    return await stage.sessions.user_of(session_id=session.id, user_id=session.user_id, at=at) is not None


class SessionsContract:
    async def test_a_session_is_found_again(self, stage: Stage) -> None:
        session = await signed_in(stage, await stage.user())
        async with stage.unit_of_work() as work:
            assert await work.sessions.lock(session.id) == session
            assert await work.sessions.lock(SECOND) is None

    async def test_what_was_saved_is_what_is_there(self, stage: Stage) -> None:
        session = await signed_in(stage, await stage.user())
        changed = replace(session, generation=3, rotated_at=NOW + timedelta(hours=1), ended_at=NOW + timedelta(hours=2))
        async with stage.unit_of_work() as work:
            await work.sessions.lock(session.id)
            await work.sessions.save(changed)
            await work.commit()
        async with stage.unit_of_work() as work:
            assert await work.sessions.lock(session.id) == changed

    async def test_a_live_session_names_its_user_as_now_stored(self, stage: Stage) -> None:
        ada = await stage.user()
        session = await signed_in(stage, ada)
        renamed = replace(ada, email="new@example.org", version=2)
        async with stage.unit_of_work() as work:
            await work.users.save(renamed)
            await work.commit()
        assert await stage.sessions.user_of(session_id=session.id, user_id=ada.id, at=NOW) == renamed

    async def test_a_session_opens_nothing_for_another_user(self, stage: Stage) -> None:
        ada, emmy = await stage.user("ada"), await stage.user("emmy")
        session = await signed_in(stage, ada)
        assert await stage.sessions.user_of(session_id=session.id, user_id=emmy.id, at=NOW) is None

    async def test_a_session_opens_nothing_for_who_is_not_active(self, stage: Stage) -> None:
        ada = await stage.user()
        session = await signed_in(stage, ada)
        async with stage.unit_of_work() as work:
            await work.users.save(replace(ada, is_active=False))
            await work.commit()
        assert not await is_open(stage, session)

    async def test_an_unused_session_dies_of_idleness(self, stage: Stage) -> None:
        session = await signed_in(stage, await stage.user())
        assert await is_open(stage, session, NOW + IDLE_LIFETIME - A_MOMENT)
        assert not await is_open(stage, session, NOW + IDLE_LIFETIME)

    async def test_a_used_session_dies_of_age(self, stage: Stage) -> None:
        session = await signed_in(stage, await stage.user())
        end = NOW + ABSOLUTE_LIFETIME
        async with stage.unit_of_work() as work:
            await work.sessions.save(replace(session, generation=9, rotated_at=end - timedelta(hours=1)))
            await work.commit()
        assert await is_open(stage, session, end - A_MOMENT)
        assert not await is_open(stage, session, end)

    async def test_an_ended_session_stays_ended_as_of_the_first_time(self, stage: Stage) -> None:
        session = await signed_in(stage, await stage.user())
        assert await stage.sessions.end(session.id, at=NOW) == session.user_id
        assert await stage.sessions.end(session.id, at=NOW + timedelta(hours=1)) is None
        assert await stage.sessions.end(SECOND, at=NOW) is None
        assert not await is_open(stage, session)
        async with stage.unit_of_work() as work:
            assert await work.sessions.lock(session.id) == replace(session, ended_at=NOW)

    async def test_ending_one_session_leaves_the_others(self, stage: Stage) -> None:
        ada = await stage.user()
        first, second = await signed_in(stage, ada), await signed_in(stage, ada, SECOND)
        await stage.sessions.end(first.id, at=NOW)
        assert await is_open(stage, second)

    async def test_ending_all_sessions_of_one_user_leaves_those_of_another(self, stage: Stage) -> None:
        ada, emmy = await stage.user("ada"), await stage.user("emmy")
        mine = [await signed_in(stage, ada), await signed_in(stage, ada, SECOND)]
        other = await signed_in(stage, emmy, UUID(int=3))
        assert await stage.sessions.end_all(ada.id, at=NOW) == [session.id for session in mine]
        assert await stage.sessions.end_all(ada.id, at=NOW) == []
        assert [await is_open(stage, session) for session in mine] == [False, False]
        assert await is_open(stage, other)

    async def test_only_the_newest_sessions_of_a_user_go_on(self, stage: Stage) -> None:
        ada, emmy = await stage.user("ada"), await stage.user("emmy")
        mine = [new_session(id=UUID(int=9 - hour), user_id=ada.id, at=NOW + timedelta(hours=hour)) for hour in range(4)]
        for session in mine:
            await stage.sessions.add(session)
        other = await signed_in(stage, emmy, UUID(int=20))
        await stage.sessions.end(mine[3].id, at=NOW)
        at = NOW + timedelta(hours=4)
        assert await stage.sessions.end_oldest(ada.id, keep=3, at=at) == []
        assert await stage.sessions.end_oldest(ada.id, keep=2, at=at) == [mine[0].id]
        assert await stage.sessions.end_oldest(ada.id, keep=2, at=at) == []
        assert [await is_open(stage, session, at) for session in [*mine, other]] == [False, True, True, False, True]

    async def test_a_session_that_opens_nothing_any_more_does_not_end_again(self, stage: Stage) -> None:
        ada = await stage.user()
        await signed_in(stage, ada)
        assert await stage.sessions.end_all(ada.id, at=NOW + IDLE_LIFETIME) == []

    async def test_one_session_can_be_kept_while_the_others_end(self, stage: Stage) -> None:
        ada = await stage.user()
        kept, other = await signed_in(stage, ada), await signed_in(stage, ada, SECOND)
        assert await stage.sessions.end_all(ada.id, at=NOW, but=kept.id) == [other.id]
        assert [await is_open(stage, session) for session in (kept, other)] == [True, False]

    async def test_the_live_sessions_of_a_user_are_listed_by_id_and_lose_none(self, stage: Stage) -> None:
        ada, emmy = await stage.user("ada"), await stage.user("emmy")
        mine = [await signed_in(stage, ada, UUID(int=number)) for number in (9, 3, 7, 5)]
        await signed_in(stage, emmy, UUID(int=4))
        await stage.sessions.end(UUID(int=7), at=NOW)
        found: list[Session] = []
        while page := await stage.sessions.page(ada.id, at=NOW, after=found[-1].id if found else UUID(int=0), limit=2):
            assert len(page) <= 2
            found += page
        assert found == [mine[1], mine[3], mine[0]]
        assert await stage.sessions.page(ada.id, at=NOW + IDLE_LIFETIME, after=UUID(int=0), limit=9) == []

    async def test_a_session_is_ended_by_its_own_user_once(self, stage: Stage) -> None:
        ada, emmy = await stage.user("ada"), await stage.user("emmy")
        session, other = await signed_in(stage, ada), await signed_in(stage, ada, SECOND)
        with pytest.raises(NotFound):
            await stage.sessions.end_own(session.id, user_id=emmy.id, at=NOW)
        assert await is_open(stage, session)
        ended = await asyncio.gather(
            *(stage.sessions.end_own(session.id, user_id=ada.id, at=NOW) for _ in range(6)), return_exceptions=True
        )
        assert sorted(type(each).__name__ for each in ended) == ["NoneType"] + ["NotFound"] * 5
        assert [await is_open(stage, each) for each in (session, other)] == [False, True]
        with pytest.raises(NotFound):
            await stage.sessions.end_own(other.id, user_id=ada.id, at=NOW + IDLE_LIFETIME)
        with pytest.raises(NotFound):
            await stage.sessions.end_own(UUID(int=99), user_id=ada.id, at=NOW)


class SignInFailuresContract:
    async def fail(self, stage: Stage, times: int, *, network: str = "home", username: str = "ada", at: datetime = NOW) -> None:
        for _ in range(times):
            await stage.failures.begin(username=username, network=network, at=at)

    async def blocked(self, stage: Stage, *, network: str = "home", username: str = "ada", at: datetime = NOW) -> datetime | None:
        """When this network may try again, asked without leaving a trace."""
        number, until = await stage.failures.begin(username=username, network=network, at=at)
        await stage.failures.forgive(number)
        return until

    async def test_nine_failures_block_nobody_and_ten_do(self, stage: Stage) -> None:
        await self.fail(stage, FAILED_SIGN_INS - 1)
        assert await self.blocked(stage) is None
        await self.fail(stage, 1)
        assert await self.blocked(stage) == NOW + FAILURE_WINDOW

    async def test_only_the_networks_that_failed_are_blocked(self, stage: Stage) -> None:
        await self.fail(stage, FAILED_SIGN_INS - 1)
        await self.fail(stage, 1, network="cafe")
        assert await self.blocked(stage, network="home")
        assert await self.blocked(stage, network="cafe")
        assert await self.blocked(stage, network="work") is None

    async def test_only_the_name_that_failed_is_blocked(self, stage: Stage) -> None:
        await self.fail(stage, FAILED_SIGN_INS)
        assert await self.blocked(stage, username="emmy") is None

    async def test_a_name_with_anything_in_it_can_fail(self, stage: Stage) -> None:
        await self.fail(stage, FAILED_SIGN_INS, username="\x00\ud800")
        assert await self.blocked(stage, username="\x00\ud800")

    async def test_a_failure_is_forgotten_after_the_window(self, stage: Stage) -> None:
        await self.fail(stage, FAILED_SIGN_INS)
        assert await self.blocked(stage, at=NOW + FAILURE_WINDOW - A_MOMENT)
        assert await self.blocked(stage, at=NOW + FAILURE_WINDOW) is None

    async def test_the_wait_ends_when_the_tenth_failure_from_the_newest_is_forgotten(self, stage: Stage) -> None:
        for minute in range(FAILED_SIGN_INS + 2):
            await self.fail(stage, 1, at=NOW + timedelta(minutes=minute))
        now = NOW + timedelta(minutes=FAILED_SIGN_INS + 2)
        until = await self.blocked(stage, at=now)
        assert until == NOW + timedelta(minutes=2) + FAILURE_WINDOW
        assert await self.blocked(stage, at=until - A_MOMENT)
        assert await self.blocked(stage, at=until) is None

    async def test_a_forgiven_try_does_not_count(self, stage: Stage) -> None:
        await self.fail(stage, FAILED_SIGN_INS - 1)
        for _ in range(3):
            assert await self.blocked(stage) is None

    @pytest.mark.parametrize("round", range(5))
    async def test_parallel_guesses_cannot_outrun_the_count(self, stage: Stage, round: int) -> None:
        tries = await asyncio.gather(*(stage.failures.begin(username="ada", network="home", at=NOW) for _ in range(40)))
        assert sum(until is None for _, until in tries) == FAILED_SIGN_INS


class TestFakeSessions(InMemory, SessionsContract):
    pass


class TestPostgresSessions(InPostgres, SessionsContract):
    pass


class TestFakeSignInFailures(InMemory, SignInFailuresContract):
    pass


class TestPostgresSignInFailures(InPostgres, SignInFailuresContract):
    pass
