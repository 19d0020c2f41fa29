"""Sign-ins and failed sign-ins in memory."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from application.ports import Sessions, SignInFailures
from domain.errors import NotFound
from domain.session import FAILED_SIGN_INS, FAILURE_WINDOW, Session
from domain.user import User
from tests.fakes.store import Access, Failure


class FakeSessions(Sessions):
    def __init__(self, access: Access) -> None:
        self._access = access

    async def add(self, session: Session) -> None:
        await self.save(session)

    async def lock(self, session_id: UUID) -> Session | None:
        return self._access.read.sessions.get(session_id)

    async def save(self, session: Session) -> None:
        async with self._access.write() as tables:
            tables.sessions[session.id] = session

    async def user_of(self, *, session_id: UUID, user_id: int, at: datetime) -> User | None:
        tables = self._access.read
        session, user = tables.sessions.get(session_id), tables.users.get(user_id)
        if session is None or user is None or session.user_id != user_id or not session.is_live(at):
            return None
        return user if user.is_active else None

    async def page(self, user_id: int, *, at: datetime, after: UUID, limit: int) -> list[Session]:
        own = [each for each in self._access.read.sessions.values() if each.user_id == user_id and each.id > after and each.is_live(at)]
        return sorted(own, key=lambda session: session.id)[:limit]

    async def end(self, session_id: UUID, *, at: datetime) -> int | None:
        async with self._access.write() as tables:
            session = tables.sessions.get(session_id)
            if session is None or session.ended_at is not None:
                return None
            tables.sessions[session_id] = replace(session, ended_at=at)
            return session.user_id

    async def end_own(self, session_id: UUID, *, user_id: int, at: datetime) -> None:
        async with self._access.write() as tables:
            session = tables.sessions.get(session_id)
            if session is None or session.user_id != user_id or not session.is_live(at):
                raise NotFound
            tables.sessions[session_id] = replace(session, ended_at=at)

    async def end_oldest(self, user_id: int, *, keep: int, at: datetime) -> list[UUID]:
        async with self._access.write() as tables:
            live = [each for each in tables.sessions.values() if each.user_id == user_id and each.is_live(at)]
            newest_first = sorted(live, key=lambda each: (each.created_at, each.id), reverse=True)
            ended = sorted(each.id for each in newest_first[keep:])
            for id in ended:
                tables.sessions[id] = replace(tables.sessions[id], ended_at=at)
        return ended

    async def end_all(self, user_id: int, *, at: datetime, but: UUID | None = None) -> list[UUID]:
        live = [each.id for each in self._access.read.sessions.values() if each.user_id == user_id and each.is_live(at)]
        ending = sorted(each for each in live if each != but)
        for each in ending:
            await self.end(each, at=at)
        return ending


class FakeSignInFailures(SignInFailures):
    def __init__(self, access: Access) -> None:
        self._access = access

    async def begin(self, *, username: str, network: str, at: datetime) -> tuple[int, datetime | None]:
        async with self._access.write() as tables:
            since = at - FAILURE_WINDOW
            earlier = [each for _, each in sorted(tables.failures.items()) if each.username == username and each.at > since]
            number = self._access.new_id()
            tables.failures[number] = Failure(username=username, network=network, at=at)
        if len(earlier) < FAILED_SIGN_INS or all(each.network != network for each in earlier):
            return number, None
        return number, earlier[-FAILED_SIGN_INS].at + FAILURE_WINDOW

    async def forgive(self, number: int) -> None:
        async with self._access.write() as tables:
            tables.failures.pop(number, None)
