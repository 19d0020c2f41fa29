"""What is dear to work out, kept within one process until it changes."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from application.ports import Kept

T = TypeVar("T")

KEPT_MAX = 16


class KeptInProcess(Kept):
    """Keeps the last sixteen answers that were asked for."""

    def __init__(self) -> None:
        self._works: OrderedDict[tuple[str, ...], tuple[str, asyncio.Task[Any]]] = OrderedDict()

    async def get(self, key: tuple[str, ...], mark: str, make: Callable[[], Awaitable[T]]) -> T:
        kept = self._works.get(key)
        task = kept[1] if kept is not None and kept[0] == mark else self._begin(key, mark, make)
        if key in self._works:
            self._works.move_to_end(key)
        answer: T = await asyncio.shield(task)
        return answer

    def _begin(self, key: tuple[str, ...], mark: str, make: Callable[[], Awaitable[T]]) -> "asyncio.Task[T]":
        async def run() -> T:
            return await make()

        task = asyncio.create_task(run())
        self._works[key] = mark, task
        while len(self._works) > KEPT_MAX:
            self._works.popitem(last=False)

        def ended(done: "asyncio.Task[T]") -> None:
            if (done.cancelled() or done.exception() is not None) and self._works.get(key) == (mark, task):
                del self._works[key]

        task.add_done_callback(ended)
        return task
