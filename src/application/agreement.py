"""How far annotators agree on a label set."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from application.ports import Kept, LabelReader, LabelSets, Reliability
from domain.access import Action
from domain.agreement import Figures, Pair, counted
from domain.annotation import sight_of
from domain.label_set import LabelSet, Level
from domain.user import User


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The figures, what the number of a label stands for, and the usernames of the annotators."""

    figures: Figures
    meaning: Mapping[int, Any]
    names: Mapping[int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureAgreement:
    """Work out how far annotators agree on a label set, once until something changes.

    The mark is had before the labels: what is kept under it is never older than it, and another mark follows what came between.
    """

    labels: LabelReader
    reliability: Reliability
    kept: Kept

    async def __call__(self, label_set: LabelSet, *, seed: int) -> Measured:
        """The figures of what stands now. Raises `Unavailable` when too many are being worked out."""
        mark = f"{label_set.version} {await self.labels.mark(label_set)}"
        return await self.kept.get((str(label_set.id), str(seed)), mark, partial(self._measure, label_set, seed))

    async def _measure(self, label_set: LabelSet, seed: int) -> Measured:
        gathered = await self.labels.gather(label_set)
        found = await asyncio.to_thread(counted, gathered, label_set.declaration)
        figures = await self.reliability.measure(found.labels, level=label_set.declaration.level, seed=seed)
        return Measured(figures=figures, meaning=found.meaning, names=gathered.names)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedPair:
    """Two annotators by username, `a` before `b`: how many resources both have labelled, and their kappa."""

    a: str
    b: str
    items: int
    kappa: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Disputed:
    """A resource whose labels differ, and these labels in their order, one for each annotator, who is not told."""

    resource_id: int
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far annotators agree on a label set, as somebody may see it; pairs are sorted by username."""

    label_set: str
    level: Level
    figures: Figures
    pairs: list[NamedPair]
    disputed: list[Disputed]


@dataclass(frozen=True, slots=True, kw_only=True)
class GetAgreement:
    """How far annotators agree on a label set: over all labels that stand on live resources and that the set still takes.

    `raw` is the share of pairs of labels of the same resource that are equal. `alpha` is Krippendorff's, at the level of the set;
    `low` and `high` bound the middle 95 % of 1 000 samples of its resources, drawn as `seed` says: the same labels and seed give the same
    figures. `kappa` is Cohen's, over the resources that both have labelled: of at most 1 000 pairs, those who share most. What cannot be
    told is null. `disputed` are the resources whose labels lie farthest apart, at most 20; in a blind set, annotators see those that
    they have labelled themselves.
    """

    label_sets: LabelSets
    measure: MeasureAgreement

    async def __call__(self, *, project: str, label_set: str, seed: int = 0, by: User) -> Agreement:
        """The agreement. Raises `NotAllowed`, `NotFound`, and `Unavailable`."""
        sight = sight_of(by, Action.ANNOTATION_AGREEMENT)
        found = await self.label_sets.get(project, label_set)
        measured = await self.measure(found, seed=seed)
        figures = measured.figures
        return Agreement(
            label_set=found.name,
            level=found.declaration.level,
            figures=figures,
            pairs=_named(figures.pairs, measured.names),
            disputed=[
                Disputed(resource_id=each.item, values=tuple(measured.meaning[number] for number in each.values))
                for each in figures.disputed_for(sight if found.declaration.blind else None)
            ],
        )


def _named(pairs: Iterable[Pair], names: Mapping[int, str]) -> list[NamedPair]:
    found = []
    for pair in pairs:
        a, b = sorted((names[pair.a], names[pair.b]))
        found.append(NamedPair(a=a, b=b, items=pair.items, kappa=pair.kappa))
    return sorted(found, key=lambda pair: (pair.a, pair.b))
