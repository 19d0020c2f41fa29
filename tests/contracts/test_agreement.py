"""How far annotators agree: the sentences of `Reliability` and `Kept`, and published figures."""

import asyncio
import os
import struct
import time
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import BigInteger, bindparam, text

from adapters.agreement.figures import figures_of
from adapters.agreement.order import order_from, order_read, outcome_from, outcome_read
from adapters.agreement.process import WAITING_MAX, ReliabilityInProcess
from adapters.kept import KEPT_MAX, KeptInProcess
from adapters.postgres.agreement import ANNOTATIONS_AT_ONCE, PostgresLabelReader
from adapters.postgres.database import Pool, Statement
from application.ports import Kept, Reliability
from domain.access import Role
from domain.agreement import Alpha, Dispute, Figures, Gathered, Labels, Pair
from domain.errors import NotFound, Unavailable
from domain.label_set import Level
from tests.contracts.stage import InMemory, InPostgres, Stage
from tests.contracts.test_annotation import Scene, scene
from tests.contracts.test_results import Work
from tests.examples import NOW
from tests.fakes.agreement import FakeKept, FakeReliability, figures

T = TypeVar("T")

EXACT = 1e-9
PATIENCE_SECONDS = 20
RESTS_SEEN = 50

# Klaus Krippendorff, "Computing Krippendorff's Alpha-Reliability", University of Pennsylvania, 2011-01-25, sections C and E
# (https://repository.upenn.edu/asc_papers/43): four observers, twelve units, missing values; alpha is 0.743 (nominal), 0.815 (ordinal)
# and 0.849 (interval).
OBSERVERS = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
]
PUBLISHED = {Level.NOMINAL: 0.743, Level.ORDINAL: 0.815, Level.INTERVAL: 0.849}

# Jacob Cohen, "A Coefficient of Agreement for Nominal Scales", Educational and Psychological Measurement 20 (1960) 37-46, table 1 as
# frequencies of 200: what one psychiatrist diagnoses down, the other across; p_o = 0.70, kappa = 0.492.
DIAGNOSES = [[88, 14, 18], [10, 40, 10], [2, 6, 12]]


def labels(rows: Iterable[tuple[int, int, int]]) -> Labels:
    """From rows of item, annotator, label."""
    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    for item, who, value in rows:
        groups[who, value].append(item)
    return Labels(
        items=b"".join(struct.pack(f">{len(items)}q", *items) for items in groups.values()),
        annotators=array("q", [who for who, _ in groups]),
        values=array("q", [value for _, value in groups]),
        times=array("q", map(len, groups.values())),
    )


def by_observer(observers: Sequence[Sequence[int | None]]) -> Labels:
    """From a row an observer, with None where a unit is missing; both are numbered from 1."""
    return labels(
        (unit, who, value)
        for who, values in enumerate(observers, start=1)
        for unit, value in enumerate(values, start=1)
        if value is not None
    )


def diagnoses() -> Labels:
    cells = [(a, b) for a, row in enumerate(DIAGNOSES) for b, times in enumerate(row) for _ in range(times)]
    return by_observer(list(zip(*cells, strict=True)))


