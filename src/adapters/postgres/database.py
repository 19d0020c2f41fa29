"""Connections, and how a statement written in Core runs on them: compiled once, executed by asyncpg.

Why not through SQLAlchemy's own engine: docs/decisions/0002-core-on-asyncpg.md.
"""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from operator import itemgetter
from types import TracebackType
from typing import Any, Protocol, Self

import asyncpg
from sqlalchemy import BindParameter, ClauseElement, Table, bindparam
from sqlalchemy.dialects.postgresql import asyncpg as asyncpg_dialect
from sqlalchemy.sql.visitors import iterate

from adapters.postgres.hosts import addresses, connect_to_primary
from adapters.postgres.integrity import Again, meaning
from adapters.postgres.line import Call, Line
from adapters.postgres.lines import ACQUIRE_SECONDS, Lines
from domain.errors import Unavailable

_DIALECT = asyncpg_dialect.dialect()  # type: ignore[no-untyped-call]

STATEMENT_SECONDS = 2.5  # then the server gives up
ANSWER_SECONDS = 2.7  # then nothing more is expected of it: a request has its answer within 3 s
PATIENT_SECONDS = 60.0  # what reads whole tables, and says so
IDLE_SECONDS = 5.0  # what a transaction holds is let go when nothing more is heard of it
GONE_SECONDS = 1.0  # after which the server notices that nobody waits for its answer any more
ATTEMPTS = 3
COPY_SECONDS = 24 * 3600.0  # a bound that asyncpg wants; who takes nothing is cut off long before
COPY_PIECE = 64 * 1024


class Statement:
    """A Core statement as the text and the order of parameters that asyncpg takes.

    Parameters are written as `bindparam(name)`; values that the statement was written with stay as they are. One that goes through
    whole tables is `patient`: within a transaction it may take a minute.
    """

    def __init__(self, statement: ClauseElement, *, patient: bool = False) -> None:
        self.changes = any(getattr(part, "is_dml", False) for part in iterate(statement))
        self.patient = patient
        compiled = statement.compile(dialect=_DIALECT)
        self.sql = str(compiled)
        names: Sequence[str] = getattr(compiled, "positiontup", None) or ()
        binds = compiled.binds  # type: ignore[attr-defined]
        self._names = names
        self._pick: Any = itemgetter(*names) if len(names) > 1 else None
        self._written = {name: binds[name].value for name in names if not binds[name].required}

    def arguments(self, given: Mapping[str, Any]) -> Sequence[Any]:
        """The values in order. Raises `KeyError` for a parameter that was not given."""
        if self._written:
            given = {**given, **self._written}
        return self._pick(given) if self._pick else [given[name] for name in self._names]


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


