"""What goes to the process that works figures out, and comes back: a line of JSON and columns of 64-bit integers behind it.

Nothing of it could be run.
"""

import json
from array import array

from domain.agreement import Alpha, Figures, Labels, Pair
from domain.label_set import Level


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
