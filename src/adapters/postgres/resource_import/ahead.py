"""Judging ahead of storing: what is wrong with a table is known long before the database has come to it."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from tempfile import TemporaryFile
from threading import Condition
from types import TracebackType
from typing import Self

from adapters.postgres.integrity import domain_errors
from adapters.postgres.resource_import.lines import lines_of
from domain.resource_import import Judged

AHEAD_BYTES = 128 * 1024 * 1024  # a million rows


class RowsBroken(Exception):
    """A row breaks a rule, so that not all can be stored."""


class Ahead:
    """The lines of each piece, made in a thread that hardly ever waits for whoever takes them: they wait in a file, not in memory.

    Taking one raises what the rows raised, or `RowsBroken`, as soon as that is known, whatever still waits before it.
    """

    def __init__(self, judged: Iterator[Judged]) -> None:
        self._judged = judged
        self._pieces: asyncio.Queue[tuple[int, int] | None] = asyncio.Queue()  # where each lies in the file
        self._moved = Condition()  # guards the two below
        self._waiting = 0
        self._is_left = False

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._file = TemporaryFile()  # noqa: SIM115 - closed when this is left
        self._task = asyncio.create_task(asyncio.to_thread(self._go_ahead))
        self._task.add_done_callback(lambda _: self._pieces.put_nowait(None))
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        with self._moved:
            self._is_left = True
            self._moved.notify()
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.exception()  # whoever took the lines has heard of it, or has something worse to tell
        self._file.close()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (piece := await self._pieces.get()) and not self._has_failed():
            lines = await asyncio.to_thread(os.pread, self._file.fileno(), *piece)
            with self._moved:
                self._waiting -= 1
                self._moved.notify()
            yield lines
        await self._task

    def _has_failed(self) -> bool:
        return self._task.done() and self._task.exception() is not None

    def _go_ahead(self) -> None:
        place = 0
        for piece in self._judged:
            if piece.broken:
                raise RowsBroken
            lines = lines_of(piece)
            if place > AHEAD_BYTES:
                self._await_all_taken()
                place = 0
            if self._is_left:
                return
            if lines:
                self._put(lines, place)
                place += len(lines)

    def _await_all_taken(self) -> None:
        with self._moved:
            self._moved.wait_for(lambda: self._is_left or not self._waiting)

    def _put(self, lines: bytes, place: int) -> None:
        with domain_errors():
            self._file.seek(place)
            self._file.write(lines)
            self._file.flush()
        with self._moved:
            self._waiting += 1
        self._loop.call_soon_threadsafe(self._pieces.put_nowait, (len(lines), place))
