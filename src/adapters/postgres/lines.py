"""The connections to one database: opened when they are wanted, lent to one task at a time, ended when they do not answer.

asyncpg's own pool starts a task at each return, and three timers a statement would guard its deadlines: together a third of what a small
read costs. See docs/decisions/0002-core-on-asyncpg.md.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from time import monotonic

import asyncpg

from adapters.postgres.line import Line

ACQUIRE_SECONDS = 1.5
LOOK_SECONDS = 0.05  # how much later than due a missing answer may be noticed
UNUSED_SECONDS = 300.0
NO_ROOM_SECONDS = 1.0  # how long a server that had no room for one more is not asked again


class Lines:
    """At most `size` connections. One that was last used is lent first, so that those which are not needed are ended after a while.

    Where the server has no room for as many, those that there are go round.
    """

    def __init__(self, connect: Callable[[], Awaitable[Line]], *, size: int, note_no_room: Callable[[], None]) -> None:
        """`note_no_room` is told, once in `NO_ROOM_SECONDS` at most, that the server has no room for one more."""
        self.size = size
        self._connect = connect
        self._note_no_room = note_no_room
        self._loop = asyncio.get_running_loop()
        self._all: set[Line] = set()
        self._idle: deque[Line] = deque()
        self._waiting: deque[asyncio.Future[Line | None]] = deque()
        self._opening = 0
        self._silent_at = 0.0
        self._no_room_until = 0.0
        self._look_handle: asyncio.TimerHandle | None = None
        self._trim_handle: asyncio.TimerHandle | None = None
        self._is_ended = False

    @property
    def idle(self) -> int:
        """How many wait for work."""
        return len(self._idle)

    @property
    def used(self) -> int:
        """How many are lent, or being opened for somebody."""
        return len(self._all) - len(self._idle) + self._opening

    async def acquire(self, *, until: float | None = None) -> Line:
        """A connection that stands, to be released. Raises `TimeoutError` when none is free in time, and what connecting raises."""
        line = self._take()
        if line is not None:
            return line
        patience = self._loop.time() + ACQUIRE_SECONDS
        async with asyncio.timeout_at(patience if until is None else min(patience, until)):
            while line is None:
                line = await self._wait_or_open()
            return line

    async def _wait_or_open(self) -> Line | None:
        """A connection; None where one of those that there are has to do."""
        line = self._take()
        if line is not None:
            return line
        if self._is_full():
            line = await self._wait()
            if line is not None:
                return line
        else:
            self._opening += 1
        return await self._open()

    def _is_full(self) -> bool:
        there = len(self._all) + self._opening
        return there >= self.size or (there > 0 and self._loop.time() < self._no_room_until)

    def release(self, line: Line) -> None:
        """Take it back. One in which something may still be going on is ended."""
        if self._is_ended or not line.is_reusable or line.made_at < self._silent_at:
            self._end(line)
            return
        waiter = self._next_waiter()
        if waiter is None:
            line.unused_since = self._loop.time()
            self._idle.append(line)
        else:
            waiter.set_result(line)

    def end(self) -> None:
        """End them all, at once, whatever they are doing; nothing is lent any more."""
        self._is_ended = True
        for handle in (self._look_handle, self._trim_handle):
            if handle is not None:
                handle.cancel()
        for line in list(self._all):
            self._end(line)

    def _take(self) -> Line | None:
        """One that waits for work and stands."""
        if self._is_ended:
            raise ConnectionError("The connections were ended.")
        idle = self._idle
        while idle:
            line = idle.pop()
            if line.made_at >= self._silent_at and not line.is_closed():
                if self._look_handle is None:
                    self._look_handle = self._loop.call_later(LOOK_SECONDS, self._look)
                return line
            self._end(line)
        return None

    async def _open(self) -> Line | None:
        """A new one, in the place that was kept for it; None where the server has no room for it beside the others."""
        try:
            line = await self._connect()
        except asyncpg.TooManyConnectionsError:
            self._opening -= 1
            if not self._all and not self._opening:
                self._give_place()
                raise
            now = self._loop.time()
            if now >= self._no_room_until:  # others who asked at the same time have told it already
                self._note_no_room()
            self._no_room_until = now + NO_ROOM_SECONDS
            return None
        except BaseException:
            self._opening -= 1
            self._give_place()
            raise
        self._opening -= 1
        self._all.add(line)
        line.made_at = self._loop.time()
        if self._is_ended:
            self._end(line)
            raise ConnectionError("The connections were ended.")
        if self._look_handle is None:
            self._look_handle = self._loop.call_later(LOOK_SECONDS, self._look)
        if self._trim_handle is None:
            self._trim_handle = self._loop.call_later(UNUSED_SECONDS, self._trim)
        return line

    async def _wait(self) -> Line | None:
        """What the next one leaves who has one: the connection, or None for the place of one that was ended."""
        waiter: asyncio.Future[Line | None] = self._loop.create_future()
        self._waiting.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if not waiter.done() or waiter.cancelled():
                raise
            line = waiter.result()  # it came at the very moment when nobody wanted it any more
            if line is None:
                self._opening -= 1
                self._give_place()
            else:
                self.release(line)
            raise

    def _next_waiter(self) -> "asyncio.Future[Line | None] | None":
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                return waiter
        return None

    def _give_place(self) -> None:
        """Let the next one who waits open a connection of its own."""
        waiter = self._next_waiter()
        if waiter is not None:
            self._opening += 1
            waiter.set_result(None)

    def _end(self, line: Line) -> None:
        line.terminate()
        if line in self._all:
            self._all.remove(line)
            self._give_place()

    def _look(self) -> None:
        """End those whose answer is overdue. Where the server should have given up by itself, it is silent: all that were opened before
        are mistrusted from then on, and ended when they are next wanted.
        """
        self._look_handle = None
        now = self._loop.time()
        for line in self._all:
            if line.due is not None and line.due < now:
                line.due, line.was_silent = None, True
                if monotonic() >= line.silent_from:
                    self._silent_at = now
                line.terminate()
        if self.used:
            self._look_handle = self._loop.call_later(LOOK_SECONDS, self._look)

    def _trim(self) -> None:
        """End those that nobody wanted for a while."""
        self._trim_handle = None
        long_ago = self._loop.time() - UNUSED_SECONDS
        while self._idle and self._idle[0].unused_since <= long_ago:
            self._end(self._idle.popleft())
        if self._all:
            self._trim_handle = self._loop.call_later(UNUSED_SECONDS / 5, self._trim)
