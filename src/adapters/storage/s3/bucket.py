"""Questions to a bucket, each with an answer in time: a silent store is found out soon, a slow one is waited for."""

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store

from adapters.storage.names import INCOMING
from application.ports import NameKept
from domain.errors import Full, NotFound, Unavailable

ANSWER_SECONDS = 2.5  # for what is done in a moment: a request has its answer within 3 s
LOOK_SECONDS, CHECK_SECONDS = 1.5, 1.0  # what takes longer is asked after, by a question of its own

T = TypeVar("T")


class Bucket:
    """`objects` is where to ask; `was_silent` tells whether the last that was heard of it is nothing."""

    def __init__(self, objects: S3Store) -> None:
        self.objects = objects
        self.was_silent = False
        self.failures = 0  # how often the store could not do what it was asked to, so far

    async def look(self) -> None:
        """Raises `Unavailable` when the store does not answer soon."""
        with self.domain_errors():
            async with asyncio.timeout(CHECK_SECONDS):
                async for _ in obstore.list(self.objects, INCOMING, chunk_size=1):
                    break
        self.was_silent = False

    async def soon(self, answer: Awaitable[T]) -> T:
        """What the store answers to what is done in a moment. Raises `Unavailable` when that has passed, and as the store does."""
        with self.domain_errors():
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    return await answer
            except TimeoutError:
                self.was_silent = True
                raise

    async def at_length(self, answer: Awaitable[T]) -> T:
        """What the store answers to what takes its time, as long as it answers other questions meanwhile."""
        task = asyncio.ensure_future(answer)
        try:
            while not (await asyncio.wait({task}, timeout=LOOK_SECONDS))[0]:
                await self.look()
            with self.domain_errors():
                return task.result()
        except Unavailable:
            self.was_silent = self.was_silent or not task.done()
            raise
        finally:
            task.cancel()

    @contextmanager
    def domain_errors(self) -> Iterator[None]:
        """Raise what the store says as the domain's own errors, and count what says that it failed."""
        try:
            yield
        except FileNotFoundError:
            raise NotFound from None
        except AlreadyExistsError:
            raise NameKept from None
        except (BaseError, OSError, TimeoutError) as error:
            self.failures += 1
            if "507 Insufficient Storage" in str(error):
                raise Full from error
            raise Unavailable from error
