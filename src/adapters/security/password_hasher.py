"""Passwords hashed by Argon2id through passlib, on threads of their own."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from passlib.context import CryptContext

from application.ports import PasswordHasher
from domain.errors import Unavailable
from domain.user import normal_password

_WAITING_MAX = 64

T = TypeVar("T")


class PasslibHasher(PasswordHasher):
    """One thread per core: hashing can take all of them, never the event loop.

    A place in the queue belongs to the work and not to the waiting request: clients that leave free nothing early.
    """

    def __init__(self) -> None:
        self._context = CryptContext(schemes=["argon2"], deprecated="auto")
        self._threads = ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="argon2")
        self._waiting = 0
        self._stand_in: str | None = None

    @property
    def waiting(self) -> int:
        """How many passwords are being hashed or wait for it."""
        return self._waiting

    async def hash(self, password: str) -> str:
        return await self._in_thread(lambda: self._context.hash(normal_password(password)))

    async def verify(self, password: str, hashed: str | None) -> bool:
        return await self._in_thread(lambda: self._verify(normal_password(password), hashed))

    def is_outdated(self, hashed: str) -> bool:
        return bool(self._context.needs_update(hashed))

    def _verify(self, password: str, hashed: str | None) -> bool:
        if self._stand_in is None:
            self._stand_in = self._context.hash(os.urandom(16).hex())
        genuine = self._context.verify(password, hashed or self._stand_in)
        return genuine and hashed is not None

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._waiting >= _WAITING_MAX:
            raise Unavailable("Too many sign-ins at once: try again shortly.")
        self._waiting += 1
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        future.add_done_callback(lambda _: self._done())
        return await asyncio.shield(future)

    def _done(self) -> None:
        self._waiting -= 1
