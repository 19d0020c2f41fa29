"""Statements that many ask at the same time, as the readers of a story do when it comes out: run once for all who wait."""

import asyncio
from collections.abc import Callable, Hashable
from typing import Any

import asyncpg

from adapters.postgres.database import ANSWER_SECONDS, Executor, Statement
from domain.errors import Unavailable

TURN_SECONDS = 0.3  # for the present run; the next one has what is left until the answer is due

_LEFT = object()  # instead of an answer: whoever asked for all went away first

_Key = tuple[Hashable, ...]
_Answer = asyncio.Future[Any]


class Together(Executor):
    """Statements that only read. The very same one runs once at a time; who asks meanwhile is answered by the next run, with all others.

    So everybody sees what was committed before they asked, and a crowd costs as much as two. One that takes long is not waited for:
    then the next one runs beside it.
    """

    def __init__(self, executor: Executor, *, alike: Callable[[], Hashable] = lambda: None) -> None:
        """`alike` tells what must be the same of those who are answered together, beside what they ask."""
        self._run = executor
        self._alike = alike
        self._running: dict[_Key, _Answer] = {}
        self._next: dict[_Key, _Answer] = {}

    async def rows(self, statement: Statement, due: float | None = None, /, **given: Any) -> list[asyncpg.Record]:
        """By themselves: nothing public that many ask for has several rows."""
        return await self._run.rows(statement, due, **given)

    async def row(self, statement: Statement, due: float | None = None, /, **given: Any) -> asyncpg.Record | None:
        due = asyncio.get_running_loop().time() + ANSWER_SECONDS if due is None else due
        key = (statement, self._alike(), *given.items())
        while True:
            next_run = self._next.get(key)
            found = await (self._ask(key, statement, given, due) if next_run is None else asyncio.shield(next_run))
            if found is not _LEFT:
                row: asyncpg.Record | None = found
                return row

    async def _ask(self, key: _Key, statement: Statement, given: dict[str, Any], due: float) -> asyncpg.Record | None:
        """Run the statement, when the present run is over or takes long, for all who have joined until then."""
        mine: _Answer = asyncio.get_running_loop().create_future()
        try:
            if key in self._running:
                await self._turn(key, mine)
            self._running[key] = mine
            found = await self._run.row(statement, due, **given)
        except Exception as error:
            mine.set_exception(error)
            mine.exception()  # heard, also where nobody has joined
            raise
        except BaseException:
            mine.set_result(_LEFT)
            raise
        finally:
            if self._running.get(key) is mine:
                del self._running[key]
        mine.set_result(found)
        return found

    async def _turn(self, key: _Key, mine: _Answer) -> None:
        """Wait until the present run is over, a while at most. Raises `Unavailable` where it did: waiting once more would take too long."""
        present = self._running[key]
        self._next[key] = mine
        try:
            await asyncio.wait([present], timeout=TURN_SECONDS)
        finally:
            del self._next[key]
        error = present.exception() if present.done() else None
        if isinstance(error, Unavailable):
            raise error