class Pool(Executor):
    """Connections to one database; each statement commits by itself."""

    def __init__(self, url: str, *, size: int, seconds: float = STATEMENT_SECONDS) -> None:
        """`url` as in `postgresql+asyncpg://…`; nothing is connected before the first use.

        Where it names several hosts, the one that is the primary is used. A statement has so many `seconds`.
        """
        self._dsns = addresses(url)
        self._size = size
        self._seconds = seconds
        self._lines: Lines | None = None
        self.failures = 0  # how often the database could not do what it was asked to, so far

    @property
    def size(self) -> int:
        """How many connections there may be."""
        return self._size

    @property
    def idle(self) -> int:
        """How many open connections wait for work."""
        return self._lines.idle if self._lines else 0

    @property
    def used(self) -> int:
        """How many connections are at work."""
        return self._lines.used if self._lines else 0

    async def __aenter__(self) -> Self:
        self._lines = Lines(self._connect, size=self._size)
        return self

    async def __aexit__(self, *_: object) -> None:
        lines, self._lines = self._lines, None
        if lines is not None:
            lines.end()

    async def _connect(self) -> Line:
        options: dict[str, Any] = {
            "connection_class": Line,
            "server_settings": {
                "application_name": "complex-stories",
                "timezone": "UTC",
                "statement_timeout": _milliseconds(self._seconds),
                "idle_in_transaction_session_timeout": _milliseconds(IDLE_SECONDS),
                "client_connection_check_interval": _milliseconds(GONE_SECONDS),
            },
        }
        connecting = connect_to_primary(*self._dsns, **options) if len(self._dsns) > 1 else asyncpg.connect(self._dsns[0], **options)
        line: Line = await connecting
        try:
            await line.set_type_codec("jsonb", schema="pg_catalog", encoder=as_json, decoder=json.loads, format="text")
        except BaseException:
            line.terminate()
            raise
        return line

    async def acquire(self, *, until: float | None = None) -> Line:
        """A connection to be released, within `ACQUIRE_SECONDS`. Raises `Unavailable`."""
        lines = self._lines
        if lines is None:
            raise RuntimeError("The pool is not open.")
        try:
            return await lines.acquire(until=until)
        except Exception as error:
            meant = meaning(error, self.note_failure)
            if meant is None:
                raise
            raise meant from meant.__cause__

    def release(self, line: Line) -> None:
        """Give a connection back; what is wrong with it harms nobody, since it is ended then."""
        if self._lines is None:
            line.terminate()
        else:
            self._lines.release(line)

    async def rows(self, statement: Statement, **given: Any) -> list[asyncpg.Record]:
        found: list[asyncpg.Record] = await self._alone("fetch", statement, given)
        return found

    async def row(self, statement: Statement, **given: Any) -> asyncpg.Record | None:
        found: asyncpg.Record | None = await self._alone("fetchrow", statement, given)
        return found

    async def now(self, statement: Statement) -> list[asyncpg.Record]:
        """The rows of a statement that takes no parameters and changes nothing, asked once and without delay."""
        until = asyncio.get_running_loop().time() + ACQUIRE_SECONDS
        found: list[asyncpg.Record] = await self._once("fetch", statement.sql, (), until=until, changes=False)
        return found

    async def _alone(self, fetch: str, statement: Statement, given: dict[str, Any]) -> Any:
        """Run a statement that commits by itself, and once more where that is safe."""
        arguments = statement.arguments(given)
        until = asyncio.get_running_loop().time() + ANSWER_SECONDS
        for attempt in range(1, ATTEMPTS):
            try:
                return await self._once(fetch, statement.sql, arguments, until=until, changes=statement.changes)
            except Again:
                await asyncio.sleep(0.01 * attempt)
        return await self._once(fetch, statement.sql, arguments, until=until, changes=statement.changes)

    async def _once(self, fetch: str, sql: str, arguments: Sequence[Any], *, until: float, changes: bool) -> Any:
        line = await self.acquire(until=until)
        try:
            with Call(line, until, self.note_failure, changes=changes):
                return await getattr(line, fetch)(sql, *arguments)
        finally:
            self.release(line)

    def note_failure(self) -> None:
        self.failures += 1


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
        self._line = await self._pool.acquire()
        try:
            with self._call():
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

    async def rows(self, statement: Statement, **given: Any) -> list[asyncpg.Record]:
        await self._heed(statement)
        with self._call():
            found: list[asyncpg.Record] = await self._line.fetch(statement.sql, *statement.arguments(given))
            return found

    async def row(self, statement: Statement, **given: Any) -> asyncpg.Record | None:
        await self._heed(statement)
        with self._call():
            found: asyncpg.Record | None = await self._line.fetchrow(statement.sql, *statement.arguments(given))
            return found

    async def be_patient(self, *, seconds: float = PATIENT_SECONDS, memory: str | None = None) -> None:
        """From here on statements may take so long, and use so much memory each, until the transaction ends."""
        wanted = dict.fromkeys(("statement_timeout", "idle_in_transaction_session_timeout"), _milliseconds(seconds))
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

    def _call(self, *, changes: bool | None = None, is_bounded: bool = True) -> Call:
        until = asyncio.get_running_loop().time() + self._seconds if is_bounded else None
        return Call(self._line, until, self._pool.note_failure, changes=changes)

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


def _milliseconds(seconds: float) -> str:
    return str(int(seconds * 1000))


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_TEXT_OR_LARGE_DOUBLE = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9.]+e\+[0-9]+')


def as_json(value: object) -> str:
    """JSON from which PostgreSQL gives back the very same: it writes 1e16 without an exponent, so a point tells that from an integer."""
    text = _encode(value)
    return _TEXT_OR_LARGE_DOUBLE.sub(_spelled_out, text) if "e+" in text else text


def _spelled_out(match: re.Match[str]) -> str:
    return match[0] if match[0].startswith('"') else f"{float(match[0]):.1f}"
