"""What goes to the process that works figures out, and comes back: a line of JSON; to it, columns of 64-bit integers behind that.

Nothing of it could be run.
"""

import json
from array import array
from dataclasses import asdict

from domain.agreement import Alpha, Dispute, Figures, Labels, Pair
from domain.label_set import Level

_WIDTH = 8


def order_from(labels: Labels, *, level: Level, seed: int) -> bytes:
    """What the process reads."""
    head = json.dumps({"groups": len(labels.times), "level": level, "seed": seed}).encode()
    return b"".join((head, b"\n", *(column.tobytes() for column in (labels.annotators, labels.values, labels.times)), labels.items))


def order_read(order: bytes) -> tuple[Labels, Level, int]:
    """The labels, level and seed of an order."""
    head, _, rest = order.partition(b"\n")
    asked = json.loads(head)
    width = asked["groups"] * _WIDTH
    annotators, values, times = (array("q", rest[at * width : (at + 1) * width]) for at in range(3))
    labels = Labels(items=rest[3 * width :], annotators=annotators, values=values, times=times)
    return labels, Level(asked["level"]), asked["seed"]


def outcome_from(figures: Figures) -> bytes:
    """What the process writes."""
    return json.dumps(asdict(figures), allow_nan=False).encode()


def outcome_read(output: bytes) -> Figures:
    """The figures that the process wrote."""
    told = json.loads(output)
    return Figures(
        **told
        | {
            "alpha": Alpha(**told["alpha"]),
            "pairs": tuple(Pair(**each) for each in told["pairs"]),
            "disputed": tuple(
                Dispute(item=each["item"], values=tuple(each["values"]), annotators=tuple(each["annotators"])) for each in told["disputed"]
            ),
        }
    )
