"""Accounts: register, set a password, and what admins do with them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from uuid import UUID

from application.ports import Clock, CommonPasswords, PasswordHasher, Random, UnitOfWorkFactory, Users
from application.session import CheckPassword, OpenSession, SignedIn
from domain.access import Action, Role, require
from domain.errors import Fault
from domain.session import InvalidCredentials, InvalidToken
from domain.text import refuse
from domain.user import User, WrongPassword, account_faults, canonical_username, new_user, password_faults

SETUP_LIFETIME = timedelta(days=7)


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
            signed_in = await self.open_session(work, await work.users.add(user))
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
        token, expires_at = self.random.token(), self.clock.now() + SETUP_LIFETIME
        async with self.unit_of_work() as work:
            user = await work.users.get(user_id)
            await work.setup_tokens.add(token=token, user_id=user_id, expires_at=expires_at)
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
            await work.sessions.end_all(user_id, at=now)
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
                changed = user.change_password(hashed, expected=expected, at=self.clock.now())
                await work.users.save(changed)
                await work.sessions.end_all(user.id, at=self.clock.now(), but=session_id)
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
            changed = user.revise_profile(email=email, orcid_id=orcid_id, openalex_id=openalex_id, expected=expected, at=self.clock.now())
            await work.users.save(changed)
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
            changed = user.administer(role=role, is_active=is_active, active_admins=admins, expected=expected, at=self.clock.now())
            await work.users.save(changed)
            if not changed.is_active:
                await work.sessions.end_all(user_id, at=self.clock.now())
            await work.commit()
        return changed
