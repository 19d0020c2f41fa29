"""What is counted and measured, for Prometheus; over all worker processes, where there are several.

Counting is a part of every request, so it is cheap: see docs/decisions/0020-observability.md.
"""

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

MEDIA_TYPE = CONTENT_TYPE_LATEST
UNMATCHED = "none"  # the route of a request that no route is for

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_METHODS = frozenset(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
_SAVES = ("created", "updated", "stale", "refused", "failed")
_OURS = "complex_stories"

disable_created_metrics()  # type: ignore[no-untyped-call] # a series more for each, that nobody asks for

Reading = Callable[[], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """What is read where it stands whenever somebody looks: functions that tell a number.

    `connections` by state; `failures` so far, by what failed.
    """

    connections: Mapping[str, Reading] = field(default_factory=dict)
    connections_max: Reading = lambda: 0
    hashing: Reading = lambda: 0
    failures: Mapping[str, Reading] = field(default_factory=dict)
    limits_apart: Reading = lambda: 0


class Metrics:
    """The metrics of this process. `in_flight` is how many requests are being answered: whoever answers one adds it and tells its end."""

    def __init__(self, readings: Readings | None = None, *, folder: Path | None = None) -> None:
        """`folder`: where all workers keep their metrics, as `PROMETHEUS_MULTIPROC_DIR` says; None for a process alone."""
        self.in_flight = 0
        self._readings = readings or Readings()
        self._folder = folder
        self._registry = registry = CollectorRegistry()
        self._told: dict[str, int] = {}
        self._children: dict[tuple[str | None, str, int], Any] = {}
        self._refused: dict[str, int] = {}
        self._requests = Histogram(
            f"{_OURS}_http_request_seconds",
            "Time to answer requests, by method, route template and class of status.",
            ["method", "route", "status"],
            buckets=_BUCKETS,
            registry=registry,
        )
        saves = Counter(f"{_OURS}_saves", "Saves of answers that were judged, by outcome.", ["outcome"], registry=registry)
        self._saves = {outcome: saves.labels(outcome) for outcome in _SAVES}
        self._failures = Counter(f"{_OURS}_failures", "How often something that the service depends on failed.", ["of"], registry=registry)
        self._in_flight = _gauge("http_requests_in_flight", "Requests that are being answered.", registry)
        self._connections = _gauge("database_connections", "Open connections to the database, by state.", registry, "state")
        self._connections_max = _gauge("database_connections_max", "Connections to the database that there may be.", registry)
        self._hashing = _gauge("hashing_queue", "Passwords that are being hashed or wait for it.", registry)
        self._limits_apart = _gauge("limits_apart", "Workers that count rate limits for themselves because Redis is away.", registry)
        self.refresh()

    def finish(self, scope: Any, *, method: str, status: int, seconds: float) -> None:
        """Count a request that was answered; 499 is one whose client left first, 0 one without an answer."""
        self.in_flight -= 1
        route = scope.get("route")
        key = (route.path_format if route else None, method, status // 100)
        child = self._children.get(key)
        if child is None:
            child = self._child(*key)
        child.observe(seconds)
        save = scope.get("save")
        if save is not None:
            self._saves[save if 0 < status < 499 else "failed"].inc()

    def refuse(self, method: str) -> None:
        """Count a request that was refused at once, with 503: noted for now, since there are thousands a second."""
        self._refused[method] = self._refused.get(method, 0) + 1

    def refresh(self) -> None:
        """Read what is read where it stands."""
        readings = self._readings
        refused, self._refused = self._refused, {}
        for method, times in refused.items():
            self._child(None, method, 5)._buckets[0].inc(times)  # noqa: SLF001 - as `observe(0.0)` does, which takes one at a time
        self._in_flight.set(self.in_flight)
        self._connections_max.set(readings.connections_max())
        self._hashing.set(readings.hashing())
        self._limits_apart.set(readings.limits_apart())
        for state, read in readings.connections.items():
            self._connections.labels(state).set(read())
        for what, read in readings.failures.items():
            now = read()
            self._failures.labels(what).inc(now - self._told.get(what, 0))
            self._told[what] = now

    async def refresh_for_others(self) -> bool:
        """A chore: other workers see of this one what it read last. There is never more to do at once."""
        self.refresh()
        return False

    async def tell(self) -> bytes:
        """Everything, in the text format of Prometheus; written on a thread, so that it holds up no request."""
        self.refresh()
        return await asyncio.to_thread(self._text)

    def _child(self, route: str | None, method: str, status: int) -> Any:
        known = method if method in _METHODS else "other"
        child = self._requests.labels(known, route or UNMATCHED, f"{status}xx" if status else "none")
        if known is method:  # else whoever invents methods would fill the memory
            self._children[route, method, status] = child
        return child

    def _text(self) -> bytes:
        if self._folder is None:
            return generate_latest(self._registry)
        _forget_the_dead(self._folder)
        everybodys = CollectorRegistry()
        MultiProcessCollector(everybodys, str(self._folder))  # type: ignore[no-untyped-call]
        return generate_latest(everybodys)


def _gauge(name: str, text: str, registry: CollectorRegistry, *labels: str) -> Gauge:
    """A gauge that is the sum over all workers that live."""
    return Gauge(f"{_OURS}_{name}", text, labels, registry=registry, multiprocess_mode="livesum")


def _forget_the_dead(folder: Path) -> None:
    """Take the gauges of workers that are gone out of the sum. What they counted stays: counters never fall."""
    for file in folder.glob("gauge_live*_*.db"):
        pid = int(file.stem.rpartition("_")[2])
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            with suppress(FileNotFoundError):  # another worker was quicker
                mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
        except PermissionError:
            pass  # somebody's, and alive
