"""How far annotators agree: what counts, and what is told of it to whom."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from domain.label_set import Declaration, Level

PAIRS_MAX = 1000
DISPUTED_MAX = 20
SHARED_MIN = 2  # items; from a single one kappa is 0 or undefined, whatever the two think
REPLICATES = 1000
DIGITS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """Every label of a set on live resources, of one moment: columns sorted by resource and annotator.

    `places` tells where each label stands among `labels`, which are all different; `names` are the annotators' usernames.
    """

    resources: "array[int]"
    annotators: "array[int]"
    places: "array[int]"
    labels: tuple[Any, ...]
    names: Mapping[int, str]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Disputed:
    """A resource whose labels differ, and these labels in their order, one for each annotator, who is not told."""

    resource_id: int
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """The labels that count, as numbers, and what each number stands for."""

    labels: Labels
    meaning: Mapping[int, Any]
    names: Mapping[int, str]

    def disputed(self, figures: Figures, *, seen_by: int | None) -> list[Disputed]:
        """The resources most in dispute, at most 20: of all, or of those that one annotator has labelled."""
        seen = None if seen_by is None else self.labels.items_of(seen_by)
        found = (item for item in figures.disputed if seen is None or item in seen)
        return [Disputed(resource_id=item, values=self._values(item)) for item in islice(found, DISPUTED_MAX)]

    def _values(self, item: int) -> tuple[Any, ...]:
        first, last = bisect_left(self.labels.items, item), bisect_right(self.labels.items, item)
        return tuple(self.meaning[number] for number in sorted(self.labels.values[first:last]))


def counted(gathered: Gathered, declaration: Declaration) -> Counted:
    """What counts of all labels: those that the set, as it is declared now, still takes."""
    numbers = _numbers(declaration, gathered.labels)
    items, annotators, values = array("q"), array("q"), array("q")
    for item, who, place in zip(gathered.resources, gathered.annotators, gathered.places, strict=True):
        number = numbers[place]
        if number is not None:
            items.append(item)
            annotators.append(who)
            values.append(number)
    meaning = {number: label for number, label in zip(numbers, gathered.labels, strict=True) if number is not None}
    return Counted(labels=Labels(items=items, annotators=annotators, values=values), meaning=meaning, names=gathered.names)


def _numbers(declaration: Declaration, labels: Sequence[Any]) -> list[int | None]:
    """A number for each label as the level wants it: its own or its code, or its place in the declared order; texts are as they sort."""
    question = declaration.question
    if question.type == "text":
        order = {label: place for place, label in enumerate(sorted(labels))}
    elif question.choices_offered:
        coded = declaration.level is Level.INTERVAL
        order = {each.value: (each.code or 0) if coded else place for place, each in enumerate(question.choices_offered)}
    else:
        order = {label: int(label) for label in labels}
    return [order[label] if question.accepts(label) else None for label in labels]


def rounded(figure: float | None) -> float | None:
    """A figure as it is told: to six decimals, which are the same on every machine."""
    return None if figure is None else round(figure, DIGITS) + 0.0
