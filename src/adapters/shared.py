"""Work shared by those who ask for the same at the same time, within one process."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from application.ports import Shared

T = TypeVar("T")

FRESH_SECONDS = 1.0
_KEPT = 256


@dataclass(slots=True, kw_only=True)
class _Work:
    task: "asyncio.Task[Any]"
    ended_at: float | None = None


class SharedInProcess(Shared):
    """Keeps the last 256 answers for a second each. Work goes on when those who wait for it leave."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._works: OrderedDict[tuple[str, str], _Work] = OrderedDict()

    async def get(self, project: str, name: str, make: Callable[[], Awaitable[T]]) -> T:
        key = project, name
        work = self._works.get(key)
        if work is None or (work.ended_at is not None and self._now() >= work.ended_at + FRESH_SECONDS):
            work = self._begin(key, make)
        answer: T = await asyncio.shield(work.task)
        return answer

    def forget(self, project: str) -> None:
        for key in [key for key in self._works if key[0] == project]:
            del self._works[key]

    def _begin(self, key: tuple[str, str], make: Callable[[], Awaitable[T]]) -> _Work:
        async def run() -> T:
            return await make()

        work = self._works[key] = _Work(task=asyncio.create_task(run()))
        self._works.move_to_end(key)
        while len(self._works) > _KEPT:
            self._works.popitem(last=False)

        def ended(task: "asyncio.Task[T]") -> None:
            work.ended_at = self._now()
            if (task.cancelled() or task.exception() is not None) and self._works.get(key) is work:
                del self._works[key]

        work.task.add_done_callback(ended)
        return work