class ReliabilityContract:
    @pytest.mark.parametrize("level", Level)
    async def test_alpha_of_published_data_with_missing_values(self, reliability: Reliability, level: Level) -> None:
        found = await reliability.measure(by_observer(OBSERVERS), level=level, seed=0)
        assert found.alpha.value is not None
        assert round(found.alpha.value, 3) == PUBLISHED[level]
        assert (found.items, found.annotators) == (12, 4)

    async def test_kappa_of_a_published_table(self, reliability: Reliability) -> None:
        found = await reliability.measure(diagnoses(), level=Level.NOMINAL, seed=0)
        (pair,) = found.pairs
        assert (pair.a, pair.b, pair.items) == (1, 2, 200)
        assert pair.kappa is not None
        assert round(pair.kappa, 3) == 0.492
        assert found.raw == pytest.approx(0.7)

    async def test_raw_agreement_is_of_pairs_on_items_with_two_labels_or_more(self, reliability: Reliability) -> None:
        rows = [(1, 1, 0), (1, 2, 0), (1, 3, 1), (2, 1, 0), (2, 2, 0), (3, 1, 5)]
        found = await reliability.measure(labels(rows), level=Level.NOMINAL, seed=0)
        assert found.raw == pytest.approx(2 / 4)
        assert found.items == 3

    @pytest.mark.parametrize("rows", [[], [(1, 1, 0)], [(1, 1, 0), (2, 2, 1), (3, 1, 2)]])
    async def test_without_two_labels_of_an_item_nothing_is_defined(
        self, reliability: Reliability, rows: list[tuple[int, int, int]]
    ) -> None:
        found = await reliability.measure(labels(rows), level=Level.ORDINAL, seed=0)
        assert found == Figures(
            items=len(rows),
            annotators=len({who for _, who, _ in rows}),
            annotations=len(rows),
            raw=None,
            alpha=Alpha(value=None, low=None, high=None),
            pairs=(),
            disputed=(),
        )

    async def test_without_variation_alpha_and_kappa_are_undefined(self, reliability: Reliability) -> None:
        rows = [(item, who, 7) for item in range(1, 6) for who in (1, 2)]
        found = await reliability.measure(labels([*rows, (9, 1, 8)]), level=Level.INTERVAL, seed=0)
        assert found.alpha == Alpha(value=None, low=None, high=None)
        assert found.raw == 1
        assert found.pairs == (Pair(a=1, b=2, items=5, kappa=None),)
        assert not found.disputed

    async def test_an_interval_needs_two_items_and_alphas_that_are_defined(self, reliability: Reliability) -> None:
        alone = await reliability.measure(labels([(1, 1, 0), (1, 2, 1)]), level=Level.NOMINAL, seed=0)
        assert alone.alpha == Alpha(value=0, low=None, high=None)
        rows = [(item, who, int(item == 9)) for item in range(1, 10) for who in (1, 2)]  # one item holds all the variation
        rare = await reliability.measure(labels(rows), level=Level.NOMINAL, seed=0)
        assert rare.alpha == Alpha(value=1, low=None, high=None)

    async def test_pairs_are_of_those_who_share_an_item(self, reliability: Reliability) -> None:
        rows = [(1, 3, 0), (1, 8, 0), (2, 3, 1), (2, 8, 1), (3, 8, 1), (3, 5, 1), (4, 4, 0)]
        found = await reliability.measure(labels(rows), level=Level.NOMINAL, seed=0)
        assert found.pairs == (Pair(a=3, b=8, items=2, kappa=1.0), Pair(a=5, b=8, items=1, kappa=None))

    async def test_of_very_many_pairs_those_who_share_most_are_told(self, reliability: Reliability) -> None:
        rows = [(1, who, who % 3) for who in range(1, 51)] + [(item, who, item % 2) for item in range(2, 5) for who in (49, 50)]
        found = await reliability.measure(labels(rows), level=Level.NOMINAL, seed=0)
        assert len(found.pairs) == 1000
        assert (found.pairs[-1].a, found.pairs[-1].b, found.pairs[-1].items) == (49, 50, 4)
        assert (found.pairs[-2].a, found.pairs[-2].b) == (29, 34)

    async def test_disputed_are_the_farthest_apart_by_the_level(self, reliability: Reliability) -> None:
        rows = [(1, 1, 0), (1, 2, 10), (2, 1, 0), (2, 2, 10), (2, 3, 10), (2, 4, 0), (3, 1, 0), (3, 2, 100), (4, 1, 5), (4, 2, 5)]
        nominal, ordinal, interval = [
            [each.item for each in (await reliability.measure(labels(rows), level=level, seed=0)).disputed]
            for level in (Level.NOMINAL, Level.ORDINAL, Level.INTERVAL)
        ]
        assert nominal == [1, 3, 2]
        assert ordinal == interval == [3, 1, 2]
        twins = [(item, who, who) for item in (7, 5, 6) for who in (1, 2)] + [(8, who, who % 2) for who in (1, 2, 3, 4)]
        found = await reliability.measure(labels(twins), level=Level.NOMINAL, seed=0)
        assert found.disputed == (
            *(Dispute(item=item, values=(1, 2), annotators=(1, 2)) for item in (5, 6, 7)),
            Dispute(item=8, values=(0, 0, 1, 1), annotators=(1, 2, 3, 4)),
        )

    async def test_of_many_disputes_the_first_of_all_and_of_each_annotator_are_told(self, reliability: Reliability) -> None:
        far = [(item, who, 100 * (who % 2)) for item in range(1, 26) for who in (1, 2)]
        near = [(item, who, who // 3) for item in range(26, 60) for who in (1, 3)]
        found = await reliability.measure(labels([*far, *near, (60, 4, 0), (60, 2, 0)]), level=Level.INTERVAL, seed=0)
        assert [each.item for each in found.disputed] == [*range(1, 21), *range(26, 46)]
        assert [each.item for each in found.disputed_for(None)] == [each.item for each in found.disputed_for(1)] == list(range(1, 21))
        assert [each.item for each in found.disputed_for(3)] == list(range(26, 46))
        assert list(found.disputed_for(4)) == []

    async def test_a_seed_gives_the_same_everywhere(self, reliability: Reliability) -> None:
        data = by_observer(OBSERVERS)
        first = await reliability.measure(data, level=Level.ORDINAL, seed=2026)
        assert await reliability.measure(data, level=Level.ORDINAL, seed=2026) == first
        assert first.alpha.low == pytest.approx(LOW, abs=EXACT)
        assert first.alpha.high == pytest.approx(HIGH, abs=EXACT)
        other = await reliability.measure(data, level=Level.ORDINAL, seed=2**63 - 1)
        assert other.alpha.value == first.alpha.value
        assert other.alpha.low != first.alpha.low

    async def test_labels_may_lie_as_far_apart_as_numbers_of_64_bits_do(self, reliability: Reliability) -> None:
        low, high = -(2**63), 2**63 - 1
        rows = [(1, 1, low), (1, 2, low), (2, 1, high), (2, 2, high), (3, 1, low), (3, 2, high)]
        found = await reliability.measure(labels(rows), level=Level.INTERVAL, seed=0)
        assert found.alpha.value == pytest.approx(1 - 5 * 2 / 18, abs=EXACT)
        near = [(item, who, high - value) for item, who, value in ((1, 1, 0), (1, 2, 0), (2, 1, 1), (2, 2, 1))]
        assert (await reliability.measure(labels(near), level=Level.INTERVAL, seed=0)).alpha.value == 1


LOW, HIGH = 0.4627255620363918, 1.0


class TestFakeReliability(ReliabilityContract):
    @pytest.fixture
    def reliability(self) -> Reliability:
        return FakeReliability()


class TestReliabilityInProcess(ReliabilityContract):
    @pytest.fixture
    def reliability(self) -> Reliability:
        return ReliabilityInProcess()

    async def test_more_than_some_do_not_wait(self, reliability: Reliability) -> None:
        data = by_observer(OBSERVERS)
        asked = [asyncio.create_task(reliability.measure(data, level=Level.NOMINAL, seed=seed)) for seed in range(WAITING_MAX + 1)]
        done = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(each) for each in done] == [*[Figures] * WAITING_MAX, Unavailable]
        assert (await reliability.measure(data, level=Level.NOMINAL, seed=0)).alpha == done[0].alpha  # type: ignore[union-attr]

    async def test_its_process_knows_no_secret_and_ends_when_nobody_waits(
        self, reliability: Reliability, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COMPLEX_STORIES_SECRET_KEY", "not for everybody")
        before = children()
        asked = asyncio.create_task(reliability.measure(by_observer(OBSERVERS), level=Level.NOMINAL, seed=0))
        (started,) = await until(lambda: children() - before)
        told = await until(lambda: environment(started))
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert children() == before
        assert "PATH=" in told
        assert "COMPLEX_STORIES" not in told

    async def test_its_process_works_while_a_core_is_idle(self, reliability: Reliability) -> None:
        assert await scheduled(reliability) == os.SCHED_IDLE

    async def test_its_process_rests_again_and_again(self, reliability: Reliability) -> None:
        assert await turned(reliability, RESTS_SEEN)

    async def test_one_that_never_comes_to_work_is_begun_anew_with_a_share(self) -> None:
        hurried = ReliabilityInProcess(patience=0)
        assert await scheduled(hurried) == os.SCHED_BATCH
        found = await hurried.measure(by_observer(OBSERVERS), level=Level.NOMINAL, seed=0)
        assert found == figures_of(by_observer(OBSERVERS), level=Level.NOMINAL, seed=0)

    async def test_a_process_that_fails_is_told_of_and_the_next_one_works(
        self, reliability: Reliability, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data = by_observer(OBSERVERS)
        before = children()
        asked = asyncio.create_task(reliability.measure(data, level=Level.NOMINAL, seed=0))
        (started,) = await until(lambda: children() - before)
        os.kill(started, 9)
        with pytest.raises(RuntimeError, match="status -9"):
            await asked
        assert (await reliability.measure(data, level=Level.NOMINAL, seed=0)).items == 12


CROWD = labels((item, who, item * who % 7) for item in range(3000) for who in range(5))


async def turned(reliability: Reliability, times: int) -> bool:
    """Whether the process gives its core back by itself so many times: one that only works does so when it reads, a few times in all."""
    before = children()
    asked = asyncio.create_task(reliability.measure(CROWD, level=Level.NOMINAL, seed=0))
    (started,) = await until(lambda: children() - before)
    most = 0
    while not asked.done():
        most = max(most, turns(started))
        await asyncio.sleep(0.002)
    assert (await asked).items == 3000
    return most >= times


def turns(pid: int) -> int:
    """How often a process gave its core back by itself so far; 0 once it has ended."""
    try:
        told = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(line.split()[1]) for line in told.splitlines() if line.startswith("voluntary_ctxt_switches"))


async def scheduled(reliability: Reliability) -> int:
    """How the process is scheduled that works something out which takes a while."""
    before = children()
    asked = asyncio.create_task(reliability.measure(CROWD, level=Level.NOMINAL, seed=0))

    def how() -> int:
        for pid in children() - before:
            with suppress(ProcessLookupError):
                return os.sched_getscheduler(pid)
        return 0

    found = await until(how)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    return found


def children() -> frozenset[int]:
    return frozenset(int(pid) for tasks in Path("/proc/self/task").glob("*/children") for pid in tasks.read_text().split())


def environment(pid: int) -> str:
    """Of the program, once it has taken the place of the one that started it."""
    name = Path(f"/proc/{pid}/cmdline").read_bytes()
    return Path(f"/proc/{pid}/environ").read_text() if b"adapters.agreement.worker" in name else ""


async def until(look: Callable[[], T]) -> T:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := look()):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.002)
    return found


