"""The process that works figures out: labels come in on standard input, figures go out on standard output, and it ends."""

import json
import os
import sys
from array import array
from dataclasses import asdict

from adapters.agreement.figures import figures_of
from domain.agreement import Labels
from domain.label_set import Level

_POLITE = 10
_WIDTH = 8


def work_out(order: bytes) -> bytes:
    """What the process writes for what it read."""
    head, _, rest = order.partition(b"\n")
    asked = json.loads(head)
    width = asked["labels"] * _WIDTH
    items, annotators, values = (array("q", rest[at * width : (at + 1) * width]) for at in range(3))
    labels = Labels(items=items, annotators=annotators, values=values)
    figures = figures_of(labels, level=Level(asked["level"]), seed=asked["seed"])
    told = {
        "items": figures.items,
        "annotators": figures.annotators,
        "raw": figures.raw,
        "alpha": asdict(figures.alpha),
        "pairs": [(pair.a, pair.b, pair.items, pair.kappa) for pair in figures.pairs],
    }
    return json.dumps(told, allow_nan=False).encode() + b"\n" + figures.disputed.tobytes()


def main() -> None:
    """Work one order out, behind whoever else wants the processor."""
    os.nice(_POLITE)
    sys.stdout.buffer.write(work_out(sys.stdin.buffer.read()))


if __name__ == "__main__":
    main()
