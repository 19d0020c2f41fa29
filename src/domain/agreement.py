"""How far annotators agree: what counts, and what is told of it to whom."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

PAIRS_MAX = 1000
DISPUTED_MAX = 20
SHARED_MIN = 2  # items; from a single one kappa is 0 or undefined, whatever the two think
REPLICATES = 1000
DIGITS = 6
SEED_MAX = 2**63 - 1


class Level(StrEnum):
    """What the distance between two labels means: nothing, an order, or a length."""

    NOMINAL = "nominal"
    ORDINAL = "ordinal"
    INTERVAL = "interval"


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Who gave which item which label: three columns, sorted by item and annotator, each pair of whom is there once.

    A label is a number of 64 bits: on the interval level its own, on the ordinal level its place in the order, on the nominal level any.
    """

    items: "array[int]"
    annotators: "array[int]"
    values: "array[int]"

    def __len__(self) -> int:
        return len(self.items)

    def items_of(self, annotator: int) -> frozenset[int]:
        """The items that this annotator has labelled."""
        return frozenset(item for item, who in zip(self.items, self.annotators, strict=True) if who == annotator)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alpha:
    """Krippendorff's alpha and its 95 % interval; None where they are undefined.

    Alpha is undefined where no item has two labels, and where all labels of such items are the same.
    """

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Cohen's kappa of two annotators, `a` before `b`, over the items that both have labelled.

    It is None for fewer than two such items, and where both give all of them the same label.
    """

    a: int
    b: int
    items: int
    kappa: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """How far annotators agree.

    `raw` is the share of pairs of labels of the same item that are equal; None where no item has two. `pairs` are of annotators who
    share an item, by their ids: where there are more than 1 000, those who share most. `disputed` are all items whose labels differ, the
    farthest apart on average first, then those with more labels, then by id.
    """

    items: int
    annotators: int
    raw: float | None
    alpha: Alpha
    pairs: tuple[Pair, ...]
    disputed: "array[int]"


def disputed(figures: Figures, labels: Labels, *, seen: frozenset[int] | None) -> Iterator[int]:
    """The items most in dispute, at most 20: of all, or of those that one may see."""
    left = DISPUTED_MAX
    for item in figures.disputed:
        if seen is None or item in seen:
            yield item
            left -= 1
        if not left:
            return


def rounded(figure: float | None) -> float | None:
    """A figure as it is told: to six decimals, which are the same on every machine."""
    return None if figure is None else round(figure, DIGITS) + 0.0
