"""What people do with accounts of their own: register, set and change the password, change the details."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from uuid import UUID

from application.ports import Clock, CommonPasswords, PasswordHasher, UnitOfWorkFactory
from application.session import CheckPassword, OpenSession, SignedIn, end_sessions
from application.user.told import new_user_entry, user_entry
from domain.access import Action, require
from domain.errors import Fault
from domain.session import InvalidCredentials, InvalidToken
from domain.text import refuse
from domain.user import User, WrongPassword, account_faults, canonical_username, new_user, password_faults

PROFILE = ("email", "orcid_id", "openalex_id")


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
            await work.audit.add(user_entry("password.set", user, by=user, at=now, before=user))
            await end_sessions(work, user_id, by=user, at=now)
            await work.commit()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePassword:
    """Change one's own password, by the current one. Every other session ends with it, and open set-up tokens; the one that asks goes on.

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
                await work.audit.add(user_entry("password.change", user, by=user, at=now, before=user))
                await end_sessions(work, user.id, by=user, at=now, but=session_id)
                await work.setup_tokens.end(user.id)
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
                await work.audit.add(user_entry("user.update", changed, by=by, at=now, before=user, fields=PROFILE))
            await work.commit()
        return changed
