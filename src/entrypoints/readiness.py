"""Whether this process still wants requests: asked by load balancers, switched off when it is to end."""

from collections import deque
from time import monotonic

from domain.errors import Unavailable

ASKED_WITHIN_SECONDS = 15.0


class Stopping(Unavailable):
    """This instance is about to end: another one, or this one once it has started anew, answers instead."""

    code = "stopping"
    detail = "This instance is stopping: ask another, or again shortly."


class Readiness:
    """Whether this process still wants requests, and whether somebody keeps asking for that, as a load balancer does."""

    def __init__(self) -> None:
        self._is_stopping = False
        self._asked_at: deque[float] = deque(maxlen=2)

    @property
    def is_stopping(self) -> bool:
        return self._is_stopping

    def check(self) -> None:
        """Raises `Stopping` from the moment the process was asked to end."""
        self._asked_at.append(monotonic())
        if self._is_stopping:
            raise Stopping

    def stop(self) -> None:
        self._is_stopping = True

    @property
    def is_watched(self) -> bool:
        """Whether it was asked for more than once lately: then whoever asks is to hear of the end before the door is closed."""
        return len(self._asked_at) == 2 and monotonic() - self._asked_at[0] < ASKED_WITHIN_SECONDS
