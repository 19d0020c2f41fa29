"""Whole tables for nobody in particular: how many go out at once, and who has had enough of a place that others wait for."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from time import monotonic

from domain.export import TooManyDownloads, TooManyTables

EACH = 2  # of a network
TAKEN_AT_LEAST = 64 * 1024  # bytes a second, over the last
WINDOW_SECONDS = 60.0
LONGEST_SECONDS = 15 * 60.0
_RETRY_SECONDS = 60.0
_MARK_SECONDS = 1.0


class Download:
    """A table on its way to somebody, who holds a place as long as `parts` is being read."""

    def __init__(self, downloads: "Downloads", *, network: str, now: Callable[[], float]) -> None:
        self.network = network
        self.cut_off = asyncio.Event()  # others wait: the answer is to be broken off
        self.left = asyncio.Event()  # the place is free again, and whatever the table held
        self._downloads = downloads
        self._now = now
        self.taken = 0
        self.begun_at = now()
        self._marks = deque([(self.begun_at, 0)])  # how much was taken by when, of the last minute

    async def parts(self, content: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """The same, in a place of its own. Raises `TooManyDownloads`, `TooManyTables` before `content` is begun."""
        self._downloads.enter(self)
        try:
            async with aclosing(content):  # type: ignore[type-var]
                async for part in content:
                    yield part
        finally:
            self._downloads.leave(self)

    async def sent(self, parts: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """The same, as they go out to the client: it has taken one when it asks for the next."""
        async with aclosing(parts):
            async for part in parts:
                yield part
                self.note(len(part))

    @property
    def has_had_its_share(self) -> bool:
        """Whether it has gone on for too long, or too little of it was taken over the last minute."""
        now = self._now()
        if now - self.begun_at >= LONGEST_SECONDS:
            return True
        self._forget(now)
        since, taken = self._marks[0]
        return now - since >= WINDOW_SECONDS and self.taken - taken < TAKEN_AT_LEAST * WINDOW_SECONDS

    def note(self, size: int) -> None:
        """The client has taken so many bytes more."""
        now = self._now()
        self.taken += size
        if now - self._marks[-1][0] >= _MARK_SECONDS:
            self._marks.append((now, self.taken))
        self._forget(now)

    def _forget(self, now: float) -> None:
        """Leave the newest of the marks that are a minute old as the first."""
        while len(self._marks) > 1 and self._marks[1][0] <= now - WINDOW_SECONDS:
            self._marks.popleft()


class Downloads:
    """The downloads of this process: so many at once at most, and of a network so many of those (None: all of them)."""

    def __init__(self, *, at_once: int, each: int | None = EACH, now: Callable[[], float] = monotonic) -> None:
        self._at_once = at_once
        self._each = each
        self._now = now
        self.underway: list[Download] = []

    def of(self, network: str) -> Download:
        """A download that has no place yet."""
        return Download(self, network=network, now=self._now)

    def enter(self, download: Download) -> None:
        """Raises `TooManyDownloads` for the network, `TooManyTables` for all."""
        own = [other for other in self.underway if other.network == download.network]
        if self._each is not None and len(own) >= self._each:
            raise TooManyDownloads(retry_after=self._retry_after(own))
        if len(self.underway) >= self._at_once:
            raise TooManyTables(retry_after=self._retry_after(self.underway))
        self.underway.append(download)

    def leave(self, download: Download) -> None:
        self.underway.remove(download)
        download.left.set()

    async def make_room(self) -> bool:
        """Break off the oldest of those that have had their share, and wait until its place is free. False where none has."""
        due = next((download for download in self.underway if download.has_had_its_share and not download.cut_off.is_set()), None)
        if due is None:
            return False
        due.cut_off.set()
        await due.left.wait()
        return True

    def _retry_after(self, underway: list[Download]) -> float:
        """Nobody knows when one ends: what has gone on for a while is expected to go on for as long again."""
        return min(max(1.0, self._now() - underway[0].begun_at), _RETRY_SECONDS)