# --- by NumPy as by the textbook ---------------------------------------------------------------------------------------------

PLACES = st.tuples(st.integers(1, 7), st.integers(1, 4))
NARROW, WIDE = st.integers(0, 3), st.integers(-(2**30), 2**30)
SEEDS = st.integers(0, 2**63 - 1)


def drawn(values: "st.SearchStrategy[int]") -> "st.SearchStrategy[Labels]":
    return st.dictionaries(PLACES, values, max_size=20).map(lambda given: labels((*place, value) for place, value in given.items()))


def near(one: float | None, other: float | None) -> bool:
    return one == other if one is None or other is None else abs(one - other) <= EXACT


def assert_same(one: Figures, other: Figures) -> None:
    assert (one.items, one.annotators) == (other.items, other.annotators)
    assert near(one.raw, other.raw)
    assert near(one.alpha.value, other.alpha.value)
    assert near(one.alpha.low, other.alpha.low)
    assert near(one.alpha.high, other.alpha.high)
    assert [(pair.a, pair.b, pair.items) for pair in one.pairs] == [(pair.a, pair.b, pair.items) for pair in other.pairs]
    assert all(near(pair.kappa, same.kappa) for pair, same in zip(one.pairs, other.pairs, strict=True))


@settings(max_examples=300)
@given(drawn(NARROW), st.sampled_from(Level), SEEDS)
def test_numpy_and_the_textbook_say_the_same(data: Labels, level: Level, seed: int) -> None:
    ours, theirs = figures_of(data, level=level, seed=seed, replicates=40), figures(data, level=level, seed=seed, replicates=40)
    assert_same(ours, theirs)
    assert ours.disputed == theirs.disputed


