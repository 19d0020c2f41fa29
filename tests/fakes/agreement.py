"""How far annotators agree, by the textbook and slowly: exact fractions, a matrix of coincidences, no NumPy."""

import json
import struct
from array import array
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import combinations, islice, permutations
from math import floor
from typing import Any, TypeVar

from application.ports import Kept, LabelReader, Reliability
from domain.agreement import DISPUTED_MAX, PAIRS_MAX, Alpha, Dispute, Figures, Gathered, Labels, Pair
from domain.annotation import Annotation
from domain.label_set import LabelSet, Level
from tests.fakes.store import Access

T = TypeVar("T")
Items = Sequence[tuple[int, ...]]  # the labels of each

GOLDEN, WHOLE = 0x9E3779B97F4A7C15, 2**64 - 1


class FakeReliability(Reliability):
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def measure(self, labels: Labels, *, level: Level, seed: int) -> Figures:
        self.asked += 1
        return figures(labels, level=level, seed=seed)


def figures(labels: Labels, *, level: Level, seed: int, replicates: int = 1000) -> Figures:
    given: dict[int, dict[int, int]] = defaultdict(dict)
    items = struct.iter_unpack(">q", labels.items)
    for who, value, times in zip(labels.annotators, labels.values, labels.times, strict=True):
        for (item,) in islice(items, times):
            given[item][who] = value
    pairable = {item: tuple(sorted(each.values())) for item, each in sorted(given.items()) if len(each) > 1}
    pairs = [pair for values in pairable.values() for pair in combinations(values, 2)]
    return Figures(
        items=len(given),
        annotators=len(set(labels.annotators)),
        annotations=sum(len(each) for each in given.values()),
        raw=sum(a == b for a, b in pairs) / len(pairs) if pairs else None,
        alpha=interval(tuple(pairable.values()), level, seed, replicates),
        pairs=tuple(kappas(given)),
        disputed=tuple(told(given, ranked(pairable, level))),
    )


def coincidences(items: Items) -> dict[tuple[int, int], Fraction]:
    """Krippendorff's o_ck: the ordered pairs of labels within items, each divided by one less than the labels of the item."""
    found: dict[tuple[int, int], Fraction] = defaultdict(Fraction)
    for values in items:
        for pair in permutations(values, 2):
            found[pair] += Fraction(1, len(values) - 1)
    return found


def distance(c: int, k: int, level: Level, n: Mapping[int, int]) -> Fraction:
    """The squared distance of two labels, as section C of "Computing Krippendorff's Alpha-Reliability" defines it for each level."""
    if level is Level.NOMINAL:
        return Fraction(c != k)
    if level is Level.INTERVAL:
        return Fraction((c - k) ** 2)
    between = sum(n[g] for g in n if min(c, k) <= g <= max(c, k))
    return (between - Fraction(n[c] + n[k], 2)) ** 2


@lru_cache(maxsize=100_000)
def alpha(items: Items, level: Level) -> Fraction | None:
    n = Counter(value for values in items for value in values)
    total = sum(n.values())
    expected = sum((n[c] * n[k] * distance(c, k, level, n) for c in n for k in n), Fraction())
    if not expected:
        return None
    observed = sum((times * distance(c, k, level, n) for (c, k), times in coincidences(items).items()), Fraction())
    return 1 - (total - 1) * observed / expected


