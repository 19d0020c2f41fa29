"""How a table on its way out gives way to requests that are answered at once. See docs/decisions/0016-exports.md."""

import asyncio
from collections.abc import Awaitable, Callable
from math import inf
from time import monotonic

from entrypoints.http.admission import Admission

PAUSE_SECONDS = 0.001  # the event loop's timers know nothing shorter
EXPECTED_SECONDS = 0.1  # where somebody had a turn so lately, somebody else soon asks
PAUSES_PER_WORK = 5.0
OWED_SECONDS = 0.05  # nothing is held up for longer at a time


class GivingWay:
    """Called between two parts of a table: returns at once where nobody asks, else when nobody had a turn throughout a pause.

    In all it waits no longer than five times what was worked, so that under any load a table takes about six times its time at most.
    """

    def __init__(
        self, admission: Admission, *, now: Callable[[], float] = monotonic, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._admission = admission
        self._now = now
        self._sleep = sleep
        self._working_since = now()
        self._owed = 0.0  # seconds that may still be waited
        self._seen_at = -inf

    async def __call__(self) -> None:
        now = self._now()
        self._owed = min(OWED_SECONDS, self._owed + PAUSES_PER_WORK * (now - self._working_since))
        is_busy = self._look(now)
        is_over = now - self._seen_at >= EXPECTED_SECONDS
        while self._owed > 0 and not is_over:
            await self._sleep(PAUSE_SECONDS)
            paused_at, now = now, self._now()
            self._owed -= now - paused_at
            was_busy, is_busy = is_busy, self._look(now)
            is_over = not was_busy and not is_busy
        self._working_since = now

    def _look(self, now: float) -> bool:
        """Whether anybody has a turn."""
        if not self._admission.working:
            return False
        self._seen_at = now
        return True
