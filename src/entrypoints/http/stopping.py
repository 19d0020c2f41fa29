"""Ending well: readiness fails first, then no more connections are taken, and what was begun is finished."""

import asyncio
import gc
import signal
import socket
import threading
from contextlib import suppress
from types import FrameType

import uvicorn
from uvicorn.server import ServerState

from entrypoints.http.door import Door
from entrypoints.leaving import Leaving
from entrypoints.readiness import Readiness
from entrypoints.share import Share

DRAIN_SECONDS = 3.0
_OF_TERMINALS = {signal.SIGINT, signal.SIGHUP}


class State(ServerState):
    """What the connections of a server share: from when on they are to end with the answer that they carry."""

    is_stopping = False


class Server(uvicorn.Server):
    """Serves until a signal: then readiness fails, and each answer ends its connection; a moment later, where readiness is watched,
    no more connections are taken and what was begun is finished, up to the grace. A second signal ends it at once.
    """

    def __init__(self, config: uvicorn.Config, readiness: Readiness, leaving: Leaving, *, share: Share | None = None) -> None:
        """`leaving` took the signals until now. One of several workers has a `share`; it leaves what a terminal sends to all to its
        supervisor.
        """
        super().__init__(config)
        self.server_state: State = State()
        self._readiness = readiness
        self._leaving = leaving
        self._share = share
        self._door: Door | None = None
        self._hurry = asyncio.Event()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._share is not None and sig in _OF_TERMINALS:
            return
        self._captured_signals.append(sig)
        self._readiness.stop()
        self.server_state.is_stopping = True
        if self.should_exit:
            self.force_exit = True
            self._hurry.set()  # the loop looks again at once: a signal wakes it
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGHUP, self.handle_exit)  # uvicorn takes the others
        self._leaving.if_asked()  # from here on `handle_exit` hears every signal
        if self._share is None or not sockets:
            await super().startup(sockets)
        else:
            await super().startup([])
            (listener,) = sockets
            self._door = Door(listener, self._protocol, self._share, held=lambda: len(self.server_state.connections))
            self.servers = [self._door]  # type: ignore[list-item]
        gc.collect()
        gc.freeze()  # what is there stays: looking through it all, again and again, held up everybody for a tenth of a second each time

    def _protocol(self) -> asyncio.Protocol:
        """As uvicorn makes it."""
        made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made

    async def on_tick(self, counter: int) -> bool:
        if self._door is not None:
            self._door.tell()  # of those that ended
        if self._share is not None and self._readiness.is_watched:
            self._share.tell_watched()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._readiness.is_watched or (self._share is not None and self._share.is_watched):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), DRAIN_SECONDS)
        hurrying = asyncio.create_task(self._cut_off_in_a_hurry())
        try:
            await super().shutdown(sockets)
        finally:
            hurrying.cancel()
            gc.unfreeze()

    async def _cut_off_in_a_hurry(self) -> None:
        await self._hurry.wait()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
