"""All figures of a set of labels."""

from collections.abc import Iterator

import numpy as np

from adapters.agreement.alpha import Floats, Ints, Units, alpha_of
from adapters.agreement.kappa import pairs_of
from domain.agreement import DISPUTED_MAX, REPLICATES, Alpha, Dispute, Figures, Labels
from domain.label_set import Level

_ALIKE = 9  # decimals, of the widest dispute: distances that differ by less are the same, however they were added up


def figures_of(labels: Labels, *, level: Level, seed: int, replicates: int = REPLICATES) -> Figures:
    """How far annotators agree; only `low` and `high` of alpha depend on the seed."""
    if not len(labels.times):
        nothing = Alpha(value=None, low=None, high=None)
        return Figures(items=0, annotators=0, annotations=0, raw=None, alpha=nothing, pairs=(), disputed=())
    items, whose, given = _columns(labels)
    item_ids, item = _numbered(items)
    who_ids, who = _numbered(whose)
    label_ids, value = _numbered(given)
    units = Units(item, value, _numbers(label_ids), level)
    return Figures(
        items=len(item_ids),
        annotators=len(who_ids),
        annotations=len(items),
        raw=units.raw(),
        alpha=alpha_of(units, seed=seed, replicates=replicates),
        pairs=pairs_of(item, who, value, who_ids),
        disputed=tuple(
            Dispute(
                item=int(item_ids[each]),
                values=tuple(np.sort(given[rows]).tolist()),
                annotators=tuple(whose[rows].tolist()),
            )
            for each, rows in disputed_rows(item, who, _most_apart(units))
        ),
    )


def disputed_rows(item: Ints, who: Ints, order: Ints) -> Iterator[tuple[int, slice]]:
    """The first so many of the items in this order, and those of each annotator's, with the rows of each. Rows are sorted by item."""
    rank = np.full(int(item[-1]) + 1, len(order), np.int64)
    rank[order] = np.arange(len(order))
    ranks = rank[item]
    rows = np.lexsort((ranks, who))
    rows = rows[ranks[rows] < len(order)]
    _, starts, sizes = np.unique(who[rows], return_index=True, return_counts=True)
    among = np.arange(len(rows)) - np.repeat(starts, sizes)
    told = np.union1d(np.arange(min(len(order), DISPUTED_MAX)), ranks[rows[among < DISPUTED_MAX]])
    for each in order[told]:
        first, last = np.searchsorted(item, [each, each + 1])
        yield int(each), slice(first, last)


def _columns(labels: Labels) -> tuple[Ints, Ints, Ints]:
    """The item, annotator and label of each, sorted by item and annotator, so that sums come out the same to the last digit."""
    items = np.frombuffer(labels.items, ">i8").astype(np.int64)
    whose, given = (np.repeat(np.frombuffer(column, np.int64), labels.times) for column in (labels.annotators, labels.values))
    order = np.lexsort((whose, items))
    return items[order], whose[order], given[order]


def _numbered(column: Ints) -> tuple[Ints, Ints]:
    ids, places = np.unique(column, return_inverse=True)
    return ids, places.astype(np.int64)


def _numbers(label_ids: Ints) -> Floats:
    """Labels counted from the least: what a double could not tell apart far from zero, it can near to it."""
    whole = label_ids.astype(np.uint64)
    numbers: Floats = (whole - whole[0]).astype(np.float64)
    return numbers


def _most_apart(units: Units) -> Ints:
    """The places of the items whose labels differ, the farthest apart first."""
    apart, differ = units.apart(), units.differ()
    if not differ.any():
        return np.array([], np.int64)
    apart = np.round(apart / apart.max(), _ALIKE)
    order = np.lexsort((units.ids, -units.item_sizes, -apart))
    return units.ids[order[differ[order]]]
