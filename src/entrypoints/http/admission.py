"""How many requests are worked on at once, and who may wait for that: what could not be served in time is refused at once.

A worker process works on a few requests at a time; more would only make each of them slower. Others wait for their turn, a crowd of
them even. More than a crowd is overload: from then on, and until nobody was refused for a moment, only those may wait whose turn comes
within milliseconds, and the rest is told to come back, which costs little. See docs/decisions/0021-faults.md.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from math import ceil
from time import monotonic

from starlette.types import Message, Receive, Scope, Send

from domain.errors import Unavailable

AT_ONCE = 32
AT_ONCE_OVERLOADED = 18  # as much is done in all, and each waits less
CROWD = 128
CROWD_SECONDS = 2.0  # nobody waits longer, whatever became of those before
PROMPT_SECONDS = 0.005
CALM_SECONDS = 0.5  # nobody was refused for so long: it is over
RETRY_SECONDS = 10  # nobody is told to stay away longer

_EXEMPT = ("/health", "/metrics")


class Overloaded(Unavailable):
    """More is asked of the service than it can answer in time: wait as many seconds as `Retry-After` says, then ask again."""

    code = "overloaded"
    detail = "The service has more to do than it can: try again shortly."

    def __init__(self, *, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__()


class Admission:
    """Turns, given in the order of arrival."""

    def __init__(self, *, at_once: int = AT_ONCE, crowd: int = CROWD, now: Callable[[], float] = monotonic) -> None:
        self._at_once = at_once
        self._crowd = crowd
        self._now = now
        self._limit = at_once
        self._coming = self._working = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._calm_at = self._left_at = now()
        self._pace = PROMPT_SECONDS / 8  # seconds from one turn that ends to the next, while somebody waits

    @property
    def working(self) -> int:
        """How many have a turn now."""
        return self._working

    @property
    def waiting(self) -> int:
        """How many wait for one."""
        return len(self._waiting)

    def full(self) -> float | None:
        """The seconds after which to come again, where whoever came now would be refused; else None."""
        ahead = self._working + len(self._waiting) + self._coming
        if ahead < self._limit:  # nothing is asked of the clock as long as there is room
            return None
        now = self._now()
        room = self._room(now)
        return self._retry_after(now) if ahead >= self._limit + room else None

    def announce(self) -> None:
        """Say that somebody is about to `come`: those count who were let in at the same moment, and have not yet asked for a turn."""
        self._coming += 1

    def come(self) -> None:
        """Be the one who was announced."""
        self._coming -= 1

    async def enter(self) -> None:
        """Take a turn, to be given back by `leave`. Raises `Overloaded`."""
        if self._working < self._limit and not self._waiting:
            self._working += 1
            return
        now = self._now()
        room = self._room(now)
        if not self._waiting:
            if self._working < self._limit:  # it was over
                self._working += 1
                return
            self._left_at = now
        elif len(self._waiting) >= room:
            raise Overloaded(retry_after=self._retry_after(now))
        await self._wait()

    def enter_again(self) -> None:
        """Take a turn at once: for one that was given back while there was nothing to do."""
        self._working += 1

    def leave(self) -> None:
        self._working -= 1
        if not self._waiting:
            return
        now = self._now()
        self._pace += (now - self._left_at - self._pace) / 32
        self._left_at = now
        self._room(now)
        while self._waiting and self._working < self._limit:
            turn = self._waiting.popleft()
            if not turn.done():
                self._working += 1
                turn.set_result(None)

    def _room(self, now: float) -> int:
        """How many may wait."""
        if now >= self._calm_at:
            self._limit = self._at_once
            return self._crowd
        return max(1, min(self._crowd, int(PROMPT_SECONDS / self._pace)))

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        self._waiting.append(turn)
        late = loop.call_later(CROWD_SECONDS, self._give_up, turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.leave()
            raise
        finally:
            late.cancel()

    def _give_up(self, turn: "asyncio.Future[None]") -> None:
        if not turn.done():
            self._waiting.remove(turn)
            turn.set_exception(Overloaded(retry_after=self._retry_after(self._now())))

    def _retry_after(self, now: float) -> float:
        """Refuse somebody: the seconds after which all who wait now will have had their turn, at the present pace."""
        self._calm_at = now + CALM_SECONDS
        self._limit = min(self._at_once, AT_ONCE_OVERLOADED)
        pace = max(self._pace, (now - self._left_at) / 8)  # nobody has left for a while: slower than it was
        return min(RETRY_SECONDS, max(1, ceil(len(self._waiting) * pace)))


class Turn:
    """The turn of one request: given back while its client is slow to send, and for good when an answer is streamed.

    Exports and uploads have limits of their own, and a slow client holds up nobody.
    """

    __slots__ = ("_admission", "_has_body", "_is_held", "_receive", "_send")

    def __init__(self, admission: Admission, scope: Scope, receive: Receive, send: Send) -> None:
        self._admission = admission
        self._receive = receive
        self._send = send
        self._is_held = True
        self._has_body = any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])

    async def receive(self) -> Message:
        if not self._is_held or not self._has_body:
            return await self._receive()
        self.end()
        try:
            return await self._receive()
        finally:
            self._is_held = True
            self._admission.enter_again()

    async def send(self, message: Message) -> None:
        if message.get("more_body"):
            self.end()
        await self._send(message)

    def end(self) -> None:
        if self._is_held:
            self._is_held = False
            self._admission.leave()


def is_exempt(path: str) -> bool:
    """Whether this must always answer: health, and what tells how it is."""
    return path in _EXEMPT or path.startswith("/health/")
