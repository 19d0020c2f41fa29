"""Signing in and staying so: log in, refresh, log out, and whom a request comes from."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from application.ports import Clock, PasswordHasher, Random, Sessions, SignInFailures, Tokens, UnitOfWork, UnitOfWorkFactory, Users
from domain.access import Action, require
from domain.audit import Target, entry
from domain.session import LIVE_MAX, InvalidCredentials, InvalidToken, Refresh, Session, TooManyAttempts, new_session
from domain.user import User, canonical_username


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """Who signed in, and the tokens that prove it from now on. `expires_in` counts seconds."""

    user: User
    access_token: str
    expires_in: int
    refresh_token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSession:
    """Begin a session for a user whom somebody else's unit of work holds, and end the oldest where one person may have no more."""

    tokens: Tokens
    random: Random
    clock: Clock

    async def __call__(self, work: UnitOfWork, user: User) -> SignedIn:
        session = new_session(id=self.random.uuid(), user_id=user.id, at=self.clock.now())
        await work.sessions.add(session)
        await record(work, "session.start", session.id, by=user, at=session.created_at)
        ended = await work.sessions.end_oldest(user.id, keep=LIVE_MAX, at=session.created_at)
        await record(work, "session.end", *ended, by=user, at=session.created_at)
        return self.answer(user, session.id, session.generation)

    def answer(self, user: User, session_id: UUID, generation: int) -> SignedIn:
        """The tokens of a session at this generation."""
        return SignedIn(
            user=user,
            access_token=self.tokens.access(user_id=user.id, session_id=session_id, at=self.clock.now()),
            expires_in=self.tokens.access_seconds,
            refresh_token=self.tokens.refresh(session_id=session_id, generation=generation),
        )


async def end_sessions(work: UnitOfWork, user_id: int, *, by: User, at: datetime, but: UUID | None = None) -> None:
    """End every live session of a user, `but` one, within somebody else's unit of work."""
    await record(work, "session.end", *await work.sessions.end_all(user_id, at=at, but=but), by=by, at=at)


async def record(work: UnitOfWork, action: str, *session_ids: UUID, by: User, at: datetime) -> None:
    """Put down what happened to sessions."""
    await work.audit.add(*(entry(action, Target(type="session", id=str(each)), by=by, at=at) for each in session_ids))


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckPassword:
    """The active user whom a username and a password name.

    Raises `InvalidCredentials`, the same and after as long for an unknown name, a wrong password and an inactive account; and
    `TooManyAttempts` once a name has failed too often, from the networks that failed only: its owner still enters from others.
    """

    users: Users
    failures: SignInFailures
    hasher: PasswordHasher
    clock: Clock
    is_limited: bool = True

    async def __call__(self, *, username: str, password: str, network: str) -> User:
        name = canonical_username(username)
        number = await self._count(name, network) if self.is_limited else None
        user = await self.users.by_username(name)
        genuine = await self.hasher.verify(password, user.password_hash if user else None)
        if user is None or not genuine or not user.is_active:
            raise InvalidCredentials
        if number is not None:
            await self.failures.forgive(number)
        return user

    async def confirm(self, work: UnitOfWork, checked: User, password: str) -> User:
        """The user whom a check has named, locked, if the check still holds. Raises `InvalidCredentials`.

        Between a check, which is slow, and what it allows the password may have changed: what was right then opens nothing now.
        """
        user = await work.users.lock(checked.id)
        is_same = user.password_hash == checked.password_hash or await self.hasher.verify(password, user.password_hash)
        if not is_same or not user.is_active:
            raise InvalidCredentials
        return user

    async def _count(self, name: str, network: str) -> int:
        now = self.clock.now()
        number, blocked_until = await self.failures.begin(username=name, network=network, at=now)
        if blocked_until is not None:
            await self.failures.forgive(number)
            raise TooManyAttempts(retry_after=(blocked_until - now).total_seconds())
        return number


