"""What was measured, for people and for programs."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.directus import SETUP
from benchmarks.load import Result
from benchmarks.workloads import WORKLOADS, Rival, Workload

_FIGURES = ("per_second", "cpu_us", "load_us", "p50_ms", "p99_ms")
P99_OVER_P50 = 4.0  # at most


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
        spread = _p99_over_p50(medians(self.service))
        if spread > P99_OVER_P50:
            told.append(f"{self.workload.title}: p99 {spread:.1f} times p50, not {P99_OVER_P50:g}")
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
    head = [
        "workload",
        "requests/s",
        "CPU µs",
        "p50 ms",
        "p99 ms",
        f"times p50 (at most {P99_OVER_P50:g})",
        "of bare",
        "times naive",
        "times Directus",
        "of the first page",
    ]
    return [head, *(_row(workload) for workload in document["workloads"])]


def _row(workload: Mapping[str, Any]) -> list[str]:
    ours = workload["service"]["medians"]
    spread = _p99_over_p50(ours)
    figures = [f"{ours['per_second']:.0f}", f"{ours['cpu_us']:.0f}", f"{ours['p50_ms']:.1f}", f"{ours['p99_ms']:.1f}"]
    figures.append(f"{spread:.1f}{'' if spread <= P99_OVER_P50 else ', MISSED'}")
    return [workload["title"], *figures, *(_told(workload["rivals"].get(name)) for name in ("bare", "naive", "directus", "first-page"))]


def _p99_over_p50(figures: Mapping[str, float]) -> float:
    return figures["p99_ms"] / figures["p50_ms"]


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
    return "\n".join(
        [
            "# What the hot paths cost",
            "",
            *_measured(document, "make bench"),
            "",
            *_markdown_table(rows(document)),
            "",
            "![The service, a bare program and the naive style](hot-paths.png)",
            "",
            "Each round runs the service, a bare ASGI program that does the same SQL and JSON, and the style that people write first,",
            "one after the other on the same PostgreSQL and the same rows; ratios are medians over the rounds. The load generator and",
            "PostgreSQL share the cores with the program that is measured: trust the ratios, not the absolute figures. CPU is that of the",
            "service alone. Of search and results the naive program is asked over 4 connections: over 32 each run would take minutes.",
            "",
            "A crowd that asks for the same three lists is answered together by the service, as the readers of a story are; the row below",
            "it is of lists that nobody else asks for. Results are held in memory for a second. A search of the bare program trusts the",
            "index, where the service looks nearby first for words that are frequent.",
            "",
            *_about_directus(document["directus"]),
            "",
        ]
    )


def _about_directus(version: str | None) -> list[str]:
    """How it was measured, or why it was not."""
    if version is None:
        return [f"Directus is left out: it was not installed (`{SETUP}` does so, with npm), or not asked for."]
    return [
        f"Directus {version}, which people pick instead, is one process as npm installs it, its cache and its pool as they are at first:",
        "without telemetry, without a line of the log for each request (the service writes one), and without the guard that refuses",
        "requests while it is busy. It takes only tables whose key is one column, so it has a copy of the rows in a schema of its own in",
        "the same database, with three indexes where the service keeps eight. It is asked for the same columns, by anybody as with the",
        "service, and of its deep page over 4 connections; of edits it keeps activity and revisions, the service its trail. No ratio to it",
        "is required.",
    ]


def growth_rows(document: Mapping[str, Any]) -> list[list[str]]:
    """A table of what grew: its head, then a line a path, with requests a second and the service's CPU time at each size."""
    sizes = document["settings"]["sizes"]
    lines = [["requests/s (CPU µs)", *(f"{size:,} stored" for size in sizes), "last of first"]]
    for path, figures in document["paths"].items():
        cells = [f"{each['per_second']:.0f} ({each['cpu_us']:.0f})" for each in figures]
        lines.append([WORKLOADS[path].title, *cells, f"{figures[-1]['ratio']:.2f}"])
    return lines


