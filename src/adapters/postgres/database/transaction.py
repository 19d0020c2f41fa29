"""Statements within one transaction, COPY among them."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Any, Self

import asyncpg

from adapters.postgres.database.pool import ANSWER_SECONDS, Pool, milliseconds
from adapters.postgres.database.statement import Executor, Statement
from adapters.postgres.line import Call
from domain.errors import Unavailable

PATIENT_SECONDS = 60.0  # what reads whole tables, and says so
COPY_SECONDS = 24 * 3600.0  # a bound that asyncpg wants; who takes nothing is cut off long before
COPY_PIECE = 64 * 1024


class Transaction(Executor):
    """One connection with a transaction on it, that ends undone unless it was committed.

    With `snapshot` it only reads, and all its statements see the same moment.
    """

    def __init__(self, pool: Pool, *, snapshot: bool = False) -> None:
        self._pool = pool
        self._options = {"isolation": "repeatable_read", "readonly": True} if snapshot else {}
        self._is_snapshot = snapshot
        self._seconds = ANSWER_SECONDS
        self._line: Any = None  # a Line, while there is one
        self._transaction: Any = None

    async def __aenter__(self) -> Self:
        due = asyncio.get_running_loop().time() + ANSWER_SECONDS
        self._line = await self._pool.acquire(until=due)
        try:
            with self._call(due=due):
                self._transaction = self._line.transaction(**self._options)
                await self._transaction.start()
            if self._is_snapshot:
                await self.be_patient()
        except BaseException:
            self._pool.release(self._line)
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        try:
            if self._transaction is not None and not self._line.is_closed():
                with self._call():
                    await self._transaction.rollback()
        finally:
            self._pool.release(self._line)

    async def commit(self) -> None:
        """Raises `OutcomeUnknown` when the line is lost before the database said that it is stored."""
        if self._line.is_closed():
            raise Unavailable  # nothing was sent, so nothing is stored
        with self._call(changes=True):
            await self._transaction.commit()
        self._transaction = None

    async def rows(self, statement: Statement, due: float | None = None, /, **given: Any) -> list[asyncpg.Record]:
        await self._heed(statement)
        with self._call(due=due):
            found: list[asyncpg.Record] = await self._line.fetch(statement.sql, *statement.arguments(given))
            return found

    async def row(self, statement: Statement, due: float | None = None, /, **given: Any) -> asyncpg.Record | None:
        await self._heed(statement)
        with self._call(due=due):
            found: asyncpg.Record | None = await self._line.fetchrow(statement.sql, *statement.arguments(given))
            return found

    async def be_patient(self, *, seconds: float = PATIENT_SECONDS, memory: str | None = None) -> None:
        """From here on statements may take so long, and use so much memory each, until the transaction ends."""
        wanted = dict.fromkeys(("statement_timeout", "idle_in_transaction_session_timeout"), milliseconds(seconds))
        if memory is not None:
            wanted |= dict.fromkeys(("work_mem", "maintenance_work_mem", "gin_pending_list_limit"), memory)
        with self._call():
            await self._line.execute("; ".join(f"SET LOCAL {name} = '{value}'" for name, value in wanted.items()))
        self._seconds = seconds

    async def fill(self, source: AsyncIterator[bytes], *, table: str, columns: Sequence[str]) -> None:
        """Fill a table from lines in the text format of COPY."""
        with self._call(is_bounded=False):
            await self._line.copy_to_table(table, source=source, columns=columns, timeout=self._seconds)

    @asynccontextmanager
    async def attempt(self) -> AsyncIterator[None]:
        """A part of the transaction that is undone by itself when it raises."""
        part = self._line.transaction()
        with self._call():
            await part.start()
        try:
            yield
        except BaseException:
            if not self._line.is_closed():
                with self._call():
                    await part.rollback()
            raise
        with self._call():
            await part.commit()

    async def batches(self, statement: Statement, *, size: int, **given: Any) -> AsyncIterator[list[asyncpg.Record]]:
        """The rows of a statement by a cursor, so many at a time."""
        await self._heed(statement)
        with self._call():
            cursor = await self._line.cursor(statement.sql, *statement.arguments(given))
        while True:
            with self._call():
                rows = await cursor.fetch(size)
            if not rows:
                return
            yield rows

    def _call(self, *, changes: bool | None = None, is_bounded: bool = True, due: float | None = None) -> Call:
        if due is None and is_bounded:
            due = asyncio.get_running_loop().time() + self._seconds
        return Call(self._line, due, self._pool.note_failure, changes=changes)

    async def _heed(self, statement: Statement) -> None:
        if statement.patient and self._seconds < PATIENT_SECONDS:
            await self.be_patient()

    async def copy(self, statement: Statement, *, quote: str = '"', delimiter: str = ",", **given: Any) -> AsyncGenerator[bytes, None]:
        """The rows of a statement as the server writes them by `COPY` in its CSV format, in pieces of whole rows.

        The server goes on only when the next piece is asked for. Leaving early closes the connection, which ends its work at once.
        """
        with self._call():
            await self._line.execute("SET LOCAL statement_timeout = 0; SET LOCAL jit = off")
        pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        taken = asyncio.Semaphore(0)

        async def put(piece: bytes) -> None:
            pieces.put_nowait(piece)
            await taken.acquire()

        copying = asyncio.create_task(self._copy_to(put, statement, given, quote=quote, delimiter=delimiter))
        copying.add_done_callback(lambda _: pieces.put_nowait(None))
        try:
            while True:
                with self._call(is_bounded=False):
                    async with asyncio.timeout(PATIENT_SECONDS):  # it may take long in all, but not be silent for long
                        piece = await pieces.get()
                if piece is None:
                    break
                yield piece
                taken.release()
            await copying
        finally:
            if not copying.done():
                self._transaction = None  # ends with the connection
                self._line.terminate()
                copying.cancel()
                with suppress(Exception, asyncio.CancelledError):
                    await copying

    async def _copy_to(
        self, put: Callable[[bytes], Awaitable[None]], statement: Statement, given: dict[str, Any], *, quote: str, delimiter: str
    ) -> None:
        held = bytearray()

        async def take(data: bytes) -> None:
            held.extend(data)
            if len(held) >= COPY_PIECE:
                piece = bytes(held)
                held.clear()
                await put(piece)

        with self._call(is_bounded=False):
            await self._line.copy_from_query(
                statement.sql,
                *statement.arguments(given),
                output=take,
                format="csv",
                quote=quote,
                delimiter=delimiter,
                encoding="utf-8",
                timeout=COPY_SECONDS,
            )
        if held:
            await put(bytes(held))
