"""Accounts: register, set a password, and what admins do with them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from uuid import UUID

from application.ports import Clock, CommonPasswords, PasswordHasher, Random, UnitOfWorkFactory, Users
from application.session import CheckPassword, OpenSession, SignedIn, end_sessions
from domain.access import Action, Role, require
from domain.audit import Entry, Target, differences, entry
from domain.errors import Fault
from domain.session import InvalidCredentials, InvalidToken
from domain.text import refuse
from domain.user import User, WrongPassword, account_faults, canonical_username, new_user, password_faults

SETUP_LIFETIME = timedelta(days=7)
PROFILE = ("email", "orcid_id", "openalex_id")


def new_user_entry(action: str, user: User, *, by: User | None) -> Entry:
    """What the audit trail tells of a new account. Addresses are told when they change, not before: the account has the first."""
    return _entry(action, user, by=by, at=user.created_at, before=None, fields=("username", "role"))


def _entry(action: str, user: User, *, by: User | None, at: datetime, before: User | None, fields: tuple[str, ...] = ()) -> Entry:
    return entry(action, Target(type="user", id=user.id), by=by, at=at, changes=differences(before, user, *fields))


@dataclass(frozen=True, slots=True, kw_only=True)
class HashNewPassword:
    """The hash of a new password that obeys the rules. Raises `Invalid` with its faults and those that came along."""

    hasher: PasswordHasher
    common: CommonPasswords

    async def __call__(self, password: str, *, username: str, pointer: str = "/password", also: Iterable[Fault] = ()) -> str:
        self.check(password, username=username, pointer=pointer, also=also)
        return await self.hasher.hash(password)

    def check(self, password: str, *, username: str, pointer: str = "/password", also: Iterable[Fault] = ()) -> None:
        """Raise `Invalid` unless this may become the password."""
        faults = password_faults(password, username=username, is_common=self.common.__contains__, pointer=pointer)
        refuse(chain(also, faults))


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """Make an account of one's own and sign in.

    The role is `member`, always. A username that is taken is told; whether an address is known never.
    """

    hash_new: HashNewPassword
    open_session: OpenSession
    unit_of_work: UnitOfWorkFactory

    async def __call__(
        self, *, username: str, email: str, password: str, orcid_id: str | None = None, openalex_id: str | None = None
    ) -> SignedIn:
        name = canonical_username(username)
        faults = account_faults(username=name, email=email, orcid_id=orcid_id, openalex_id=openalex_id)
        hashed = await self.hash_new(password, username=name, also=faults)
        user = new_user(
            username=username,
            email=email,
            password_hash=hashed,
            orcid_id=orcid_id,
            openalex_id=openalex_id,
            at=self.open_session.clock.now(),
        )
        async with self.unit_of_work() as work:
            added = await work.users.add(user)
            await work.audit.add(new_user_entry("user.register", added, by=added))
            signed_in = await self.open_session(work, added)
            await work.commit()
        return signed_in


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
            user = await work.users.get(user_id)
            await work.setup_tokens.add(token=token, user_id=user_id, expires_at=expires_at)
            await work.audit.add(_entry("user.reset", user, by=by, at=now, before=user))
            await work.commit()
        return Setup(user=user, token=token, expires_at=expires_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPassword:
    """Redeem a one-time token: set the password of its user, whose sessions all end."""

    unit_of_work: UnitOfWorkFactory
    hash_new: HashNewPassword
    clock: Clock

    async def __call__(self, *, token: str, new_password: str) -> None:
        now = self.clock.now()
        async with self.unit_of_work() as work:
            user_id = await work.setup_tokens.redeem(token, at=now)
            if user_id is None:
                raise InvalidToken
            user = await work.users.lock(user_id)
            hashed = await self.hash_new(new_password, username=user.username, pointer="/new_password")
            await work.users.save(user.change_password(hashed, at=now))
            await work.audit.add(_entry("password.set", user, by=user, at=now, before=user))
            await end_sessions(work, user_id, by=user, at=now)
            await work.commit()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePassword:
    """Change one's own password, by the current one. Every other session ends with it; the one that asks goes on.

    Wrong current passwords count as failed sign-ins.
    """

    check_password: CheckPassword
    hash_new: HashNewPassword
    unit_of_work: UnitOfWorkFactory
    clock: Clock

    async def __call__(
        self,
        *,
        current_password: str,
        new_password: str,
        network: str,
        session_id: UUID,
        expected: frozenset[int] | None = None,
        by: User,
    ) -> User:
        require(by, Action.PASSWORD_CHANGE)
        self.hash_new.check(new_password, username=by.username, pointer="/new_password")
        try:
            checked = await self.check_password(username=by.username, password=current_password, network=network)
            hashed = await self.hash_new(new_password, username=by.username, pointer="/new_password")
            async with self.unit_of_work() as work:
                user = await self.check_password.confirm(work, checked, current_password)
                now = self.clock.now()
                changed = user.change_password(hashed, expected=expected, at=now)
                await work.users.save(changed)
                await work.audit.add(_entry("password.change", user, by=user, at=now, before=user))
                await end_sessions(work, user.id, by=user, at=now, but=session_id)
                await work.commit()
        except InvalidCredentials:
            raise WrongPassword from None
        return changed


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateProfile:
    """Change one's own details: only the fields sent change. An empty identifier, or null, clears it; there is always an e-mail address."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock

    async def __call__(
        self,
        *,
        email: str | None = None,
        orcid_id: str | None = None,
        openalex_id: str | None = None,
        expected: frozenset[int] | None,
        by: User,
    ) -> User:
        require(by, Action.SELF_UPDATE)
        async with self.unit_of_work() as work:
            user = await work.users.lock(by.id)
            now = self.clock.now()
            changed = user.revise_profile(email=email, orcid_id=orcid_id, openalex_id=openalex_id, expected=expected, at=now)
            if changed is not user:
                await work.users.save(changed)
                await work.audit.add(_entry("user.update", changed, by=by, at=now, before=user, fields=PROFILE))
            await work.commit()
        return changed


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
            await work.commit()
        return changed


def _administered(before: User, after: User, *, by: User, at: datetime) -> list[Entry]:
    """An entry for each thing that an admin did to a user at once."""
    switch = "user.activate" if after.is_active else "user.deactivate"
    told = (
        _entry(action, after, by=by, at=at, before=before, fields=(field,))
        for action, field in (("user.role", "role"), (switch, "is_active"))
    )
    return [each for each in told if each.changes]
