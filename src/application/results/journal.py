"""The journal of spending: kept in the store, outside of the database, so that a back-up that is brought back cannot spend again."""

import json
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any

from application.ports import FileStore, Random
from domain.results import NotedSpending, Spending
from domain.text import rfc3339

KIND = "spendings"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteSpending:
    """Put a spending into the journal; it is durable when this returns its name there. Raises `Full`, `Unavailable`."""

    store: FileStore
    random: Random

    async def __call__(self, noted: NotedSpending) -> str:
        name = f"{KIND}/{self.random.uuid()}"
        async with self.store.incoming() as content:
            await content.write(_encoded(noted))
            await content.keep(name)
        return name

    async def strike(self, name: str) -> None:
        """Take a spending out again of which it is certain that nothing was published for it. Raises `Unavailable`."""
        await self.store.remove(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSpendings:
    """All that the journal holds. Entries that are not whole are passed over: nothing was published for them.

    A release that was tried several times may have been noted as often; at most one of them was published, and the dearest stands for it.
    """

    store: FileStore

    async def __call__(self) -> list[NotedSpending]:
        found: dict[tuple[int, datetime, int], NotedSpending] = {}
        async for entry in self.store.stored(KIND):
            noted = _decoded(b"".join([piece async for piece in self.store.read(entry.name)]))
            if noted is None:
                continue
            key = noted.project_id, noted.project_made_at, noted.spending.number
            if key not in found or noted.spending.total > found[key].spending.total:
                found[key] = noted
        return [found[key] for key in sorted(found)]


def _encoded(noted: NotedSpending) -> bytes:
    spending = noted.spending
    return json.dumps(
        {
            "project_id": noted.project_id,
            "project_made_at": rfc3339(noted.project_made_at),
            "spent_at": rfc3339(noted.spent_at),
            "number": spending.number,
            "responses": spending.responses,
            "series": str(spending.series),
            "closing": str(spending.closing),
        }
    ).encode()


def _decoded(text: bytes) -> NotedSpending | None:
    try:
        entry: dict[str, Any] = json.loads(text)
        return NotedSpending(
            project_id=entry["project_id"],
            project_made_at=datetime.fromisoformat(entry["project_made_at"]),
            spent_at=datetime.fromisoformat(entry["spent_at"]),
            spending=Spending(
                number=entry["number"],
                responses=entry["responses"],
                series=Fraction(entry["series"]),
                closing=Fraction(entry["closing"]),
            ),
        )
    except (ValueError, KeyError, TypeError):
        return None
