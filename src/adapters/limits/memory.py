"""Counting hits in a moving window, in memory.

The memory storage of `limits` starts a task and a thread hop for almost every hit, to forget old ones, which costs half a small
read; this one forgets as it counts: see docs/decisions/0004-rate-limits.md.
"""

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from application.ports import Hit, Limit, Windows


@dataclass(slots=True, kw_only=True)
class _Window:
    seconds: int
    times: deque[float]


class MemoryWindows(Windows):
    """The times of the hits of each key. Memory is bounded by the hits of one window: quiet keys are forgotten, two at each hit."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._windows: OrderedDict[tuple[str, ...], _Window] = OrderedDict()

    @property
    def failures(self) -> int:
        """None: memory is always there."""
        return 0

    @property
    def is_apart(self) -> bool:
        """Never: nobody else is to count here."""
        return False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is held open."""

    async def hit(self, key: tuple[str, ...], limit: Limit) -> Hit:
        """Count it, without ever waiting."""
        return self.count(key, limit)

    def count(self, key: tuple[str, ...], limit: Limit) -> Hit:
        """As `hit`, for those who cannot wait at all."""
        now = self._now()
        windows = self._windows
        window = windows.get(key)
        if window is None:
            window = windows[key] = _Window(seconds=limit.seconds, times=deque())
        else:
            windows.move_to_end(key)
        times, long_ago = window.times, now - window.seconds
        while times and times[0] <= long_ago:
            times.popleft()
        granted = len(times) < limit.amount
        if granted:
            times.append(now)
        if len(windows) > 1:
            self._forget(now)
            self._forget(now)
        return Hit(granted=granted, remaining=limit.amount - len(times), reset_after=times[0] + window.seconds - now)

    async def give_back(self, key: tuple[str, ...], limit: Limit) -> None:
        """Forget it at once."""
        self.uncount(key)

    def uncount(self, key: tuple[str, ...]) -> None:
        """As `give_back`, for those who cannot wait at all."""
        window = self._windows.get(key)
        if window is not None and len(window.times) > 1:
            window.times.popleft()
        elif window is not None:
            del self._windows[key]

    def _forget(self, now: float) -> None:
        for key, window in self._windows.items():
            if window.times[-1] > now - window.seconds:
                self._windows.move_to_end(key)  # still counts: look at its neighbours before looking at it again
            else:
                del self._windows[key]
            return
