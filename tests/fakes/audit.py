"""The audit trail in memory."""

from application.ports import AuditTrail
from domain.audit import Entry
from tests.fakes.store import Access


class FakeAuditTrail(AuditTrail):
    def __init__(self, access: Access) -> None:
        self._access = access

    async def add(self, *entries: Entry) -> None:
        async with self._access.write() as tables:
            for entry in entries:
                tables.audit[self._access.new_id()] = entry
