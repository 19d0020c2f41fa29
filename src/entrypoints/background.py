"""What the service does by itself, beside answering: chores, each in a task of its own while the service runs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import uniform

from opentelemetry.trace import get_tracer

from domain.errors import Unavailable
from entrypoints.logs import logger

BACK_OFF_SECONDS = 30.0
_TRACER = get_tracer("complex_stories")  # traces nothing unless the application sets tracing up


@dataclass(frozen=True, slots=True, kw_only=True)
class Chore:
    """Something to do again and again.

    `run` does a piece of it and tells whether there is more to do at once; else it is asked again after about `every` seconds.
    It may be cancelled at any await, and every worker process has its own: what must be done by one alone sees to that itself.
    """

    name: str
    run: Callable[[], Awaitable[bool]]
    every: float

    def pause(self, failures: int = 0) -> float:
        """Seconds to wait: a quarter more or less, so that workers do not keep in step, and longer the more often it failed in a row."""
        seconds = min(self.every * 2.0 ** min(failures, 16), max(self.every, BACK_OFF_SECONDS))
        return seconds * uniform(0.75, 1.25)  # noqa: S311 - no secret


@asynccontextmanager
async def doing(chores: Iterable[Chore]) -> AsyncIterator[None]:
    """Do these chores while this lasts; at its end they are cancelled, and have ended."""
    tasks = [asyncio.create_task(_repeat(chore), name=chore.name) for chore in chores]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _repeat(chore: Chore) -> None:
    failures = 0
    while True:
        try:
            with _TRACER.start_as_current_span(chore.name):
                more = await chore.run()
            failures = 0
        except Exception as error:  # noqa: BLE001 - whatever it is, it is logged and the chore goes on
            failures += 1
            more = False
            _log(error, chore=chore.name, failures=failures)
        await asyncio.sleep(0 if more else chore.pause(failures))


def _log(error: Exception, *, chore: str, failures: int) -> None:
    if isinstance(error, Unavailable):  # what is needed is away, for long perhaps: a line each time, no trace
        logger.warning("chore put off", chore=chore, failures=failures, cause=repr(error.__cause__ or error))
    else:
        logger.error("chore failed", chore=chore, failures=failures, exc_info=error)
