"""Krippendorff's alpha with missing labels, and its interval by resampling items.

K. Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011): alpha = 1 - (n - 1) sum(o_ck d_ck) / sum(n_c n_k d_ck), where n labels
stand on items with two labels or more, o is the matrix of coincidences and d a squared distance. On the ordinal level the distance of two
labels is that of their middle ranks, so that both upper levels are squared distances on a line, and no matrix is needed: a thousand
different labels cost no more than two.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from domain.agreement import Alpha
from domain.label_set import Level

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

UNDEFINED_MOST = 0.05  # of the replicates; an interval from fewer than the rest would be too narrow
INTERVAL = (2.5, 97.5)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_HALF, _LOW = np.uint64(32), np.uint64(0xFFFFFFFF)


class Units:
    """The items with two labels or more, by pattern: items that have the same labels, as often each, are told apart by nothing here.

    `value` numbers labels from 0 in their order; `numbers` says where each stands on the interval level.
    """

    def __init__(self, item: Ints, value: Ints, numbers: Floats, level: Level) -> None:
        self.labels = len(numbers)
        self._level = level
        self._line = numbers
        pairable = np.bincount(item)[item] >= 2
        order = np.lexsort((value[pairable], item[pairable]))
        self.ids, starts, self.item_sizes = np.unique(item[pairable][order], return_index=True, return_counts=True)
        self.pattern, rows = _patterns(value[pairable][order], starts, self.item_sizes)
        self.sizes = np.array([len(row) for row in rows], np.float64)
        self.often = np.bincount(self.pattern, minlength=len(rows)).astype(np.float64)
        keys = [pattern * self.labels + row for pattern, row in enumerate(rows)] or [np.array([], np.int64)]
        found, times = np.unique(np.concatenate(keys), return_counts=True)
        self._row, self._value = np.divmod(found, self.labels)
        self._times = times.astype(np.float64)
        self._fixed = None if level is Level.ORDINAL else self._apart(numbers)

    def __len__(self) -> int:
        return len(self.ids)

    def raw(self) -> float | None:
        """The share of pairs of labels of the same item that are equal."""
        if not len(self):
            return None
        equal = np.bincount(self._row, self._times * (self._times - 1), len(self.sizes))
        return float(self.often @ equal / (self.often @ (self.sizes * (self.sizes - 1))))

    def apart(self) -> Floats:
        """How far apart the labels of each item are, on average over pairs."""
        each: Floats = (self._distances(self._counts(self.often)) / self.sizes)[self.pattern]
        return each

    def differ(self) -> npt.NDArray[np.bool_]:
        """Whether the labels of each item are not all the same."""
        several: npt.NDArray[np.bool_] = np.bincount(self._row, minlength=len(self.sizes)) > 1
        return several[self.pattern]

    def alpha(self, weights: Floats | None = None) -> float | None:
        """Alpha, or what it would be were there so many items of each pattern; None where it is undefined."""
        weights = self.often if weights is None else weights
        counts = self._counts(weights)
        n = counts.sum()
        if np.count_nonzero(counts) < 2:
            return None
        if self._level is Level.NOMINAL:
            expected = n * n - counts @ counts
        else:
            line = _middle_ranks(counts) if self._level is Level.ORDINAL else self._line
            expected = 2 * n * (counts * (line - counts @ line / n) ** 2).sum()
        if expected <= 0:  # labels that no double can tell apart
            return None
        return float(1 - (n - 1) * (weights @ self._distances(counts)) / expected)

    def interval(self, *, seed: int, replicates: int) -> tuple[float, float] | None:
        """The percentile bootstrap over items; None for fewer than two, and where too often alpha is undefined."""
        if len(self) < 2:
            return None
        found = [
            alpha for weights in resampled(self.pattern, seed=seed, replicates=replicates) if (alpha := self.alpha(weights)) is not None
        ]
        if len(found) < replicates * (1 - UNDEFINED_MOST):
            return None
        low, high = np.percentile(found, INTERVAL)
        return float(low), float(high)

    def _counts(self, weights: Floats) -> Floats:
        counts: Floats = np.bincount(self._value, self._times * weights[self._row], self.labels).astype(np.float64)
        return counts

    def _distances(self, counts: Floats) -> Floats:
        return self._apart(_middle_ranks(counts)) if self._fixed is None else self._fixed

    def _apart(self, line: Floats) -> Floats:
        """The distances of all pairs of labels of an item of each pattern, divided by one less than how many it has."""
        if self._level is Level.NOMINAL:
            return (self.sizes**2 - np.bincount(self._row, self._times**2, len(self.sizes))) / (self.sizes - 1)
        stands = line[self._value]
        middle = np.bincount(self._row, self._times * stands, len(self.sizes)) / self.sizes
        spread = np.bincount(self._row, self._times * (stands - middle[self._row]) ** 2, len(self.sizes))
        return 2 * self.sizes * spread / (self.sizes - 1)


def alpha_of(units: Units, *, seed: int, replicates: int) -> Alpha:
    """Alpha with its interval."""
    value = units.alpha() if len(units) else None
    low, high = (None if value is None else units.interval(seed=seed, replicates=replicates)) or (None, None)
    return Alpha(value=value, low=low, high=high)


def resampled(pattern: Ints, *, seed: int, replicates: int) -> Iterator[Floats]:
    """How often each pattern is drawn, in each replicate, when as many items are drawn as there are.

    The draws are SplitMix64's (G. Steele, D. Lea, C. Flood, OOPSLA 2014), two of 32 bits a step and the upper one first, made of whole
    numbers alone: a seed means the same on every machine and under every version of NumPy.
    """
    items, patterns = np.uint64(len(pattern)), int(pattern.max()) + 1
    half = (len(pattern) + 1) // 2
    start = _mixed(np.array([seed], np.uint64))[0]
    steps = start + np.arange(1, half + 1, dtype=np.uint64) * _GOLDEN
    further = np.array([half], np.uint64) * _GOLDEN
    for _ in range(replicates):
        drawn = _mixed(steps)
        chosen = np.stack((drawn >> _HALF, drawn & _LOW), axis=-1).reshape(-1)[: len(pattern)] * items >> _HALF
        yield np.bincount(pattern[chosen.astype(np.int64)], minlength=patterns).astype(np.float64)
        steps += further


def _patterns(values: Ints, starts: Ints, sizes: Ints) -> tuple[Ints, list[Ints]]:
    """Which items are alike: the pattern of each item, and the labels of each pattern. `values` are sorted within each item."""
    pattern = np.empty(len(starts), np.int64)
    rows: list[Ints] = []
    for size in np.unique(sizes):
        alike = np.flatnonzero(sizes == size)
        found, which = np.unique(values[starts[alike][:, np.newaxis] + np.arange(size)], axis=0, return_inverse=True)
        pattern[alike] = len(rows) + which.reshape(-1)
        rows.extend(found)
    return pattern, rows


def _mixed(z: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _middle_ranks(counts: Floats) -> Floats:
    return np.cumsum(counts) - counts / 2
