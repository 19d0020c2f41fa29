"""Asking at times laid down beforehand, however long the answers take (open loop), or as soon as the last answer came (closed loop).

A time is measured from the moment at which a request was due: one that had to wait for the asking program, or for a free connection, counts
with that wait. Connections are kept, as clients keep them, and never more than a given number. Everything is prepared beforehand, so that
asking costs little.
"""

import asyncio
import gc
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import cycle
from time import perf_counter

from tests.drills.load import get

ANSWER_SECONDS = 10.0
TICK_SECONDS = 0.0005


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One answer: its status (0: none came), and seconds from when the request was due, and from when it was sent."""

    status: int
    seconds: float
    since_sent: float = 0.0
    has_retry_after: bool = False


class _Line(asyncio.Protocol):
    """A connection that carries one request at a time."""

    def __init__(self, asker: "Asker") -> None:
        self._asker = asker
        self._data = b""
        self._due = self._sent_at = 0.0
        self._is_busy = False
        self.is_open = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self.is_open = True

    def connection_lost(self, _: Exception | None) -> None:
        self.is_open = False
        if self._is_busy:
            self._tell(Told(status=0, seconds=perf_counter() - self._due))

    def ask(self, request: bytes, due: float) -> None:
        self._is_busy, self._due, self._sent_at = True, due, perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._data = data = self._data + data if self._data else data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return
        length = data.find(b"content-length: ", 0, end)
        assert length > 0, data[:end]
        if len(data) - end - 4 < int(data[length + 16 : data.index(b"\r\n", length)]):
            return
        self._data = b""
        status, now = int(data[9:12]), perf_counter()
        told = Told(
            status=status,
            seconds=now - self._due,
            since_sent=now - self._sent_at,
            has_retry_after=status == 503 and data.find(b"\r\nretry-after: ", 0, end) > 0,
        )
        if data.find(b"\r\nconnection: close", 0, end) > 0:
            self.is_open = False
            self._transport.close()
        self._tell(told)

    def _tell(self, told: Told) -> None:
        self._is_busy = False
        self._asker.told.append(told)
        self._asker.is_free(self)

    def close(self) -> None:
        self.is_open = self._is_busy = False
        self._transport.close()


class Asker:
    """Asks over connections that are open already."""

    def __init__(self, lines: int) -> None:
        self._number = lines
        self._lines: list[_Line] = []
        self._free: deque[_Line] = deque()
        self._due: deque[tuple[float, bytes]] = deque()
        self._again: Callable[[_Line], None] | None = None
        self.told: list[Told] = []
        self.longest_due = 0  # requests that waited for a connection at the same time

    async def connect(self, port: int) -> None:
        """Each connection asks once, as one does that a client opens: the service closes those that never ask."""
        loop = asyncio.get_running_loop()
        for _ in range(self._number):
            _, line = await loop.create_connection(lambda: _Line(self), "127.0.0.1", port)
            self._lines.append(line)
            line.ask(get("/health/live"), perf_counter())
        await self._settled(self._number)

    def close(self) -> None:
        for line in self._lines:
            line.close()

    def is_free(self, line: _Line) -> None:
        if not line.is_open:
            return
        if self._again is not None:
            self._again(line)
        elif self._due:
            due, request = self._due.popleft()
            line.ask(request, due)
        else:
            self._free.append(line)

    async def closed_loop(self, requests: Sequence[bytes], *, seconds: float) -> float:
        """Good answers a second, when each line asks again as soon as it is answered."""
        self.told, endless = [], cycle(requests)
        self._again = lambda line: line.ask(next(endless), perf_counter())
        began = perf_counter()
        while self._free:
            self._again(self._free.pop())
        await asyncio.sleep(seconds)
        done = sum(told.status in (200, 201) for told in self.told)
        taken = perf_counter() - began
        self._again = None
        await self._settled(len(self._lines))
        return done / taken

    async def open_loop(self, requests: Sequence[tuple[float, bytes]]) -> list[Told]:
        """What is told for requests that are due so many seconds from now; those that are not answered at all are among them."""
        self.told, self.longest_due = [], 0
        gc.collect()
        gc.disable()
        began = perf_counter()
        for after, request in requests:
            due = began + after
            while (pause := due - perf_counter()) > 0:  # noqa: ASYNC110 - what is waited for is the time
                await asyncio.sleep(pause if pause > TICK_SECONDS else 0)
            while self._free and not self._free[-1].is_open:
                self._free.pop()
            if self._free:
                self._free.pop().ask(request, due)
            else:
                self._due.append((due, request))
                self.longest_due = max(self.longest_due, len(self._due))
                if len(self._due) % 16 == 0:
                    await asyncio.sleep(0)
        await self._settled(sum(line.is_open for line in self._lines))
        gc.enable()
        self._due.clear()
        return self.told + [Told(status=0, seconds=ANSWER_SECONDS)] * (len(requests) - len(self.told))

    async def _settled(self, lines: int) -> None:
        end = perf_counter() + ANSWER_SECONDS
        while lines and (len(self._free) < lines or self._due) and perf_counter() < end:  # noqa: ASYNC110 - the end of all lines, and not for long
            await asyncio.sleep(0.01)


@asynccontextmanager
async def asking(port: int, *, lines: int) -> AsyncIterator[Asker]:
    asker = Asker(lines)
    await asker.connect(port)
    try:
        yield asker
    finally:
        asker.close()