def interval(items: Items, level: Level, seed: int, replicates: int) -> Alpha:
    value = alpha(tuple(sorted(items)), level) if items else None
    if value is None:
        return Alpha(value=None, low=None, high=None)
    draws = drawn(seed)
    found = []
    for _ in range(replicates):
        halves = [next(draws) for _ in range((len(items) + 1) // 2 * 2)][: len(items)]
        sample = alpha(tuple(sorted(items[half * len(items) >> 32] for half in halves)), level)
        if sample is not None:
            found.append(sample)
    if len(items) < 2 or len(found) < replicates * 0.95:
        return Alpha(value=float(value), low=None, high=None)
    return Alpha(value=float(value), low=percentile(sorted(found), Fraction(25, 1000)), high=percentile(sorted(found), Fraction(975, 1000)))


def percentile(ranked: list[Fraction], share: Fraction) -> float:
    """Linear between the nearest two."""
    place = (len(ranked) - 1) * share
    low = floor(place)
    high = min(low + 1, len(ranked) - 1)
    return float(ranked[low] + (place - low) * (ranked[high] - ranked[low]))


def drawn(seed: int) -> Iterator[int]:
    """SplitMix64, two numbers of 32 bits a step."""
    state = mixed(seed)
    while True:
        state = (state + GOLDEN) & WHOLE
        yield mixed(state) >> 32
        yield mixed(state) & 0xFFFFFFFF


def mixed(z: int) -> int:
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & WHOLE
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & WHOLE
    return z ^ (z >> 31)


def kappas(given: Mapping[int, Mapping[int, int]]) -> list[Pair]:
    found = []
    for a, b in combinations(sorted({who for labels in given.values() for who in labels}), 2):
        shared = [(labels[a], labels[b]) for labels in given.values() if a in labels and b in labels]
        if shared:
            found.append(Pair(a=a, b=b, items=len(shared), kappa=kappa(shared)))
    most = sorted(found, key=lambda pair: (-pair.items, pair.a, pair.b))[:PAIRS_MAX]
    return sorted(most, key=lambda pair: (pair.a, pair.b))


def kappa(shared: Sequence[tuple[int, int]]) -> float | None:
    n = len(shared)
    agreed = Fraction(sum(a == b for a, b in shared), n)
    ones, others = Counter(a for a, _ in shared), Counter(b for _, b in shared)
    expected = sum((Fraction(ones[label] * others[label], n * n) for label in ones), Fraction())
    return None if n < 2 or expected == 1 else float((agreed - expected) / (1 - expected))


def ranked(pairable: Mapping[int, tuple[int, ...]], level: Level) -> list[int]:
    n = Counter(value for values in pairable.values() for value in values)
    apart = {
        item: sum((distance(a, b, level, n) for a, b in permutations(values, 2)), Fraction()) / (len(values) * (len(values) - 1))
        for item, values in pairable.items()
    }
    return sorted((item for item in apart if apart[item]), key=lambda item: (-apart[item], -len(pairable[item]), item))


def told(given: Mapping[int, Mapping[int, int]], order: Sequence[int]) -> Iterator[Dispute]:
    """The first so many of all, and of each annotator's."""
    often: Counter[int] = Counter()
    for place, item in enumerate(order):
        whose = tuple(sorted(given[item]))
        if place < DISPUTED_MAX or any(often[who] < DISPUTED_MAX for who in whose):
            yield Dispute(item=item, values=tuple(sorted(given[item].values())), annotators=whose)
        often.update(whose)


class FakeLabelReader(LabelReader):
    def __init__(self, access: Access) -> None:
        self._access = access

    async def mark(self, label_set: LabelSet) -> str:
        return str(sorted((each.id, each.version) for each in self._live(label_set)))

    async def gather(self, label_set: LabelSet) -> Gathered:
        groups: dict[tuple[int, str], list[Annotation]] = defaultdict(list)
        for each in self._live(label_set):
            groups[each.annotator_id, json.dumps(each.value)].append(each)
        return Gathered(
            resources=b"".join(struct.pack(">q", each.resource_id) for group in groups.values() for each in group),
            annotators=array("q", [annotator for annotator, _ in groups]),
            labels=[json.loads(label) for _, label in groups],
            times=array("q", map(len, groups.values())),
            names={each.annotator_id: each.annotator for group in groups.values() for each in group},
        )

    def _live(self, label_set: LabelSet) -> list[Annotation]:
        tables = self._access.read
        mine = [each for each in tables.annotations.values() if each.label_set_id == label_set.id]
        return [each for each in mine if tables.resources[each.resource_id][1].is_active]


class FakeKept(Kept):
    """Keeps everything."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, ...], tuple[str, Any]] = {}

    async def get(self, key: tuple[str, ...], mark: str, make: Callable[[], Awaitable[T]]) -> T:
        kept = self.answers.get(key)
        if kept is None or kept[0] != mark:
            kept = self.answers[key] = mark, await make()
        answer: T = kept[1]
        return answer
