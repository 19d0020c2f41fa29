"""One connection to the database, and ending it when it says nothing more.

asyncpg stops a statement by asking over a second connection, which a silent database does not answer either; so a connection that does
not answer in time is ended instead, and never used again.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import asyncpg

if TYPE_CHECKING:
    _Connection = asyncpg.Connection[asyncpg.Record]
else:
    _Connection = asyncpg.Connection


class Line(_Connection):
    """A connection that knows since when it stands, by the clock of the event loop."""

    made_at = 0.0


def is_gone(connection: Any) -> bool:
    """Whether a connection was ended, by either side."""
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:
        return True  # it was ended while it was lent out


class Watch:
    """Ends a connection, and says so, when what is awaited within takes longer than so many seconds: that raises `TimeoutError`."""

    __slots__ = ("_connection", "_fell_silent", "_handle", "_has_ended", "_seconds")

    def __init__(self, connection: Any, seconds: float, fell_silent: Callable[[], None]) -> None:
        self._connection = connection
        self._seconds = seconds
        self._fell_silent = fell_silent
        self._has_ended = False

    def __enter__(self) -> Self:
        self._handle = asyncio.get_running_loop().call_later(max(0.0, self._seconds), self._end)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._handle.cancel()
        if isinstance(error, asyncpg.InternalClientError):
            self._terminate()  # asyncpg is at odds with the server about what is going on
        if self._has_ended and isinstance(error, Exception):
            raise TimeoutError("no answer in time") from error  # whatever asyncpg makes of a connection that ends under its hands

    def _end(self) -> None:
        self._has_ended = True
        self._fell_silent()
        self._terminate()

    def _terminate(self) -> None:
        with suppress(asyncpg.InterfaceError):
            self._connection.terminate()
