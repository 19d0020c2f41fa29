"""Kept outcomes in memory. Units of work run one at a time here, so that no key is ever begun by two."""

from datetime import datetime

from application.ports import Replays
from domain.idempotency import KEPT_FOR, Keyed, KeyReused
from tests.fakes.store import Access, Replay


class FakeReplays(Replays):
    def __init__(self, access: Access) -> None:
        self._access = access

    async def begin(self, keyed: Keyed, *, at: datetime) -> bytes | None:
        kept = self._access.read.replays.get((keyed.user_id, keyed.key))
        if kept is None or kept.expires_at <= at:
            return None
        if kept.fingerprint != keyed.fingerprint:
            raise KeyReused
        return kept.outcome

    async def keep(self, keyed: Keyed, outcome: bytes, *, at: datetime) -> None:
        kept = Replay(fingerprint=keyed.fingerprint, outcome=outcome, expires_at=at + KEPT_FOR)
        async with self._access.write() as tables:
            tables.replays[keyed.user_id, keyed.key] = kept
