"""What admins do with accounts: make them, reset them, change roles, let people in and out, list them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from application.api_key import revoke_keys
from application.ports import Clock, Random, UnitOfWorkFactory, Users
from application.session import end_sessions
from application.user.own import HashNewPassword
from application.user.told import new_user_entry, user_entry
from domain.access import Action, Role, require
from domain.audit import Entry
from domain.user import User, account_faults, canonical_username, new_user

SETUP_LIFETIME = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateAdmin:
    """Make the account of an admin from the command line, where reserved names are allowed. Raises `Invalid`, `UsernameTaken`."""

    hash_new: HashNewPassword
    unit_of_work: UnitOfWorkFactory
    clock: Clock

    async def __call__(self, *, username: str, email: str, password: str) -> User:
        name = canonical_username(username)
        hashed = await self.hash_new(password, username=name, also=account_faults(username=name, email=email, reserved_allowed=True))
        user = new_user(username=name, email=email, password_hash=hashed, role=Role.ADMIN, reserved_allowed=True, at=self.clock.now())
        async with self.unit_of_work() as work:
            added = await work.users.add(user)
            await work.audit.add(new_user_entry("user.create", added, by=None))
            await work.commit()
        return added


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """A user who has yet to set a password, and the one-time token for doing so."""

    user: User
    token: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateUser:
    """Make an account for somebody. The one-time `setup_token` goes to that person, who sets the password with it."""

    unit_of_work: UnitOfWorkFactory
    random: Random
    clock: Clock

    async def __call__(self, *, username: str, email: str, role: Role = Role.MEMBER, by: User) -> Setup:
        require(by, Action.USER_CREATE)
        now = self.clock.now()
        token = self.random.token()
        async with self.unit_of_work() as work:
            user = await work.users.add(new_user(username=username, email=email, role=role, at=now))
            await work.setup_tokens.add(token=token, user_id=user.id, expires_at=now + SETUP_LIFETIME)
            await work.audit.add(new_user_entry("user.create", user, by=by))
            await work.commit()
        return Setup(user=user, token=token, expires_at=now + SETUP_LIFETIME)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetUser:
    """Make a new one-time `setup_token` for somebody who lost the password; a former one is good no more.

    Until it is redeemed the password stays, and so do the sessions; then they end.
    """

    unit_of_work: UnitOfWorkFactory
    random: Random
    clock: Clock

    async def __call__(self, *, user_id: int, by: User) -> Setup:
        require(by, Action.USER_RESET)
        token, now = self.random.token(), self.clock.now()
        expires_at = now + SETUP_LIFETIME
        async with self.unit_of_work() as work:
            user = await work.users.lock(user_id)
            await work.setup_tokens.add(token=token, user_id=user_id, expires_at=expires_at)
            await work.audit.add(user_entry("user.reset", user, by=by, at=now, before=user))
            await work.commit()
        return Setup(user=user, token=token, expires_at=expires_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListUsers:
    """Users by id; `search` is a literal part of the username or the e-mail address, in any case."""

    users: Users

    async def __call__(self, *, search: str | None, after: int, limit: int, by: User) -> list[User]:
        require(by, Action.USER_LIST)
        return await self.users.page(search=search, after=after, limit=limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class GetUser:
    """One user."""

    users: Users

    async def __call__(self, *, user_id: int, by: User) -> User:
        require(by, Action.USER_LIST)
        return await self.users.get(user_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdministerUser:
    """Change the role of a user, or let one in or out; it holds from that user's next request on.

    Who is let out has no session, no API key and no open set-up token any more, also when let in again.

    The last active admin can be neither demoted nor deactivated, also when two admins demote each other at once.
    """

    unit_of_work: UnitOfWorkFactory
    clock: Clock

    async def __call__(
        self, *, user_id: int, role: Role | None = None, is_active: bool | None = None, expected: frozenset[int] | None, by: User
    ) -> User:
        require(by, Action.USER_UPDATE)
        async with self.unit_of_work() as work:
            admins = await work.users.lock_active_admins()
            user = await work.users.lock(user_id)
            now = self.clock.now()
            changed = user.administer(role=role, is_active=is_active, active_admins=admins, expected=expected, at=now)
            if changed is not user:
                await work.users.save(changed)
                await work.audit.add(*_administered(user, changed, by=by, at=now))
            if not changed.is_active:
                await end_sessions(work, user_id, by=by, at=now)
                await revoke_keys(work, user_id, by=by, at=now)
                await work.setup_tokens.end(user_id)
            await work.commit()
        return changed


def _administered(before: User, after: User, *, by: User, at: datetime) -> list[Entry]:
    """An entry for each thing that an admin did to a user at once."""
    switch = "user.activate" if after.is_active else "user.deactivate"
    told = (
        user_entry(action, after, by=by, at=at, before=before, fields=(field,))
        for action, field in (("user.role", "role"), (switch, "is_active"))
    )
    return [each for each in told if each.changes]
