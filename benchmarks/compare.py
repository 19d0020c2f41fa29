"""What changed between two measurements: `python -m benchmarks.compare BEFORE.json AFTER.json`.

Ratios to the rivals are compared, since the machine may have been busier: what is slower by more than a tenth is marked.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.report import plain_table

SLOWER = 0.9


def compared(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[list[str]]:
    """A table: for each workload of both, the ratio to each rival and the CPU time a request, before and after."""
    olds = {workload["name"]: workload for workload in before["workloads"]}
    lines = [["workload", "against", "before", "after", "change", "CPU µs before", "after"]]
    for new in after["workloads"]:
        old = olds.get(new["name"], {"rivals": {}})
        for name in sorted(new["rivals"].keys() & old["rivals"].keys()):
            was, now = old["rivals"][name]["ratio"], new["rivals"][name]["ratio"]
            mark = " slower" if now < SLOWER * was else ""
            cpu = [f"{workload['service']['medians']['cpu_us']:.0f}" for workload in (old, new)]
            lines.append([new["title"], name, f"{was:.2f}", f"{now:.2f}", f"{now / was - 1:+.0%}{mark}", *cpu])
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    options = parser.parse_args()
    try:
        documents = [json.loads(file.read_text()) for file in (options.before, options.after)]
        print(plain_table(compared(*documents)))
    except (OSError, ValueError, KeyError) as error:
        parser.error(f"cannot compare: {error!r}")


if __name__ == "__main__":
    main()
