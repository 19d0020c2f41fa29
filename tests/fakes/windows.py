"""Windows as they are defined: every time that counts is looked at for each hit."""

from collections import defaultdict
from typing import Self

from application.ports import Hit, Limit, Windows


class FakeWindows(Windows):
    """Its clock stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._times: defaultdict[tuple[str, ...], list[float]] = defaultdict(list)

    @property
    def failures(self) -> int:
        return 0

    @property
    def is_apart(self) -> bool:
        return False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def hit(self, key: tuple[str, ...], limit: Limit) -> Hit:
        return self.count(key, limit)

    async def give_back(self, key: tuple[str, ...], limit: Limit) -> None:
        counts = sorted(time for time in self._times[key] if time > self.now - limit.seconds)
        self._times[key] = counts[1:]

    def count(self, key: tuple[str, ...], limit: Limit) -> Hit:
        counts = [time for time in self._times[key] if time > self.now - limit.seconds]
        granted = len(counts) < limit.amount
        if granted:
            counts.append(self.now)
            self._times[key].append(self.now)
        return Hit(granted=granted, remaining=limit.amount - len(counts), reset_after=counts[0] + limit.seconds - self.now)
