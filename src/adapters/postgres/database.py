"""Connections, and how a statement written in Core runs on them: compiled once, executed by asyncpg.

Why not through SQLAlchemy's own engine: docs/decisions/0002-core-on-asyncpg.md.
"""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Any, Protocol, Self

import asyncpg
from sqlalchemy import BindParameter, ClauseElement, Table, bindparam
from sqlalchemy.dialects.postgresql import asyncpg as asyncpg_dialect

from adapters.postgres.hosts import addresses, connect_to_primary
from adapters.postgres.integrity import domain_errors
from application.ports import Database

_DIALECT = asyncpg_dialect.dialect()  # type: ignore[no-untyped-call]

ACQUIRE_SECONDS = 2.0
STATEMENT_SECONDS = 10.0
COPY_SECONDS = 24 * 3600.0  # a bound that asyncpg wants; who takes nothing is cut off long before
COPY_PIECE = 64 * 1024


class Statement:
    """A Core statement as the text and the order of parameters that asyncpg takes.

    Parameters are written as `bindparam(name)`; values that the statement was written with stay as they are.
    """

    def __init__(self, statement: ClauseElement) -> None:
        compiled = statement.compile(dialect=_DIALECT)
        self.sql = str(compiled)
        names: Sequence[str] = getattr(compiled, "positiontup", None) or ()
        binds = compiled.binds  # type: ignore[attr-defined]
        self._order = tuple((name, binds[name].required, binds[name].value) for name in names)

    def arguments(self, given: dict[str, Any]) -> list[Any]:
        """The values in order. Raises `KeyError` for a parameter that was not given."""
        return [given[name] if required else value for name, required, value in self._order]


def parameters(table: Table, names: Iterable[str] | None = None, *, but: Iterable[str] = ()) -> dict[str, BindParameter[Any]]:
    """A parameter for each column of a table, or for these, by its name and of its type: what `values` takes."""
    chosen = [column.name for column in table.c] if names is None else names
    return {name: bindparam(name, type_=table.c[name].type) for name in chosen if name not in but}


class Executor(Protocol):
    """Where statements run: each by itself, or all within one transaction."""

    async def rows(self, statement: Statement, **given: Any) -> list[asyncpg.Record]: ...

    async def row(self, statement: Statement, **given: Any) -> asyncpg.Record | None: ...

    async def one(self, statement: Statement, **given: Any) -> asyncpg.Record:
        """The row of a statement that always has one."""
        row = await self.row(statement, **given)
        if row is None:
            raise LookupError(statement.sql)
        return row


class Pool(Executor, Database):
    """Connections to one database; each statement commits by itself."""

    def __init__(self, url: str, *, size: int, seconds: float = STATEMENT_SECONDS) -> None:
        """`url` as in `postgresql+asyncpg://…`; nothing is connected before the first use.

        Where it names several hosts, the one that is the primary is used. A statement has so many `seconds`.
        """
        self._dsns = addresses(url)
        self._size = size
        self._seconds = seconds
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None

    async def __aenter__(self) -> Self:
        with domain_errors():
            self._pool = await asyncpg.create_pool(
                *self._dsns[:1],
                connect=self._connect,
                min_size=1,
                max_size=self._size,
                command_timeout=self._seconds,
                init=_prepare,
                reset=_leave_as_is,
                server_settings={
                    "application_name": "complex-stories",
                    "timezone": "UTC",
                    "statement_timeout": str(int(self._seconds * 1000)),
                    "idle_in_transaction_session_timeout": "30000",
                },
            )
        return self

    async def _connect(self, *_: Any, **options: Any) -> Any:
        if len(self._dsns) == 1:
            return await asyncpg.connect(self._dsns[0], **options)
        return await connect_to_primary(*self._dsns, **options)

    async def __aexit__(self, *_: object) -> None:
        pool, self._pool = self.connections, None
        pool.terminate()

    @property
    def connections(self) -> "asyncpg.Pool[asyncpg.Record]":
        """The open connections; use the pool as an asynchronous context manager first."""
        if self._pool is None:
            raise RuntimeError("The pool is not open.")
        return self._pool

    async def rows(self, statement: Statement, **given: Any) -> list[asyncpg.Record]:
        with domain_errors():
            async with self.connections.acquire(timeout=ACQUIRE_SECONDS) as connection:
                found: list[asyncpg.Record] = await connection.fetch(statement.sql, *statement.arguments(given))
                return found

    async def row(self, statement: Statement, **given: Any) -> asyncpg.Record | None:
        with domain_errors():
            async with self.connections.acquire(timeout=ACQUIRE_SECONDS) as connection:
                return await connection.fetchrow(statement.sql, *statement.arguments(given))

    async def check(self) -> None:
        with domain_errors():
            async with self.connections.acquire(timeout=ACQUIRE_SECONDS) as connection:
                await connection.execute("SELECT 1", timeout=ACQUIRE_SECONDS)


