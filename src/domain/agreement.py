"""How far annotators agree: what counts, and what is told of it to whom."""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from domain.label_set import Declaration, Level

PAIRS_MAX = 1000
DISPUTED_MAX = 20
SHARED_MIN = 2  # items; from a single one kappa is 0 or undefined, whatever the two think
REPLICATES = 1000
DIGITS = 6
ID_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """Every label of a set on live resources, of one moment, in groups: one for each annotator and label.

    `resources` are those of the first group, then of the next, and so on: big-endian integers of 64 bits, which nobody here takes apart.
    `names` are the annotators' usernames.
    """

    resources: bytes
    annotators: "array[int]"
    labels: Sequence[Any]
    times: "array[int]"
    names: Mapping[int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Who gave which item which label, in groups: the items of each group, big-endian, and who gave them which label how many times.

    Whoever gave an item a label gave it one. A label is a number of 64 bits: on the interval level its own, on the ordinal level its place
    in the order, on the nominal level any.
    """

    items: bytes
    annotators: "array[int]"
    values: "array[int]"
    times: "array[int]"


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
class Dispute:
    """An item whose labels differ: these labels in their order, and who gave it one, by their ids."""

    item: int
    values: tuple[int, ...]
    annotators: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """How far annotators agree; `annotations` is how many labels there are.

    `raw` is the share of pairs of labels of the same item that are equal; None where no item has two. `pairs` are of annotators who
    share an item, by their ids: where there are more than 1 000, those who share most. `disputed` are items whose labels differ, the
    farthest apart on average first, then those with more labels, then by id: the first 20 of all, and the first 20 of each annotator's.
    """

    items: int
    annotators: int
    annotations: int
    raw: float | None
    alpha: Alpha
    pairs: tuple[Pair, ...]
    disputed: tuple[Dispute, ...]

    def disputed_for(self, annotator: int | None) -> Iterator[Dispute]:
        """The items most in dispute, at most 20: of all, or of those that one annotator has labelled."""
        return islice((each for each in self.disputed if annotator is None or annotator in each.annotators), DISPUTED_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """The labels that count, as numbers, and what each number stands for."""

    labels: Labels
    meaning: Mapping[int, Any]


def counted(gathered: Gathered, declaration: Declaration) -> Counted:
    """What counts of all labels: those that the set, as it is declared now, still takes."""
    numbers = _numbers(declaration, gathered.labels)
    items, annotators, values, times = [], array("q"), array("q"), array("q")
    place, meaning = 0, {}
    for who, label, number, often in zip(gathered.annotators, gathered.labels, numbers, gathered.times, strict=True):
        if number is not None:
            items.append(memoryview(gathered.resources)[place : place + often * ID_BYTES])
            annotators.append(who)
            values.append(number)
            times.append(often)
            meaning[number] = label
        place += often * ID_BYTES
    return Counted(labels=Labels(items=b"".join(items), annotators=annotators, values=values, times=times), meaning=meaning)


def _numbers(declaration: Declaration, labels: Sequence[Any]) -> list[int | None]:
    """A number for each label as the level wants it: its own or its code, or its place in the declared order; texts are as they sort."""
    question = declaration.question
    if question.type == "text":
        order = {label: place for place, label in enumerate(sorted(set(labels)))}
    elif question.choices_offered:
        coded = declaration.level is Level.INTERVAL
        order = {each.value: (each.code or 0) if coded else place for place, each in enumerate(question.choices_offered)}
    else:
        order = {label: int(label) for label in labels}
    return [order[label] if question.accepts(label) else None for label in labels]


def rounded(figure: float | None) -> float | None:
    """A figure as it is told: to six decimals, which are the same on every machine."""
    return None if figure is None else round(figure, DIGITS) + 0.0
