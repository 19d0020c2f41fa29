"""Connections to one database, and statements that commit by themselves on them."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any, Self

import asyncpg
import structlog

from adapters.postgres.database.jsonb import as_json
from adapters.postgres.database.statement import Executor, Statement
from adapters.postgres.hosts import addresses, connect_to_primary
from adapters.postgres.integrity import Again, meaning
from adapters.postgres.line import Call, Line
from adapters.postgres.lines import ACQUIRE_SECONDS, Lines
from adapters.postgres.server_log import quieten
from domain.errors import Unavailable

STATEMENT_SECONDS = 2.5  # then the server gives up
ANSWER_SECONDS = 2.7  # then nothing more is expected of it: a request has its answer within 3 s
IDLE_SECONDS = 5.0  # what a transaction holds is let go when nothing more is heard of it
GONE_SECONDS = 1.0  # after which the server notices that nobody waits for its answer any more
ATTEMPTS = 3

logger = structlog.get_logger("complex_stories")


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
        self._lines = Lines(self._connect, size=self._size, note_no_room=self._note_no_room)
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
                "statement_timeout": milliseconds(self._seconds),
                "idle_in_transaction_session_timeout": milliseconds(IDLE_SECONDS),
                "client_connection_check_interval": milliseconds(GONE_SECONDS),
            },
        }
        connecting = connect_to_primary(*self._dsns, **options) if len(self._dsns) > 1 else asyncpg.connect(self._dsns[0], **options)
        line: Line = await connecting
        try:
            await line.set_type_codec("jsonb", schema="pg_catalog", encoder=as_json, decoder=json.loads, format="text")
            await quieten(line)
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

    async def rows(self, statement: Statement, due: float | None = None, /, **given: Any) -> list[asyncpg.Record]:
        found: list[asyncpg.Record] = await self._alone("fetch", statement, given, due)
        return found

    async def row(self, statement: Statement, due: float | None = None, /, **given: Any) -> asyncpg.Record | None:
        found: asyncpg.Record | None = await self._alone("fetchrow", statement, given, due)
        return found

    async def now(self, statement: Statement) -> list[asyncpg.Record]:
        """The rows of a statement that takes no parameters and changes nothing, asked once and without delay."""
        until = asyncio.get_running_loop().time() + ACQUIRE_SECONDS
        found: list[asyncpg.Record] = await self._once("fetch", statement.sql, (), until=until, changes=False, slowest=0.0)
        return found

    async def _alone(self, fetch: str, statement: Statement, given: dict[str, Any], due: float | None) -> Any:
        """Run a statement that commits by itself, and once more where that is safe and there is time."""
        arguments = statement.arguments(given)
        clock = asyncio.get_running_loop().time
        until = clock() + ANSWER_SECONDS if due is None else due
        attempt = 1
        while True:
            try:
                return await self._once(fetch, statement.sql, arguments, until=until, changes=statement.changes, slowest=self._seconds)
            except Again as error:
                pause = 0.01 * attempt
                if attempt == ATTEMPTS or clock() + pause >= until:
                    raise Unavailable from error.__cause__
            await asyncio.sleep(pause)
            attempt += 1

    async def _once(self, fetch: str, sql: str, arguments: Sequence[Any], *, until: float, changes: bool, slowest: float) -> Any:
        line = await self.acquire(until=until)
        try:
            with Call(line, until, self.note_failure, changes=changes, slowest=slowest):
                return await getattr(line, fetch)(sql, *arguments)
        finally:
            self.release(line)

    def note_failure(self) -> None:
        self.failures += 1

    def _note_no_room(self) -> None:
        """Nobody fails by it, but somebody should hear that fewer connections do the work than were meant to."""
        self.note_failure()
        logger.warning("the database has no room for more connections: those that there are go round")


def milliseconds(seconds: float) -> str:
    return str(int(seconds * 1000))