@settings(max_examples=150)
@given(drawn(WIDE), st.sampled_from(Level), SEEDS)
def test_they_do_when_labels_lie_far_apart(data: Labels, level: Level, seed: int) -> None:
    ours, theirs = figures_of(data, level=level, seed=seed, replicates=40), figures(data, level=level, seed=seed, replicates=40)
    assert_same(ours, theirs)
    assert set(ours.disputed) == set(theirs.disputed)


@settings(max_examples=50)
@given(drawn(WIDE), st.sampled_from(Level), SEEDS)
def test_what_goes_over_to_the_process_and_back_is_the_same(data: Labels, level: Level, seed: int) -> None:
    assert order_read(order_from(data, level=level, seed=seed)) == (data, level, seed)
    found = figures_of(data, level=level, seed=seed, replicates=2)
    assert outcome_read(outcome_from(found)) == found


# --- labels as columns ---------------------------------------------------------------------------------------------------------


class LabelReaderContract:
    async def test_labels_are_gathered_by_annotator_and_label(self, stage: Stage) -> None:
        here = await scene(stage, type="text", choices=None, level="nominal")
        said = {(2, 1): "é\u2028", (0, 1): "b", (0, 0): "a", (1, 2): "b", (1, 1): "b"}
        for (figure, person), label in said.items():
            await here.say(person, figure, label)
        found = await stage.label_reader.gather(here.label_set)
        assert rows(found) == {(here.figures[figure].id, here.people[person].id): label for (figure, person), label in said.items()}
        assert sorted(found.times) == [1, 1, 1, 2]
        assert found.names == {here.people[person].id: f"annotator-{person}" for person in range(3)}

    async def test_without_labels_there_are_no_groups(self, stage: Stage) -> None:
        here = await scene(stage)
        found = await stage.label_reader.gather(here.label_set)
        assert (len(found.resources), len(found.annotators), len(found.times), len(found.labels), found.names) == (0, 0, 0, 0, {})

    async def test_only_labels_of_this_set_on_live_resources_are_gathered(self, stage: Stage) -> None:
        here = await scene(stage)
        other = await stage.label_set("other", by=await stage.user("alan", role=Role.ADMIN))
        await here.say(0, 0, "a")
        await here.say(0, 1, "b")
        await here.say(1, 2, "a", label_set=other)
        await here.delete(1)
        assert rows(await stage.label_reader.gather(here.label_set)) == {(here.figures[0].id, here.people[0].id): "a"}

    async def test_the_mark_moves_with_every_change_and_only_then(self, stage: Stage) -> None:
        here = await scene(stage)
        other = await stage.label_set("other", by=await stage.user("alan", role=Role.ADMIN))
        marks = [await stage.label_reader.mark(here.label_set)]

        async def look() -> None:
            marks.append(await stage.label_reader.mark(here.label_set))
            assert marks[-1] == await stage.label_reader.mark(here.label_set)

        first = await here.say(0, 0, "a")
        await look()
        await here.say(0, 0, "b")
        await look()
        await here.say(1, 1, "a")
        await look()
        async with stage.unit_of_work() as work:
            await work.annotations.remove(replace(first, version=2), at=NOW)
            await work.commit()
        await look()
        await here.say(0, 0, "b")
        await look()
        await here.delete(1)
        await look()
        assert len(set(marks)) == len(marks)
        await here.say(2, 2, "a", label_set=other)
        assert await stage.label_reader.mark(here.label_set) == marks[-1]


