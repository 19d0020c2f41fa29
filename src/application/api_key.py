"""API keys: made, listed and revoked by the person whom they act for, and whom a request with one comes from."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from application.ports import ApiKeys, Clock, Random, UnitOfWork, UnitOfWorkFactory
from domain.access import Action, require
from domain.api_key import MARK, ApiKey, Scope, new_api_key
from domain.audit import Target, differences, entry
from domain.session import InvalidToken
from domain.user import User


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeKey:
    """A key and its secret, which nobody can find out again."""

    key: ApiKey
    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateApiKey:
    """Make a key with which a program acts for you: `read` opens what only reads, `write` everything else, within your role.

    The `key` is shown only here. It goes where the access token does, and opens nothing under `/auth` but `GET /auth/me`.
    """

    unit_of_work: UnitOfWorkFactory
    random: Random
    clock: Clock

    async def __call__(self, *, name: str, scopes: Collection[Scope], expires_in_days: int, by: User) -> MadeKey:
        require(by, Action.API_KEY_CREATE)
        secret, now = MARK + self.random.token(), self.clock.now()
        async with self.unit_of_work() as work:
            user = await work.users.lock(by.id)  # so that of two keys made at once the second sees the first
            if not user.is_active:
                raise InvalidToken  # deactivated meanwhile: no key may outlive that
            live = await work.api_keys.count(by.id, at=now)
            key = new_api_key(user_id=by.id, name=name, scopes=scopes, expires_in_days=expires_in_days, secret=secret, live=live, at=now)
            key = await work.api_keys.add(key, secret=secret)
            told = differences(None, key, "name", "scopes", "prefix", "expires_at")
            await work.audit.add(entry("api-key.create", Target(type="api-key", id=key.id), by=by, at=now, changes=told))
            await work.commit()
        return MadeKey(key=key, secret=secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListApiKeys:
    """One's own live keys by id. `last_used_at` is right to the minute."""

    api_keys: ApiKeys
    clock: Clock

    async def __call__(self, *, after: int, limit: int, by: User) -> list[ApiKey]:
        require(by, Action.API_KEY_LIST)
        return await self.api_keys.page(by.id, at=self.clock.now(), after=after, limit=limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeApiKey:
    """Revoke one of one's own live keys: it opens nothing from the next request on."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock

    async def __call__(self, *, key_id: int, by: User) -> None:
        require(by, Action.API_KEY_REVOKE)
        now = self.clock.now()
        async with self.unit_of_work() as work:
            await work.api_keys.revoke(key_id, user_id=by.id, at=now)
            await _record_revoked(work, key_id, by=by, at=now)
            await work.commit()


async def revoke_keys(work: UnitOfWork, user_id: int, *, by: User, at: datetime) -> None:
    """Revoke every live key of a user within somebody else's unit of work."""
    await _record_revoked(work, *await work.api_keys.revoke_all(user_id, at=at), by=by, at=at)


async def _record_revoked(work: UnitOfWork, *key_ids: int, by: User, at: datetime) -> None:
    await work.audit.add(*(entry("api-key.revoke", Target(type="api-key", id=each), by=by, at=at) for each in key_ids))


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticateKey:
    """Whom a key speaks for, by the user and the key as they are now. Raises `InvalidToken`."""

    api_keys: ApiKeys
    clock: Clock

    async def __call__(self, *, secret: str) -> tuple[User, ApiKey]:
        found = await self.api_keys.holder(secret, at=self.clock.now())
        if found is None:
            raise InvalidToken
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteKeyUse:
    """Keep when a key was last used, where that is due."""

    api_keys: ApiKeys
    clock: Clock

    def is_due(self, key: ApiKey) -> bool:
        """Whether there is anything to keep."""
        return key.is_use_due(self.clock.now())

    async def __call__(self, key: ApiKey) -> None:
        await self.api_keys.note_use(key.id, at=self.clock.now())
