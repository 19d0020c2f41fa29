"""Whole tables read from one moment: each holds a connection for as long as its reader takes, so there are never many."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from time import monotonic

from adapters.postgres.database import Pool, Transaction
from domain.export import TooManyTables

SNAPSHOTS_AT_ONCE = 6
_EXPECTED_SECONDS = 5.0  # until one has ended
_LONGEST_SECONDS = 60.0


class Snapshots:
    """Snapshots of the database, so many at once for all that share this."""

    def __init__(self, pool: Pool, *, at_once: int = SNAPSHOTS_AT_ONCE) -> None:
        self._pool = pool
        self._at_once = at_once
        self._begun: dict[int, float] = {}
        self._numbers = count()
        self._usual = _EXPECTED_SECONDS

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Transaction]:
        """A transaction that only reads, all of one moment. Raises `TooManyTables`, `Unavailable`."""
        if len(self._begun) >= self._at_once:
            raise TooManyTables(retry_after=self._next_end())
        number = next(self._numbers)
        self._begun[number] = monotonic()
        try:
            async with Transaction(self._pool, snapshot=True) as transaction:
                yield transaction
        finally:
            lasted = monotonic() - self._begun.pop(number)
            self._usual = (3 * self._usual + lasted) / 4

    def _next_end(self) -> float:
        """In how many seconds one ends, when it takes as long as they did of late."""
        age = monotonic() - min(self._begun.values())
        return min(max(1.0, self._usual - age), _LONGEST_SECONDS)