def rows(found: Gathered) -> dict[tuple[int, int], Any]:
    """Each label by resource and annotator."""
    whose = [(who, label) for who, label, times in zip(found.annotators, found.labels, found.times, strict=True) for _ in range(times)]
    ids = [number for (number,) in struct.iter_unpack(">q", found.resources)]
    return {(resource, who): label for resource, (who, label) in zip(ids, whose, strict=True)}


class TestFakeLabelReader(InMemory, LabelReaderContract): ...


class TestLabelReaderInPostgres(InPostgres, LabelReaderContract):
    async def test_postgresql_rests_while_it_reads_many(self, stage: Stage, pool: Pool) -> None:
        here = await many(stage, pool)
        for read in (stage.label_reader.mark, stage.label_reader.gather):
            deadline = time.monotonic() + PATIENCE_SECONDS
            while not await seen_resting(pool, asyncio.create_task(read(here.label_set))):
                assert time.monotonic() < deadline

    async def test_it_may_take_longer_than_a_statement(self, stage: Stage, pool: Pool, database_url: str) -> None:
        here = await many(stage, pool)
        async with Pool(database_url, size=1, seconds=0.1) as hasty:
            reader = PostgresLabelReader(hasty)
            assert await reader.mark(here.label_set) == await stage.label_reader.mark(here.label_set)
            assert len((await reader.gather(here.label_set)).resources) == MANY * 8


MANY = 300  # rests of a millisecond each: the ids are those after which PostgreSQL rests

