"""Whether requests can be served."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from application.ports import Shared
from domain.errors import Unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckHealth:
    """See that everything that requests need is there, all of it at once. What was found holds for a second, for all who ask.

    Raises `Unavailable`, whose cause tells the log what is missing.
    """

    checks: Sequence[Callable[[], Awaitable[None]]]
    shared: Shared

    async def __call__(self) -> None:
        found = await self.shared.get("", "health", self._look)
        if found is not None:
            raise Unavailable from found

    async def _look(self) -> BaseException | None:
        found = await asyncio.gather(*(check() for check in self.checks), return_exceptions=True)
        failed = [each for each in found if each is not None]
        return _root(failed[0]) if failed else None


def _root(error: BaseException) -> BaseException:
    return error.__cause__ or error
