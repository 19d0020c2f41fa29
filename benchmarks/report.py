"""What was measured, for people and for programs."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.load import Result
from benchmarks.workloads import Rival, Workload

_FIGURES = ("per_second", "cpu_us", "p50_ms", "p99_ms")
_P99_OVER_P50 = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One workload: a result of the service and of each rival from each round, taken right after one another."""

    workload: Workload
    service: tuple[Result, ...]
    rivals: Mapping[str, tuple[Result, ...]]

    def ratio(self, rival: Rival, figure: str = "per_second") -> float | None:
        """The service's figure over the rival's: the median over the rounds; None when the rival was left out."""
        pairs = zip(self.service, self.rivals.get(rival.name, ()), strict=False)
        ratios: list[float] = [getattr(ours, figure) / getattr(theirs, figure) for ours, theirs in pairs]
        return median(ratios) if ratios else None

    @property
    def missed(self) -> list[str]:
        """What it had to reach, and did not."""
        told = []
        for rival in self.workload.rivals:
            ratio = self.ratio(rival)
            if ratio is not None and rival.needs is not None and ratio < rival.needs:
                told.append(f"{self.workload.title}: {ratio:.2f} of {rival.name}, not {rival.needs:g}")
        return told

    def document(self) -> dict[str, Any]:
        """Plain data: the medians, and each round."""
        rivals = {
            rival.name: {
                "ratio": self.ratio(rival),
                "cpu_ratio": self.ratio(rival, "cpu_us"),
                "needs": rival.needs,
                "medians": medians(self.rivals[rival.name]),
                "rounds": [asdict(result) for result in self.rivals[rival.name]],
            }
            for rival in self.workload.rivals
            if rival.name in self.rivals
        }
        return {
            "name": self.workload.name,
            "title": self.workload.title,
            "service": {"medians": medians(self.service), "rounds": [asdict(result) for result in self.service]},
            "rivals": rivals,
        }


def medians(results: Sequence[Result]) -> dict[str, float]:
    """The median of each figure."""
    return {figure: median(getattr(result, figure) for result in results) for figure in _FIGURES}


def machine(postgres: str) -> dict[str, Any]:
    """Where it was measured."""
    names = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": names[0] if names else platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "postgres": postgres,
    }


def rows(document: Mapping[str, Any]) -> list[list[str]]:
    """A table of a run's document: its head, then a line a workload. The latencies and CPU times are the service's."""
    head = ["workload", "requests/s", "CPU µs", "p50 ms", "p99 ms", "of bare", "times naive", "of the first page"]
    return [head, *(_row(workload) for workload in document["workloads"])]


def _row(workload: Mapping[str, Any]) -> list[str]:
    ours = workload["service"]["medians"]
    figures = [f"{ours['per_second']:.0f}", f"{ours['cpu_us']:.0f}", f"{ours['p50_ms']:.1f}", f"{ours['p99_ms']:.1f}"]
    return [workload["title"], *figures, *(_told(workload["rivals"].get(name)) for name in ("bare", "naive", "first-page"))]


def _told(rival: Mapping[str, Any] | None) -> str:
    if rival is None:
        return "–"
    needs = rival["needs"]
    verdict = "" if needs is None else f" (needs {needs:g}{'' if rival['ratio'] >= needs else ', MISSED'})"
    return f"{rival['ratio']:.2f}{verdict}"


def plain_table(lines: Sequence[Sequence[str]]) -> str:
    """For a terminal."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) if not n else cell.rjust(width) for n, (cell, width) in enumerate(zip(line, widths, strict=True)))
        for line in lines
    )


def markdown(document: Mapping[str, Any]) -> str:
    """A page: the table, the machine, and how it was measured."""
    head, *body = rows(document)
    described = ", ".join(f"{name} {value}" for name, value in document["machine"].items())
    settings = ", ".join(f"{name} {value}" for name, value in document["settings"].items())
    lines = [f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *body)]
    return "\n".join(
        [
            "# What the hot paths cost",
            "",
            f"Measured on {document['measured_at']} by `make bench`: {settings}.",
            f"Machine: {described}.",
            "",
            *lines,
            "",
            "![The service, a bare program and the naive style](hot-paths.png)",
            "",
            "Each round runs the service, a bare ASGI program that does the same SQL and JSON, and the style that people write first,",
            "one after the other on the same PostgreSQL and the same rows; ratios are medians over the rounds. The load generator and",
            "PostgreSQL share the cores with the program that is measured: trust the ratios, not the absolute figures.",
            "",
        ]
    )
