"""Keeping the search index in order while much is added to it."""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self

from adapters.postgres.database import Pool, Transaction
from adapters.postgres.resource_import import statements

PATIENCE_SECONDS = 3600.0
MEMORY = "64MB"
TIDY_SECONDS = 0.5


class Tidying:
    """Once begun, puts what is added to the search index in its place, from a second connection: half of the work, on another core."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._done = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._done.set()
        if self._task is None:
            return
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.exception()  # tidying is no part of the import: what is left of it, PostgreSQL does by itself

    def begin(self) -> None:
        """From now on; once it has begun, nothing changes."""
        if self._task is None:
            self._task = asyncio.create_task(self._tidy())

    async def _tidy(self) -> None:
        async with Transaction(self._pool) as other:
            await other.be_patient(seconds=PATIENCE_SECONDS, memory=MEMORY)
            is_last = False
            while not is_last:
                is_last = self._done.is_set()
                if (await other.one(statements.TIDY_SEARCH))["pages"] is None:
                    return
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._done.wait(), TIDY_SECONDS)