@dataclass(frozen=True, slots=True, kw_only=True)
class LogIn:
    """Sign in with a username, in any case, and a password.

    One answer for an unknown name, a wrong password and an inactive account, after the same time. After ten failed sign-ins for
    a name within 15 minutes the networks that failed are answered `too-many-attempts`.
    """

    check_password: CheckPassword
    open_session: OpenSession
    unit_of_work: UnitOfWorkFactory

    async def __call__(self, *, username: str, password: str, network: str) -> SignedIn:
        checked = await self.check_password(username=username, password=password, network=network)
        stronger = await self._stronger_hash(checked, password)
        async with self.unit_of_work() as work:
            user = await self.check_password.confirm(work, checked, password)
            if stronger is not None:
                await work.users.save(user.strengthen_hash(stronger))
            signed_in = await self.open_session(work, user)
            await work.commit()
        return signed_in

    async def _stronger_hash(self, user: User, password: str) -> str | None:
        """A hash as they are made today, where the stored one is of an older making: only now is the password at hand."""
        hasher = self.check_password.hasher
        if user.password_hash is None or not hasher.is_outdated(user.password_hash):
            return None
        return await hasher.hash(password)


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshSession:
    """Exchange a refresh token for a new pair; the old one is used up.

    Shown again within 5 s while its successor is unused, a token leads to that same successor: a lost answer harms nobody.
    Any other use of an old token ends the session, for whoever holds it.
    """

    unit_of_work: UnitOfWorkFactory
    tokens: Tokens
    open_session: OpenSession
    clock: Clock

    async def __call__(self, *, refresh_token: str, admit: Callable[[UUID], Awaitable[None]] | None = None) -> SignedIn:
        """`admit` is asked by the session's id, of a genuine token, before that is used."""
        session_id, generation = self.tokens.read_refresh(refresh_token)
        if admit is not None:
            await admit(session_id)
        async with self.unit_of_work() as work:
            session = await work.sessions.lock(session_id)
            if session is None:
                raise InvalidToken
            now = self.clock.now()
            refreshed, outcome = session.refresh(generation, at=now)
            user = await work.users.get(session.user_id)
            if refreshed != session:
                await work.sessions.save(refreshed)
                if outcome is Refresh.ENDED:
                    await record(work, "session.replay", session.id, by=user, at=now)
            await work.commit()
        if outcome is Refresh.ENDED or not user.is_active:
            raise InvalidToken
        return self.open_session.answer(user, refreshed.id, refreshed.generation)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOut:
    """End the session of an access token; one that has ended already stays ended."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock

    async def __call__(self, *, session_id: UUID) -> None:
        now = self.clock.now()
        async with self.unit_of_work() as work:
            user_id = await work.sessions.end(session_id, at=now)
            if user_id is not None:
                await record(work, "session.end", session_id, by=await work.users.get(user_id), at=now)
            await work.commit()


@dataclass(frozen=True, slots=True, kw_only=True)
class ListSessions:
    """One's own live sessions, in the order in which they began. `last_used_at` is the last refresh, or else the sign-in."""

    sessions: Sessions
    clock: Clock

    async def __call__(self, *, after: UUID, limit: int, by: User) -> list[Session]:
        require(by, Action.SESSION_LIST)
        return await self.sessions.page(by.id, at=self.clock.now(), after=after, limit=limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndOtherSessions:
    """Sign out everywhere else: every other session of one's own ends, the one that asks goes on."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock

    async def __call__(self, *, session_id: UUID, by: User) -> None:
        require(by, Action.SESSION_END)
        async with self.unit_of_work() as work:
            await end_sessions(work, by.id, by=by, at=self.clock.now(), but=session_id)
            await work.commit()


@dataclass(frozen=True, slots=True, kw_only=True)
class EndSession:
    """End one of one's own live sessions, be it the one that asks. Another's is as absent as one that has ended."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock

    async def __call__(self, *, session_id: UUID, by: User) -> None:
        require(by, Action.SESSION_END)
        now = self.clock.now()
        async with self.unit_of_work() as work:
            await work.sessions.end_own(session_id, user_id=by.id, at=now)
            await record(work, "session.end", session_id, by=by, at=now)
            await work.commit()


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticate:
    """Whom an access token speaks for, by the user and the session as they are now. Raises `InvalidToken`."""

    sessions: Sessions
    tokens: Tokens
    clock: Clock

    async def __call__(self, *, access_token: str) -> User:
        user, _ = await self.in_session(access_token=access_token)
        return user

    async def in_session(self, *, access_token: str) -> tuple[User, UUID]:
        """The user and in which session. Raises `InvalidToken`."""
        user_id, session_id = self.holder(access_token=access_token)
        user = await self.sessions.user_of(session_id=session_id, user_id=user_id, at=self.clock.now())
        if user is None:
            raise InvalidToken
        return user, session_id

    def holder(self, *, access_token: str) -> tuple[int, UUID]:
        """The user and the session of a genuine token, also when they have ended since. Raises `InvalidToken`."""
        return self.tokens.read_access(access_token, at=self.clock.now())
