"""Work on a disk, on threads of its own, and what is made of a disk that hangs: who asks is told, and nothing piles up without end."""

import asyncio
import errno
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from application.ports import NameKept
from domain.errors import Full, NotFound, Unavailable

ANSWER_SECONDS = 2.5  # then nothing more is expected of the disk: a request has its answer within 3 s
UNDERWAY_MAX = 64  # more than requests come to; where it is more, the disk hangs, and what is begun piles up
_THREADS = 8
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

T = TypeVar("T")


class DiskThreads:
    """`is_away` tells, on one of the threads, whether all that was there is gone, so that absence means nothing."""

    def __init__(self, *, is_away: Callable[[], bool]) -> None:
        self._is_away = is_away
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="files")
        self._underway = 0
        self._hangs = False
        self.failures = 0  # how often the disk could not do what it was asked to, so far

    async def answer(self, work: Callable[[], T], *, seconds: float | None = None) -> T:
        """What the work answers. Who waits may leave or, when that takes too long, is told; the work is done all the same."""
        try:
            return await self._answer(work, ANSWER_SECONDS if seconds is None else seconds)
        except NameKept:
            raise
        except (Full, Unavailable):
            self.failures += 1
            raise

    async def _answer(self, work: Callable[[], T], seconds: float) -> T:
        if self._underway >= UNDERWAY_MAX:
            raise Unavailable from TimeoutError("The disk hangs.")
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(self._begin(work))
        except TimeoutError as error:
            self._hangs = True
            raise Unavailable from error

    async def see_done(self, work: Callable[[], None]) -> None:
        """See the work done that has to be, whatever comes of it; where the disk hangs, that is when it no longer does."""
        doing = self._begin(work)
        if not self._hangs:
            self._hangs = not (await asyncio.wait({doing}, timeout=ANSWER_SECONDS))[0]

    def _begin(self, work: Callable[[], T]) -> "asyncio.Future[T]":
        def ended(done: "asyncio.Future[T]") -> None:
            self._underway -= 1
            self._hangs = False
            done.cancelled() or done.exception()  # who wanted to know is perhaps gone

        self._underway += 1
        doing = asyncio.get_running_loop().run_in_executor(self._threads, self._translated, work)
        doing.add_done_callback(ended)
        return doing

    def _translated(self, work: Callable[[], T]) -> T:
        """What the work answers; its errors are the domain's."""
        try:
            return work()
        except FileNotFoundError as error:
            if self._is_away():
                raise Unavailable from error
            raise NotFound from None
        except OSError as error:
            raise (Full if error.errno in _FULL else Unavailable) from error
