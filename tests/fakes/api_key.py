"""API keys in memory."""

from dataclasses import replace
from datetime import datetime

from application.ports import ApiKeys
from domain.api_key import ApiKey
from domain.errors import NotFound
from domain.user import User
from tests.fakes.store import Access


class FakeApiKeys(ApiKeys):
    def __init__(self, access: Access) -> None:
        self._access = access

    async def add(self, key: ApiKey, *, secret: str) -> ApiKey:
        async with self._access.write() as tables:
            added = replace(key, id=self._access.new_id())
            tables.api_keys[added.id] = added
            tables.key_secrets[secret] = added.id
        return added

    async def count(self, user_id: int, *, at: datetime) -> int:
        return len(self._live(user_id, at))

    async def page(self, user_id: int, *, at: datetime, after: int, limit: int) -> list[ApiKey]:
        return [key for key in self._live(user_id, at) if key.id > after][:limit]

    async def holder(self, secret: str, *, at: datetime) -> tuple[User, ApiKey] | None:
        tables = self._access.read
        key = tables.api_keys.get(tables.key_secrets.get(secret, 0))
        if key is None or not key.is_live(at) or not tables.users[key.user_id].is_active:
            return None
        return tables.users[key.user_id], key

    async def note_use(self, key_id: int, *, at: datetime) -> None:
        async with self._access.write() as tables:
            key = tables.api_keys.get(key_id)
            if key is not None and key.is_use_due(at):
                tables.api_keys[key_id] = replace(key, last_used_at=at)

    async def revoke(self, key_id: int, *, user_id: int, at: datetime) -> None:
        async with self._access.write() as tables:
            key = tables.api_keys.get(key_id)
            if key is None or key.user_id != user_id or not key.is_live(at):
                raise NotFound
            tables.api_keys[key_id] = replace(key, revoked_at=at)

    async def revoke_all(self, user_id: int, *, at: datetime) -> list[int]:
        async with self._access.write() as tables:
            live = self._live(user_id, at)
            tables.api_keys.update({key.id: replace(key, revoked_at=at) for key in live})
        return [key.id for key in live]

    def _live(self, user_id: int, at: datetime) -> list[ApiKey]:
        own = [key for key in self._access.read.api_keys.values() if key.user_id == user_id and key.is_live(at)]
        return sorted(own, key=lambda key: key.id)
