"""All figures of a set of labels."""

from array import array

import numpy as np

from adapters.agreement.alpha import Floats, Ints, Units, alpha_of
from adapters.agreement.kappa import pairs_of
from domain.agreement import REPLICATES, Alpha, Figures, Labels
from domain.label_set import Level

_ALIKE = 9  # decimals, of the widest dispute: distances that differ by less are the same, however they were added up


def figures_of(labels: Labels, *, level: Level, seed: int, replicates: int = REPLICATES) -> Figures:
    """How far annotators agree; only `low` and `high` of alpha depend on the seed."""
    if not len(labels):
        nothing = Alpha(value=None, low=None, high=None)
        return Figures(items=0, annotators=0, raw=None, alpha=nothing, pairs=(), disputed=array("q"))
    item_ids, item = _numbered(labels.items)
    who_ids, who = _numbered(labels.annotators)
    label_ids, value = _numbered(labels.values)
    units = Units(item, value, _numbers(label_ids), level)
    return Figures(
        items=len(item_ids),
        annotators=len(who_ids),
        raw=units.raw(),
        alpha=alpha_of(units, seed=seed, replicates=replicates),
        pairs=pairs_of(item, who, value, who_ids),
        disputed=array("q", item_ids[units.ids[_most_apart(units)]].tobytes()),
    )


def _numbered(column: "array[int]") -> tuple[Ints, Ints]:
    ids, places = np.unique(np.frombuffer(column, np.int64), return_inverse=True)
    return ids, places.astype(np.int64)


def _numbers(label_ids: Ints) -> Floats:
    """Labels counted from the least: what a double could not tell apart far from zero, it can near to it."""
    whole = label_ids.astype(np.uint64)
    numbers: Floats = (whole - whole[0]).astype(np.float64)
    return numbers


def _most_apart(units: Units) -> Ints:
    apart, differ = units.apart(), units.differ()
    if not differ.any():
        return np.array([], np.int64)
    apart = np.round(apart / apart.max(), _ALIKE)
    order: Ints = np.lexsort((units.ids, -units.item_sizes, -apart))
    return order[differ[order]]
