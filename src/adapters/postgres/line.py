"""One connection to the database, and ending it when it says nothing more.

asyncpg stops a statement by asking over a second connection, which a silent database does not answer either; so a connection that does
not answer in time is ended instead, and never used again.
"""

from collections.abc import Callable
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING

import asyncpg

from adapters.postgres.integrity import meaning

if TYPE_CHECKING:
    _Connection = asyncpg.Connection[asyncpg.Record]
else:
    _Connection = asyncpg.Connection


class Line(_Connection):
    """A connection that knows since when it stands and unused, and when an answer is due, by the clock of the event loop."""

    made_at = 0.0
    unused_since = 0.0
    due: float | None = None
    was_silent = False
    silent_from = 0.0  # by `time.monotonic`: no answer by then means that the server is silent, not that the statement is slow

    @property
    def is_reusable(self) -> bool:
        """Whether the next one may have it: it is there, and nothing is going on in it."""
        return not self.is_closed() and not self.is_in_transaction()


class Call:
    """What is asked of the database within: the line ends where there is no answer in time, and errors are raised as the domain's."""

    __slots__ = ("_changes", "_line", "_note_failure", "_slowest", "_until")

    def __init__(
        self, line: Line, until: float | None, note_failure: Callable[[], None], *, changes: bool | None = None, slowest: float = 0.0
    ) -> None:
        """`until`: when the answer is due, by the clock of the event loop. `slowest`: the seconds after which the server itself gives up.

        `changes` and `note_failure` are as `meaning` takes them.
        """
        self._line = line
        self._until = until
        self._note_failure = note_failure
        self._changes = changes
        self._slowest = slowest

    def __enter__(self) -> None:
        self._line.due, self._line.silent_from = self._until, monotonic() + self._slowest

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        line = self._line
        line.due = None
        if error is None:
            return
        is_cancelled = not isinstance(error, Exception)
        if is_cancelled or isinstance(error, asyncpg.InternalClientError):  # the latter: asyncpg is at odds with the server
            line.terminate()
        if is_cancelled:
            return
        # Whatever asyncpg makes of a connection that ends under its hands.
        told = TimeoutError("no answer in time") if line.was_silent else error
        meant = meaning(told, self._note_failure, changes=self._changes)
        if meant is not None:
            raise meant from meant.__cause__
