"""What each worker process lets the others and the supervisor know, in memory that they share."""

import ctypes
from time import monotonic

from entrypoints.readiness import ASKED_WITHIN_SECONDS

NOBODY = -1
SLACK = 2  # more than another one has: so that it need not be waited for at each connection


class Told(ctypes.Structure):
    """What one worker told; times are those of `monotonic`, which all processes of a machine have in common."""

    connections: int
    at: float
    watched_at: float
    _fields_ = (("connections", ctypes.c_int), ("at", ctypes.c_double), ("watched_at", ctypes.c_double))


class Share:
    """The place of one worker in what all of them see."""

    def __init__(self, told: "ctypes.Array[Told]", place: int) -> None:
        self._all = told
        self._place = place
        self.leave()

    def tell(self, connections: int) -> None:
        """So many connections this worker has now, and it is alive."""
        own = self._all[self._place]
        own.connections, own.at = connections, monotonic()

    def leave(self) -> None:
        """This worker takes no connections: nobody waits for it to."""
        self._all[self._place].connections = NOBODY

    def tell_watched(self) -> None:
        """Somebody keeps asking whether this worker is ready."""
        self._all[self._place].watched_at = monotonic()

    @property
    def told_at(self) -> float:
        """When this worker was last known to be alive."""
        return self._all[self._place].at

    @property
    def is_next(self) -> bool:
        """Whether no other has a few less connections, as far as they have told."""
        enough = self._all[self._place].connections - SLACK
        return all(each.connections == NOBODY or each.connections >= enough for each in self._all)

    @property
    def is_watched(self) -> bool:
        """Whether somebody kept asking any of the workers lately whether it is ready: a balancer, which knows them as one."""
        since = monotonic() - ASKED_WITHIN_SECONDS
        return any(each.watched_at > max(since, 0.0) for each in self._all)
