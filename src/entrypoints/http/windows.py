"""Counting hits in a moving window, in memory.

The memory storage of `limits` starts a task and a thread hop for almost every hit, to forget old ones, which costs half a small
read; this one forgets as it counts: see docs/decisions/0004-rate-limits.md.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass
from time import monotonic

from limits import RateLimitItem


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """Whether a hit was granted, how many more would be, and in how many seconds the oldest that counts is forgotten."""

    granted: bool
    remaining: int
    reset_after: float


@dataclass(slots=True, kw_only=True)
class _Window:
    seconds: int
    times: deque[float]


class MovingWindows:
    """The times of the hits of each key. Memory is bounded by the hits of one window: quiet keys are forgotten, two at each hit."""

    def __init__(self) -> None:
        self._windows: OrderedDict[tuple[str, ...], _Window] = OrderedDict()

    def hit(self, item: RateLimitItem, key: tuple[str, ...]) -> Hit:
        """Count a hit, if the limit leaves one: no span of the window's length ever holds more than its amount."""
        now = monotonic()
        self._forget(now)
        window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = _Window(seconds=item.get_expiry(), times=deque())
        times = window.times
        while times and times[0] <= now - window.seconds:
            times.popleft()
        granted = len(times) < item.amount
        if granted:
            times.append(now)
        self._windows.move_to_end(key)
        return Hit(granted=granted, remaining=item.amount - len(times), reset_after=times[0] + window.seconds - now)

    def _forget(self, now: float) -> None:
        for _ in range(min(2, len(self._windows))):
            key, window = next(iter(self._windows.items()))
            if window.times[-1] > now - window.seconds:
                self._windows.move_to_end(key)  # still counts: look at its neighbours before looking at it again
            else:
                del self._windows[key]
