"""Pictures of what was measured."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

from benchmarks.workloads import WORKLOADS

_COLOURS = {"service": "#0b6e4f", "bare": "#9aa5b1", "naive": "#d1495b", "directus": "#6c5ce7"}


def plot_hot_paths(document: Mapping[str, Any], file: Path) -> None:
    """Requests a second of each program, as a share of the bare program's, or else of the service's."""
    workloads = document["workloads"]
    figure, axes = plt.subplots(figsize=(9, 0.8 + 0.85 * len(workloads)))
    for place, workload in enumerate(workloads):
        speeds = {"service": workload["service"]["medians"]["per_second"]}
        speeds |= {name: workload["rivals"][name]["medians"]["per_second"] for name in _COLOURS if name in workload["rivals"]}
        whole = speeds.get("bare", speeds["service"])
        for row, (name, speed) in enumerate(speeds.items()):
            y = place + (row - (len(speeds) - 1) / 2) * 0.21
            axes.barh(y, speed / whole, height=0.19, color=_COLOURS[name], label=name if place == 0 else None)
            axes.text(speed / whole + 0.01, y, f"{speed:,.0f}/s", va="center", fontsize=8)
    axes.set_yticks(range(len(workloads)), [workload["title"] for workload in workloads])
    axes.invert_yaxis()
    axes.set_xlabel("requests a second, as a share of a bare program's (of the service's, where there is none)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    figure.tight_layout()
    figure.savefig(file, dpi=130)
    plt.close(figure)


def plot_growth(document: Mapping[str, Any], file: Path) -> None:
    """Requests a second of each hot path by how much is stored, as a share of what they are at the smallest size."""
    figure, axes = plt.subplots(figsize=(8, 4.5))
    for path, figures in document["paths"].items():
        axes.plot([each["size"] for each in figures], [each["ratio"] for each in figures], marker="o", label=WORKLOADS[path].title)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("resources and respondents stored")
    axes.set_ylabel("requests a second\nas a share of those at the smallest size")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(file, dpi=130)
    plt.close(figure)
