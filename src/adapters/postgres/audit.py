"""The audit trail in PostgreSQL."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import insert

from adapters.postgres.database import Executor, Statement, parameters
from adapters.postgres.tables import audit_entries
from application.ports import AuditTrail
from domain.audit import Entry

ADD = Statement(insert(audit_entries).values(parameters(audit_entries, but=["id"])))


def _row(entry: Entry) -> dict[str, Any]:
    return {
        "at": entry.at,
        "actor_id": entry.actor_id,
        "action": entry.action,
        "project": entry.project,
        "target_type": entry.target.type,
        "target_id": entry.target.id,
        "changes": [{"field": each.field, "from": each.before, "to": each.after} for each in entry.changes],
    }


class PostgresAuditTrail(AuditTrail):
    def __init__(self, executor: Executor, *, request_id: Callable[[], str | None]) -> None:
        self._run = executor
        self._request_id = request_id

    async def add(self, *entries: Entry) -> None:
        for entry in entries:
            await self._run.row(ADD, **_row(entry), request_id=self._request_id())
