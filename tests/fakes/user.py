"""Accounts and set-up tokens in memory."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from application.ports import SetupTokens, Users
from domain.errors import NotFound
from domain.text import folded
from domain.user import User, UsernameTaken
from tests.fakes.store import Access, SetupToken


class FakeUsers(Users):
    def __init__(self, access: Access) -> None:
        self._access = access

    async def add(self, user: User) -> User:
        async with self._access.write() as tables:
            if any(other.username == user.username for other in tables.users.values()):
                raise UsernameTaken
            added = replace(user, id=self._access.new_id())
            tables.users[added.id] = added
        return added

    async def add_free(self, users: Sequence[User]) -> list[User]:
        added = []
        for user in sorted(users, key=lambda user: user.username):
            with suppress(UsernameTaken):
                added.append(await self.add(user))
        return added

    async def get(self, user_id: int) -> User:
        found = self._access.read.users.get(user_id)
        if found is None:
            raise NotFound
        return found

    async def lock(self, user_id: int) -> User:
        return await self.get(user_id)

    async def by_username(self, username: str) -> User | None:
        return next((user for user in self._access.read.users.values() if user.username == username), None)

    async def named(self, usernames: Sequence[str]) -> list[User]:
        return [user for user in self._access.read.users.values() if user.username in usernames]

    async def lock_active_admins(self) -> frozenset[int]:
        return frozenset(user.id for user in self._access.read.users.values() if user.is_active_admin)

    async def save(self, user: User) -> None:
        async with self._access.write() as tables:
            tables.users[user.id] = user

    async def page(self, *, search: str | None, after: int, limit: int) -> list[User]:
        part = folded(search or "")
        users = sorted(self._access.read.users.values(), key=lambda user: user.id)
        return [user for user in users if user.id > after and part in user.search_text][:limit]


class FakeSetupTokens(SetupTokens):
    def __init__(self, access: Access) -> None:
        self._access = access

    async def add(self, *, token: str, user_id: int, expires_at: datetime) -> None:
        async with self._access.write() as tables:
            for earlier in [key for key, value in tables.setup_tokens.items() if value.user_id == user_id]:
                del tables.setup_tokens[earlier]
            tables.setup_tokens[token] = SetupToken(user_id=user_id, expires_at=expires_at)

    async def add_all(self, tokens: Mapping[int, str], *, expires_at: datetime) -> None:
        for user_id, token in tokens.items():
            await self.add(token=token, user_id=user_id, expires_at=expires_at)

    async def redeem(self, token: str, *, at: datetime) -> int | None:
        async with self._access.write() as tables:
            found = tables.setup_tokens.pop(token, None)
        return found.user_id if found and at < found.expires_at else None

    async def end(self, user_id: int) -> None:
        async with self._access.write() as tables:
            for token in [key for key, value in tables.setup_tokens.items() if value.user_id == user_id]:
                del tables.setup_tokens[token]
