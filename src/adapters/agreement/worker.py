"""The process that works figures out: labels come in on standard input, figures go out on standard output, and it ends.

What goes over is a line of JSON and columns of 64-bit integers behind it: nothing that could be run.
"""

import json
import os
import sys
from array import array
from dataclasses import asdict

from adapters.agreement.figures import figures_of
from domain.agreement import Alpha, Figures, Labels, Pair
from domain.label_set import Level

_POLITE = 10
_WIDTH = 8


def order_from(labels: Labels, *, level: Level, seed: int) -> bytes:
    """What the process reads."""
    head = json.dumps({"labels": len(labels), "level": level, "seed": seed}).encode()
    return b"\n".join((head, b"".join(column.tobytes() for column in (labels.items, labels.annotators, labels.values))))


def outcome_from(output: bytes) -> Figures:
    """The figures that the process wrote."""
    head, _, rest = output.partition(b"\n")
    told = json.loads(head)
    pairs = tuple(Pair(a=a, b=b, items=items, kappa=kappa) for a, b, items, kappa in told.pop("pairs"))
    return Figures(**told | {"alpha": Alpha(**told["alpha"]), "pairs": pairs, "disputed": array("q", rest)})


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