_MANY = Statement(
    text("""
    WITH made AS (
        INSERT INTO resources (project_id, name, name_key, search_text, status, attributes, created_by, owner_id, created_at, version)
        SELECT project_id, 'Many ' || n, 'many ' || n, 'many', 'active', '{}', created_by, owner_id, created_at, 1
        FROM resources, generate_series(1, :many) AS n WHERE id = :resource_id RETURNING id, project_id
    )
    INSERT INTO annotations (id, project_id, label_set_id, label_set_version, resource_id, annotator_id, value, created_at, version)
    OVERRIDING SYSTEM VALUE
    SELECT :step * row_number() OVER (), project_id, :label_set_id, 1, id, :annotator_id, '"a"', now(), 1 FROM made
""").bindparams(*(bindparam(name, type_=BigInteger) for name in ("many", "resource_id", "step", "label_set_id", "annotator_id")))
)
_RESTING = Statement(text("SELECT count(*) AS n FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"))


async def many(stage: Stage, pool: Pool) -> Scene:
    """Annotations that take as long to read as if each stood for as many as are read at once."""
    here = await scene(stage)
    given = {"resource_id": here.figures[0].id, "label_set_id": here.label_set.id, "annotator_id": here.people[0].id}
    await pool.rows(_MANY, many=MANY, step=ANNOTATIONS_AT_ONCE, **given)
    return here


async def seen_resting(pool: Pool, reading: "asyncio.Task[Any]") -> bool:
    seen = 0
    while not reading.done():
        seen += (await pool.one(_RESTING))["n"]
    await reading
    return seen > 0


# --- what is kept ------------------------------------------------------------------------------------------------------------


class KeptContract:
    async def test_an_answer_stays_until_the_mark_moves(self, kept: Kept) -> None:
        work = Work()
        work.end.set()
        assert [await kept.get(("it",), "one", work) for _ in range(3)] == [1, 1, 1]
        assert [await kept.get(("it",), "two", work) for _ in range(3)] == [2, 2, 2]

    async def test_keys_are_told_apart(self, kept: Kept) -> None:
        work = Work()
        work.end.set()
        keys = [("a", "b"), ("ab",), ("a",), ("b", "a")]
        assert [await kept.get(key, "one", work) for key in keys] == [1, 2, 3, 4]
        assert [await kept.get(key, "one", work) for key in keys] == [1, 2, 3, 4]

    async def test_an_error_goes_to_whoever_asked_and_does_not_stay(self, kept: Kept) -> None:
        async def fail() -> int:
            raise NotFound

        work = Work()
        work.end.set()
        with pytest.raises(NotFound):
            await kept.get(("it",), "one", fail)
        assert await kept.get(("it",), "one", work) == 1


class TestFakeKept(KeptContract):
    @pytest.fixture
    def kept(self) -> Kept:
        return FakeKept()


class TestKeptInProcess(KeptContract):
    @pytest.fixture
    def kept(self) -> Kept:
        return KeptInProcess()

    async def test_a_thousand_who_ask_at_once_cost_one(self, kept: Kept) -> None:
        work = Work()
        asked = [asyncio.create_task(kept.get(("it",), "one", work)) for _ in range(1000)]
        await asyncio.sleep(0)
        work.end.set()
        assert set(await asyncio.gather(*asked)) == {1}

    async def test_work_goes_on_when_who_asked_first_leaves(self, kept: Kept) -> None:
        work = Work()
        first, second = (asyncio.create_task(kept.get(("it",), "one", work)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        work.end.set()
        assert await second == 1
        assert work.times == 1

    async def test_work_under_an_old_mark_does_not_take_the_place_of_the_new(self, kept: Kept) -> None:
        old, new = Work(), Work()
        early = asyncio.create_task(kept.get(("it",), "one", old))
        await asyncio.sleep(0)
        new.times = 10
        new.end.set()
        assert await kept.get(("it",), "two", new) == 11
        old.end.set()
        assert await early == 1
        assert await kept.get(("it",), "two", new) == 11

    async def test_what_was_not_asked_for_longest_is_forgotten(self, kept: Kept) -> None:
        work = Work()
        work.end.set()
        for name in range(KEPT_MAX):
            await kept.get((str(name),), "one", work)
        await kept.get(("0",), "one", work)
        await kept.get(("new",), "one", work)
        assert await kept.get(("0",), "one", work) == 1
        assert await kept.get(("1",), "one", work) == KEPT_MAX + 2
