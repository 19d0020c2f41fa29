"""Cohen's kappa of each pair of annotators.

J. Cohen, "A Coefficient of Agreement for Nominal Scales", Educational and Psychological Measurement 20 (1960): (p_o - p_c) / (1 - p_c),
over the items that both have labelled.
"""

from dataclasses import dataclass

import numpy as np

from adapters.agreement.alpha import Floats, Ints
from domain.agreement import PAIRS_MAX, SHARED_MIN, Pair


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """An annotator beside all later ones: for each how many items are shared, agreed on, and expected to be (times those shared)."""

    others: Ints
    shared: Ints
    agreed: Ints
    expected: Floats


def pairs_of(item: Ints, who: Ints, value: Ints, ids: Ints) -> tuple[Pair, ...]:
    """The pairs who share an item, by annotator; all three columns are numbered from 0, and `ids` names the annotators."""
    rows = [_row(first, item, who, value, annotators=len(ids)) for first in range(len(ids))]
    found = sum(len(row.others) for row in rows)
    if not found:
        return ()
    a = np.repeat(np.arange(len(ids)), [len(row.others) for row in rows])
    b = np.concatenate([row.others for row in rows])
    shared = np.concatenate([row.shared for row in rows])
    agreed = np.concatenate([row.agreed for row in rows])
    expected = np.concatenate([row.expected for row in rows])
    most = np.sort(np.lexsort((b, a, -shared))[:PAIRS_MAX])
    return tuple(
        Pair(a=int(ids[a[at]]), b=int(ids[b[at]]), items=int(shared[at]), kappa=_kappa(int(shared[at]), int(agreed[at]), int(expected[at])))
        for at in most
    )


def _kappa(shared: int, agreed: int, expected: int) -> float | None:
    if shared < SHARED_MIN or expected == shared * shared:
        return None
    return (shared * agreed - expected) / (shared * shared - expected)


def _row(first: int, item: Ints, who: Ints, value: Ints, *, annotators: int) -> _Row:
    mine = np.full(int(item.max()) + 1, -1, np.int64)
    own = who == first
    mine[item[own]] = value[own]
    both = (who > first) & (mine[item] >= 0)
    other, one, another = who[both], mine[item[both]], value[both]
    shared = np.bincount(other, minlength=annotators)
    agreed = np.bincount(other[one == another], minlength=annotators)
    expected = _products(other, one, another, annotators=annotators, labels=int(value.max()) + 1)
    others = np.flatnonzero(shared)
    return _Row(others=others, shared=shared[others], agreed=agreed[others], expected=expected[others])


def _products(other: Ints, one: Ints, another: Ints, *, annotators: int, labels: int) -> Floats:
    """For each other annotator the sum over labels of how often one gave it times how often the other did."""
    ones, times = np.unique(other * labels + one, return_counts=True)
    anothers, others_times = np.unique(other * labels + another, return_counts=True)
    keys, at, others_at = np.intersect1d(ones, anothers, assume_unique=True, return_indices=True)
    products: Floats = np.bincount(keys // labels, times[at] * others_times[others_at], annotators).astype(np.float64)
    return products