def workers_lines(document: Mapping[str, Any]) -> list[str]:
    """What a second worker gives and who used the cores meanwhile, the memory when idle, the start: a sentence each."""
    cores = document["machine"]["cores"]
    lines = []
    for path, found in document["workers"].items():
        (one, one_load), (two, two_load) = (_cores(found[name]) for name in ("one-worker", "two-workers"))
        shares = f"of {cores} cores one worker used {one:.2f} and the load {one_load:.2f}, two used {two:.2f} and the load {two_load:.2f}"
        ratio = found["two-workers"]["ratio"]
        lines.append(f"Two workers, {WORKLOADS[path].title}: {ratio:.2f} times one with {two / one:.2f} times the processor ({shares}).")
    idle = ", ".join(f"{each:.0f}" for each in document["idle_mib"]["one-worker"])
    supervisor, tracker, *workers = (f"{each:.0f}" for each in document["idle_mib"]["two-workers"])
    several = f"the supervisor {supervisor}, Python's tracker of shared memory {tracker}, the workers {' and '.join(workers)}"
    lines.append(f"Memory when idle: {idle} MiB; with two workers: {several} MiB.")
    lines.append(f"From `serve` to ready, with the embedded cluster that is there: {document['start_seconds']:.1f} s, the median of five.")
    return lines


def _cores(figures: Mapping[str, float]) -> tuple[float, float]:
    """What the program and what the load had."""
    return figures["cpu_us"] * figures["per_second"] / 1e6, figures["load_us"] * figures["per_second"] / 1e6


def growth_markdown(document: Mapping[str, Any]) -> str:
    """A page: the table, the picture, and what is told of workers."""
    return "\n".join(
        [
            "# Growth, workers, memory and start",
            "",
            *_measured(document, "make bench-growth"),
            "",
            *_markdown_table(growth_rows(document)),
            "",
            "![Requests a second by how much is stored](growth.png)",
            "",
            "Each size is a database of its own with as many resources in one project, as many in another, and as many respondents; all",
            "are there at once and measured in turns. The ratio is the median over the rounds. Who asks and PostgreSQL share the cores",
            "with the service, so requests a second tell what a request costs all of them; CPU is that of the service alone.",
            "Workers are compared without rate limits, which several count in a Redis. Where PostgreSQL has much to do, two cores have",
            "little left for a second worker; where it has not, as for results, what is missing to twice as much goes to the load.",
            "",
            *(f"- {line}" for line in workers_lines(document)),
            "",
        ]
    )


def exports_markdown(document: Mapping[str, Any]) -> str:
    """A page: what was found and what it may be at most, and the medians of each transfer."""
    transfers = [["transfer", "seconds", "MiB"]]
    for name in document["rounds"][0]:
        took = [each[name] for each in document["rounds"]]
        transfers.append([name, f"{median(each['seconds'] for each in took):.2f}", f"{took[0]['size'] / 2**20:.1f}"])
    lines = [["", "found", "at most"], *([name, f"{found:.2f}", f"{bound:g}"] for name, found, bound in document["bounds"])]
    return "\n".join(
        [
            "# What exports cost",
            "",
            *_measured(document, "make bench-export"),
            "",
            *_markdown_table(lines),
            "",
            *_markdown_table(transfers),
            "",
            "The `COPY` is of the same columns, to a file, with nothing between. Transfers are in turns, ratios medians over the rounds.",
            "",
        ]
    )


def _measured(document: Mapping[str, Any], command: str) -> list[str]:
    described = ", ".join(f"{name} {value}" for name, value in document["machine"].items())
    settings = ", ".join(f"{name} {value}" for name, value in document["settings"].items())
    return [f"Measured on {document['measured_at']} by `{command}`: {settings}.", f"Machine: {described}."]


def _markdown_table(lines: Sequence[Sequence[str]]) -> list[str]:
    head, *body = lines
    return [f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *body)]