class Transaction(Executor):
    """One connection with a transaction on it, that ends undone unless it was committed.

    With `snapshot` it only reads, and all its statements see the same moment.
    """

    def __init__(self, pool: Pool, *, snapshot: bool = False) -> None:
        self._pool = pool
        self._options = {"isolation": "repeatable_read", "readonly": True} if snapshot else {}
        self._connection: Any = None
        self._transaction: Any = None
        self._patience: float | None = None

    async def __aenter__(self) -> Self:
        pool = self._pool.connections
        with domain_errors():
            self._connection = await pool.acquire(timeout=ACQUIRE_SECONDS)
            try:
                self._transaction = self._connection.transaction(**self._options)
                await self._transaction.start()
            except BaseException:
                await pool.release(self._connection)
                raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        try:
            if self._transaction is not None and not self._connection.is_closed():
                with domain_errors():
                    await self._transaction.rollback()
        finally:
            await self._pool.connections.release(self._connection)

    async def commit(self) -> None:
        with domain_errors():
            await self._transaction.commit()
        self._transaction = None

    async def rows(self, statement: Statement, **given: Any) -> list[asyncpg.Record]:
        with domain_errors():
            found: list[asyncpg.Record] = await self._connection.fetch(statement.sql, *statement.arguments(given), timeout=self._patience)
            return found

    async def row(self, statement: Statement, **given: Any) -> asyncpg.Record | None:
        with domain_errors():
            found: asyncpg.Record | None = await self._connection.fetchrow(
                statement.sql, *statement.arguments(given), timeout=self._patience
            )
            return found

    async def be_patient(self, *, seconds: float, memory: str) -> None:
        """From here on statements may take so long, and use so much memory each, until the transaction ends."""
        self._patience = seconds
        milliseconds = int(seconds * 1000)
        with domain_errors():
            await self._connection.execute(
                f"SET LOCAL statement_timeout = {milliseconds}; SET LOCAL idle_in_transaction_session_timeout = {milliseconds};"
                f"SET LOCAL work_mem = '{memory}'; SET LOCAL maintenance_work_mem = '{memory}'; "
                f"SET LOCAL gin_pending_list_limit = '{memory}'"
            )

    async def fill(self, source: AsyncIterator[bytes], *, table: str, columns: Sequence[str]) -> None:
        """Fill a table from lines in the text format of COPY."""
        with domain_errors():
            await self._connection.copy_to_table(table, source=source, columns=columns, timeout=self._patience)

    @asynccontextmanager
    async def attempt(self) -> AsyncIterator[None]:
        """A part of the transaction that is undone by itself when it raises."""
        async with self._connection.transaction():
            yield

    async def batches(self, statement: Statement, *, size: int, **given: Any) -> AsyncIterator[list[asyncpg.Record]]:
        """The rows of a statement by a cursor, so many at a time."""
        with domain_errors():
            cursor = await self._connection.cursor(statement.sql, *statement.arguments(given))
            while rows := await cursor.fetch(size):
                yield rows

    async def copy(self, statement: Statement, *, quote: str = '"', delimiter: str = ",", **given: Any) -> AsyncGenerator[bytes, None]:
        """The rows of a statement as the server writes them by `COPY` in its CSV format, in pieces of whole rows.

        The server goes on only as pieces are taken. Leaving early closes the connection, which ends its work at once.
        """
        with domain_errors():
            await self._connection.execute("SET LOCAL statement_timeout = 0; SET LOCAL jit = off")
        pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        room = asyncio.Semaphore(1)

        async def put(piece: bytes) -> None:
            await room.acquire()
            pieces.put_nowait(piece)

        copying = asyncio.create_task(self._copy_to(put, statement, given, quote=quote, delimiter=delimiter))
        copying.add_done_callback(lambda _: pieces.put_nowait(None))
        try:
            while (piece := await pieces.get()) is not None:
                room.release()
                yield piece
            await copying
        finally:
            if not copying.done():
                self._transaction = None  # ends with the connection
                self._connection.terminate()
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

        with domain_errors():
            await self._connection.copy_from_query(
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


async def _prepare(connection: Any) -> None:
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=as_json, decoder=json.loads, format="text")


async def _leave_as_is(connection: Any) -> None:
    """Nothing here outlives its statement or transaction, so there is nothing to reset (that would cost a round trip)."""


_TEXT_OR_LARGE_DOUBLE = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9.]+e\+[0-9]+')


def as_json(value: object) -> str:
    """JSON from which PostgreSQL gives back the very same: it writes 1e16 without an exponent, so a point tells that from an integer."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _TEXT_OR_LARGE_DOUBLE.sub(_spelled_out, text) if "e+" in text else text


def _spelled_out(match: re.Match[str]) -> str:
    return match[0] if match[0].startswith('"') else f"{float(match[0]):.1f}"
