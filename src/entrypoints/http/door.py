"""How workers that share a socket take connections from it: whoever has fewer does."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from entrypoints.logs import logger
from entrypoints.share import Share

TURN_SECONDS = 0.001  # for one with fewer to take a connection; then whoever can does
PAUSE_SECONDS = 1.0  # where there are no descriptors left, or no memory
AT_ONCE = 4  # of what one with fewer leaves

_NOBODY_CAME = (BlockingIOError, InterruptedError, ConnectionAbortedError)  # or another worker was first


class Door:
    """What `loop.create_server` makes, as far as uvicorn needs it.

    uvloop's takes all who wait: a balancer that opens its connections at once would have them all at one worker, for as long as it keeps
    them. Where one with fewer is busy, or ends, the others take what it leaves.
    """

    def __init__(self, listener: socket.socket, protocol: Callable[[], asyncio.Protocol], share: Share, *, held: Callable[[], int]) -> None:
        """`held` tells how many connections this worker has."""
        listener.settimeout(0)
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._protocol = protocol
        self._share = share
        self._held = held
        self._later: asyncio.TimerHandle | None = None
        self._coming: set[asyncio.Task[Any]] = set()
        self._open()

    def close(self) -> None:
        self._share.leave()
        if self._later is not None:
            self._later.cancel()
        self._loop.remove_reader(self._listener)

    async def wait_closed(self) -> None:
        await asyncio.gather(*self._coming, return_exceptions=True)

    def tell(self) -> None:
        """Tell the others how many connections this worker has; what it takes itself it tells at once."""
        self._share.tell(self._held() + len(self._coming))

    def _open(self) -> None:
        self._later = None
        self.tell()
        self._loop.add_reader(self._listener, self._knock)

    def _knock(self) -> None:
        self.tell()
        if self._share.is_next:
            self._take()
        else:
            self._rest(TURN_SECONDS, self._go_on)

    def _rest(self, seconds: float, then: Callable[[], None]) -> None:
        self._loop.remove_reader(self._listener)
        self._later = self._loop.call_later(seconds, then)

    def _go_on(self) -> None:
        self._open()
        if self._share.is_next:
            return
        for _ in range(AT_ONCE):  # nobody with fewer came
            if not self._take():
                break

    def _take(self) -> bool:
        """Take one connection, if there is one."""
        try:
            connection, _ = self._listener.accept()
        except _NOBODY_CAME:
            return False
        except OSError as error:
            logger.error("no connection can be taken", cause=repr(error))
            self._rest(PAUSE_SECONDS, self._open)
            return False
        connection.settimeout(0)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        coming = self._loop.create_task(self._loop.connect_accepted_socket(self._protocol, connection))
        self._coming.add(coming)
        coming.add_done_callback(self._coming.discard)
        self.tell()
        return True
