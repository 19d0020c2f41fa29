"""Several worker processes on one socket: those that die or hang are replaced, and all of them end together."""

import os
import signal
import socket
import threading
from collections.abc import Callable
from multiprocessing import connection, get_context, parent_process
from multiprocessing.context import SpawnProcess
from time import monotonic
from types import FrameType

from entrypoints.logs import logger
from entrypoints.share import Share, Told

SHORT_LIFE_SECONDS = 10.0  # what dies sooner is not replaced at once
PAUSES_SECONDS = (0.0, 0.5, 1.0, 2.0, 5.0)
TICK_SECONDS = 0.2
HUNG_SECONDS = 30.0  # longer than any start, and than any end

_spawn = get_context("spawn")


class Supervisor:
    """Keeps so many processes running that call `target` with a socket to listen on and their share; `target` can be imported.

    A first signal is passed on to all, who finish what they have begun; after `grace` seconds, or with a second signal, they are killed.
    """

    def __init__(self, target: Callable[[socket.socket, Share], None], listener: socket.socket, *, workers: int, grace: float) -> None:
        self._target = target
        self._listener = listener
        self._grace = grace
        self._signals = 0
        told = _spawn.RawArray(Told, workers)
        self._slots = [_Slot(Share(told, place)) for place in range(workers)]

    def run(self) -> None:
        """Returns when all have ended after a signal."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._note)
        for slot in self._slots:
            self._start(slot)
        while not self._signals:
            self._wait()
            for slot in self._slots:
                self._end_if_hung(slot)
                self._replace(slot)
        self._end_all()

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self._signals += 1

    def _start(self, slot: "_Slot") -> None:
        slot.process = _spawn.Process(target=self._target, args=(self._listener, slot.share), name="worker")
        slot.process.start()
        slot.started_at = monotonic()

    def _wait(self) -> None:
        sentinels = [slot.process.sentinel for slot in self._slots if slot.process is not None]
        if sentinels:
            connection.wait(sentinels, timeout=TICK_SECONDS)
        else:
            threading.Event().wait(TICK_SECONDS)

    def _end_if_hung(self, slot: "_Slot") -> None:
        """One that no longer says that it is alive answers nobody, and would keep its connections for ever."""
        if slot.process is not None and monotonic() - max(slot.started_at, slot.share.told_at) > HUNG_SECONDS:
            logger.error("a worker hangs and is killed", pid=slot.process.pid)
            slot.process.kill()
            slot.process.join()

    def _replace(self, slot: "_Slot") -> None:
        now = monotonic()
        if slot.process is not None and slot.process.exitcode is not None:
            slot.failures = slot.failures + 1 if now - slot.started_at < SHORT_LIFE_SECONDS else 0
            slot.due_at = now + PAUSES_SECONDS[min(slot.failures, len(PAUSES_SECONDS) - 1)]
            logger.error("a worker ended and is replaced", exit_status=slot.process.exitcode, pid=slot.process.pid)
            slot.process = None
            slot.share.leave()
        if slot.process is None and now >= slot.due_at and not self._signals:
            self._start(slot)

    def _end_all(self) -> None:
        self._listener.close()  # else connections would still be taken, by nobody, once the workers take no more
        running = [slot.process for slot in self._slots if slot.process is not None]
        for process in running:
            process.terminate()
        until = monotonic() + self._grace
        while any(process.exitcode is None for process in running):
            if self._signals > 1 or monotonic() > until:
                for process in running:
                    process.kill()
            connection.wait([process.sentinel for process in running if process.exitcode is None], timeout=TICK_SECONDS)


class _Slot:
    """The place of one worker."""

    def __init__(self, share: Share) -> None:
        self.share = share
        self.process: SpawnProcess | None = None
        self.started_at = 0.0
        self.due_at = 0.0
        self.failures = 0


def end_with_supervisor() -> None:
    """Let this process end, as if by a signal, when its supervisor is gone: nobody would look after it."""
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        connection.wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="supervisor-watch", daemon=True).start()
