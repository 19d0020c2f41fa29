"""What was measured, for people and for programs."""

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from benchmarks.load import Result
from benchmarks.workloads import Workload

_FIGURES = ("per_second", "cpu_us", "p50_ms", "p99_ms")
_COLUMNS = (
    "workload",
    "service req/s",
    "bare req/s",
    "ratio",
    "needs",
    "service CPU µs",
    "bare CPU µs",
    "CPU ratio",
    "p50 ms",
    "p99 ms",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One workload: a pair of results from each round, taken right after one another."""

    workload: Workload
    service: tuple[Result, ...]
    bare: tuple[Result, ...]

    @property
    def ratio(self) -> float:
        """The service's requests a second over the bare program's: the median over the rounds."""
        return self._median_ratio("per_second")

    @property
    def cpu_ratio(self) -> float:
        """The service's CPU time for a request over the bare program's."""
        return self._median_ratio("cpu_us")

    @property
    def is_enough(self) -> bool:
        return self.ratio >= self.workload.needs

    def document(self) -> dict[str, Any]:
        """Plain data: the medians, and each round."""
        return {
            "name": self.workload.name,
            "title": self.workload.title,
            "ratio": self.ratio,
            "needs": self.workload.needs,
            "is_enough": self.is_enough,
            "cpu_ratio": self.cpu_ratio,
            "service": medians(self.service),
            "bare": medians(self.bare),
            "rounds": [{"service": asdict(service), "bare": asdict(bare)} for service, bare in zip(self.service, self.bare, strict=True)],
        }

    def _median_ratio(self, figure: str) -> float:
        pairs = zip(self.service, self.bare, strict=True)
        ratios: list[float] = [getattr(service, figure) / getattr(bare, figure) for service, bare in pairs]
        return median(ratios)


def medians(results: Sequence[Result]) -> dict[str, float]:
    """The median of each figure."""
    return {figure: median(getattr(result, figure) for result in results) for figure in _FIGURES}


def machine(postgres: str) -> dict[str, Any]:
    """Where it was measured."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "architecture": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "postgres": postgres,
    }


def table(measured: Sequence[Measured]) -> str:
    """A table for people; the latencies are the service's."""
    rows = [_COLUMNS, *(_row(one) for one in measured)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) if not n else cell.rjust(width) for n, (cell, width) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    )


def _row(measured: Measured) -> tuple[str, ...]:
    service, bare = medians(measured.service), medians(measured.bare)
    return (
        measured.workload.title,
        f"{service['per_second']:.0f}",
        f"{bare['per_second']:.0f}",
        f"{measured.ratio:.2f}",
        f"{measured.workload.needs:.2f} {'ok' if measured.is_enough else 'MISSED'}",
        f"{service['cpu_us']:.0f}",
        f"{bare['cpu_us']:.0f}",
        f"{measured.cpu_ratio:.2f}",
        f"{service['p50_ms']:.1f}",
        f"{service['p99_ms']:.1f}",
    )
