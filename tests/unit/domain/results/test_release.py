"""A release under noise: how far one respondent moves the counts, that the counts fit together, and how exact they are."""

import random
from fractions import Fraction
from itertools import product
from math import sqrt
from statistics import fmean
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.results import OVERALL, group_faults
from domain.results.budget import Spending, series
from domain.results.consistent import adding_up, fitted, whole_within
from domain.results.noise import Plan, half_width, plan, with_noise
from domain.results.release import forecast, release
from domain.results.tables import ContingencyTables
from domain.survey import Definition, Survey
from tests.examples import AGE, CONSENT, DATE, GATE, NOTE, PLATFORMS, SCALE, definition, gated, survey
from tests.unit.domain.results.people import YES, counted, demo, made_up

SIDE: dict[str, Any] = {"field": "side", "type": "choice", "choices": [{"value": "left"}, {"value": "right"}]}
HAND: dict[str, Any] = {"field": "hand", "type": "choice", "choices": [{"value": "one"}, {"value": "two"}, {"value": "three"}]}
Document = dict[str, Any]


def spending(responses: int, of: Survey) -> Spending:
    """The last release of a series that has reached so many responses."""
    last = None
    for each in series(of.definition.results):
        if each.responses > responses:
            break
        last = each
    assert last is not None
    return last


# --- how far one respondent moves the counts ---------------------------------------------------------------------------------


def vector(tables: ContingencyTables, planned: Plan) -> tuple[list[int], list[int]]:
    """Every count that gets noise, without groups and within."""
    own = [tables.n] if planned.counts_n else []
    for each in planned.measures:
        own += [*tables.counts[each.field]] if each.cells else []
        own += [tables.answered[each.field]] if each.is_multiple or not each.cells else []
    return own, [count for g, q in planned.pairs for row in tables.crossed[g.field, q.field] for count in row]


def everything_that_one_can_answer(of: Definition) -> list[dict[str, Any]]:
    ways: list[list[Any]] = []
    for question in of.questions:
        match question.type:
            case "choice":
                ways.append([None, *[choice.value for choice in question.choices_offered]])
            case "multi_choice":
                values = [choice.value for choice in question.choices_offered]
                ways.append(
                    [None, *[[v for v, is_in in zip(values, way, strict=True) if is_in] for way in product([0, 1], repeat=len(values))]]
                )
            case "boolean":
                ways.append([None, True, False])
            case "scale":
                ways.append([None, 1, 2])
            case _:
                ways.append([None, {"text": "a", "date": "2026-01-01", "integer": 30}[question.type]])
    return [{q.field: a for q, a in zip(of.questions, way, strict=True) if a is not None} for way in product(*ways)]


@pytest.mark.parametrize(
    "of",
    [
        definition(SIDE),
        definition(PLATFORMS),
        definition(NOTE, DATE),
        definition(SIDE, HAND, PLATFORMS, results={"public": True, "by": ["side"]}),
        definition(SIDE, HAND, YES, results={"public": True, "by": ["side", "hand"]}),
        gated(SIDE, PLATFORMS, results={"public": True, "by": ["side", "consent"]}),
        gated(SIDE, YES | {"public": False}, results={"public": True, "by": ["side"]}),
        definition(CONSENT | {"public": False}, SIDE, consent=GATE),
    ],
)
def test_nobody_moves_the_counts_by_more_than_the_sensitivity_and_somebody_by_as_much(of: Definition) -> None:
    planned = plan(of)
    vectors = [vector(counted(of, [answers]), planned) for answers in everything_that_one_can_answer(of)]
    nobody = vector(counted(of, []), planned)
    for part, promised in ((0, planned.sensitivity), (1, planned.crossed_sensitivity)):
        distances = {sum((a - b) ** 2 for a, b in zip(x[part], y[part], strict=True)) for x in vectors for y in [*vectors, nobody]}
        assert max(distances) == promised


def test_the_demo_has_the_sensitivities_of_the_arithmetic() -> None:
    assert (plan(demo().definition).sensitivity, plan(demo().definition).crossed_sensitivity) == (26, 0)
    by = plan(demo(by=["gender_ord", "race_ord"]).definition)
    assert (by.sensitivity, by.crossed_sensitivity) == (26, 54)


# --- counts fit together -----------------------------------------------------------------------------------------------------


def documents(of: Survey, people: list[dict[str, Any]], *, chance: int = 1) -> dict[str, Document]:
    bits = random.Random(chance).getrandbits
    return release(of, counted(of.definition, people), spending(max(len(people), of.definition.results.start), of), bits)


def counts(question: Document) -> list[int]:
    return [cell["count"] for cell in question["counts"]]


def check_sums(of: Survey, made: dict[str, Document]) -> None:
    for by, document in made.items():
        n = document["n"]
        sizes = [group["n"] for group in document["by"]["groups"]] if by != OVERALL else []
        for question in document["questions"]:
            own = counts(question) if "counts" in question else []
            assert all(count >= 0 for count in own)
            assert question["n"] <= (
                document["responses"] if of.definition.consent and question["field"] == of.definition.consent.field else n
            )
            is_multiple = question["type"] == "multi_choice"
            if own:
                assert max(own) <= question["n"] if is_multiple else sum(own) == question["n"]
            if "groups" not in question:
                continue
            table = [counts(group) for group in question["groups"]]
            gate = of.definition.consent and of.definition.consent.field
            without_group = max(n - sum(sizes), 0) if gate not in (by, question["field"]) else 0
            for place, column in enumerate(zip(*table, strict=True)):
                assert all(count >= 0 for count in column)
                if gate != question["field"]:
                    assert max(own[place] - without_group, 0) <= sum(column) <= own[place]
            for size, row in zip(sizes, table, strict=True):
                assert max(row) <= size if is_multiple else sum(row) <= size


@settings(max_examples=60, deadline=None)
@given(
    number=st.integers(0, 120),
    answering=st.sampled_from([0.0, 0.3, 0.9, 1.0]),
    consenting=st.sampled_from([0.0, 0.5, 1.0]),
    chance=st.integers(0, 10**9),
    is_gated=st.booleans(),
)
def test_published_counts_are_whole_and_add_up(number: int, answering: float, consenting: float, chance: int, *, is_gated: bool) -> None:
    by = {"public": True, "by": ["side", "hand", *(["consent"] if is_gated else [])], "budget": 0.5}
    asked = (SIDE, HAND, PLATFORMS, AGE, NOTE, YES)
    of = survey((gated if is_gated else definition)(*asked, results=by))
    people = made_up(of.definition, number, chance=random.Random(chance), answering=answering, consenting=consenting)
    check_sums(of, documents(of, people, chance=chance))


def test_where_everybody_answers_groups_add_up_to_what_is_told_of_all() -> None:
    of = demo(by=["gender_ord"])
    made = documents(of, made_up(of.definition, 4000, chance=random.Random(1), answering=1, consenting=1))["gender_ord"]
    sizes = [group["n"] for group in made["by"]["groups"]]
    for question in (each for each in made["questions"] if "groups" in each and each["field"] != "consent"):
        missing = made["n"] - sum(sizes)
        for own, column in zip(counts(question), zip(*map(counts, question["groups"]), strict=True), strict=True):
            assert own - missing <= sum(column) <= own


def test_both_tables_of_two_fields_that_make_groups_are_one() -> None:
    of = demo(by=["gender_ord", "race_ord"])
    made = documents(of, made_up(of.definition, 200, chance=random.Random(2)))
    one = next(q for q in made["gender_ord"]["questions"] if q["field"] == "race_ord")
    other = next(q for q in made["race_ord"]["questions"] if q["field"] == "gender_ord")
    assert [counts(group) for group in one["groups"]] == [list(row) for row in zip(*map(counts, other["groups"]), strict=True)]
    assert "groups" not in next(q for q in made["race_ord"]["questions"] if q["field"] == "race_ord")


def test_a_question_that_is_not_public_is_in_no_document() -> None:
    of = demo(YES | {"public": False}, by=["gender_ord"])
    made = documents(of, made_up(of.definition, 200, chance=random.Random(3)))
    assert all(question["field"] != "yes" for document in made.values() for question in document["questions"])
    assert plan(of.definition) == plan(demo(by=["gender_ord"]).definition)


def test_the_mean_and_the_quartiles_come_from_the_counts() -> None:
    of = survey(definition(SCALE, AGE | {"bins": [0, 18, 30, 50, 131]}, results={"public": True, "budget": 4}))
    made = documents(of, made_up(of.definition, 300, chance=random.Random(4)))[OVERALL]
    trust, age = made["questions"]
    assert trust["mean"] == float(f"{sum(step * count for step, count in enumerate(counts(trust), 1)) / trust['n']:.3g}")
    assert [(cell["from"], cell["to"]) for cell in age["counts"]] == [(0, 17), (18, 29), (30, 49), (50, 130)]
    assert age["mean"] == float(f"{sum(m * count for m, count in zip((8.5, 23.5, 39.5, 90), counts(age), strict=True)) / age['n']:.3g}")
    assert all(low <= high for low, high in zip(age["quartiles"], age["quartiles"][1:], strict=False))


@given(
    wanted=st.lists(st.floats(-50, 50), min_size=1, max_size=8),
    rooms=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=8, max_size=8),
    share=st.floats(0, 1),
)
def test_whole_numbers_are_within_their_bounds(wanted: list[float], rooms: list[tuple[int, int]], share: float) -> None:
    bounds = [(low, low + room) for low, room in rooms[: len(wanted)]]
    least, most = sum(low for low, _ in bounds), sum(high for _, high in bounds)
    total = round(least + share * (most - least))
    chosen = whole_within(wanted, bounds, total)
    assert sum(chosen) == total
    assert all(low <= value <= high for value, (low, high) in zip(chosen, bounds, strict=True))


@given(wanted=st.lists(st.integers(-100, 100), min_size=1, max_size=12), total=st.integers(0, 300))
def test_counts_add_up(wanted: list[int], total: int) -> None:
    chosen = adding_up(wanted, total)
    assert sum(chosen) == total
    assert min(chosen) >= 0


def test_counts_that_add_up_already_stay_as_they_are() -> None:
    assert adding_up([5, 0, 7], 12) == [5, 0, 7]
    assert fitted([[5, 0], [1, 7]], [(0, 5), (0, 9)], [(6, 6), (7, 8)]) == [[5, 0], [1, 7]]


@given(
    table=st.lists(st.lists(st.integers(-40, 60), min_size=3, max_size=3), min_size=2, max_size=5),
    left=st.tuples(st.integers(0, 20), st.integers(0, 20)),
    columns=st.lists(st.integers(0, 60), min_size=3, max_size=3),
    chance=st.integers(0, 1000),
)
def test_a_table_is_within_the_bounds_of_its_margins(
    table: list[list[int]], left: tuple[int, int], columns: list[int], chance: int
) -> None:
    n = sum(columns) + left[0]
    rows = [0] * len(table)
    for _ in range(max(n - left[1], 0)):
        rows[random.Random(chance).randrange(len(rows))] += 1
    without_row = n - sum(rows)
    in_rows = [(max(count - left[0], 0), count) for count in rows]
    in_columns = [(max(count - without_row, 0), count) for count in columns]
    made = fitted(table, in_rows, in_columns)
    assert min(min(row) for row in made) >= 0
    assert all(low <= sum(row) <= high for row, (low, high) in zip(made, in_rows, strict=True))
    assert all(low <= sum(column) <= high for column, (low, high) in zip(zip(*made, strict=True), in_columns, strict=True))


# --- how exact they are ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("by", "bound", "within"), [([], 1.0, None), (["gender_ord"], 1.25, 2.0), (["gender_ord", "race_ord"], 1.25, 2.0)])
def test_noise_is_bounded_by_the_root_of_the_responses_at_every_release(by: list[str], bound: float, within: float | None) -> None:
    of, seen = demo(by=by), 0
    for each in series(of.definition.results):
        if each.responses > 10**6:
            break
        variance, crossed = plan(of.definition).variances(each.total)
        assert sqrt(variance) <= bound * sqrt(each.responses)
        assert (crossed is None) == (within is None)
        if crossed is not None and within is not None:
            assert sqrt(crossed) <= within * sqrt(each.responses)
        seen += 1
    assert seen == 42


@pytest.mark.parametrize("number", [100, 1000, 10_000])
@pytest.mark.parametrize(("by", "bound"), [((), 1.0), (("gender_ord", "race_ord"), 1.25)])
def test_published_counts_of_the_demo_are_as_exact_as_is_promised(number: int, by: tuple[str, ...], bound: float) -> None:
    of = demo(by=list(by))
    number = spending(number, of).responses
    tables = counted(of.definition, made_up(of.definition, number, chance=random.Random(5)))
    errors: list[int] = []
    crossed: list[int] = []
    for chance in range(30):
        made = release(of, tables, spending(number, of), random.Random(chance).getrandbits)
        for question in made[OVERALL]["questions"]:
            errors += [a - b for a, b in zip(counts(question), tables.counts[question["field"]], strict=True)]
        for field in by:
            for question in (each for each in made[field]["questions"] if "groups" in each and each["field"] != "consent"):
                exact = tables.crossed[field, question["field"]]
                crossed += [a - b for g, row in zip(question["groups"], exact, strict=True) for a, b in zip(counts(g), row, strict=True)]
    deviation = sqrt(fmean(e * e for e in errors))
    assert deviation <= bound * sqrt(number)
    if by:
        assert sqrt(fmean(e * e for e in crossed)) <= 2.0 * sqrt(number)


def test_what_is_told_of_the_accuracy_holds_in_nineteen_of_twenty() -> None:
    of = demo(by=["gender_ord"])
    planned, share = plan(of.definition), spending(1000, of).total
    tables = counted(of.definition, made_up(of.definition, 1000, chance=random.Random(6)))
    variance, crossed = planned.variances(share)
    outside = within = total = 0
    for chance in range(60):
        noisy = with_noise(tables, planned, share, random.Random(chance).getrandbits)
        drawn = [a - b for field in noisy.counts for a, b in zip(noisy.counts[field], tables.counts[field], strict=True)]
        outside += sum(abs(each) > (half_width(variance) or 0) for each in drawn)
        total += len(drawn)
        within += sum(
            abs(a - b) > (half_width(crossed) or 0)
            for a, b in zip(noisy.crossed["gender_ord", "age"][0], tables.crossed["gender_ord", "age"][0], strict=True)
        )
    assert outside / total < 0.06
    assert outside / total > 0.03
    assert within / 600 < 0.09


def test_the_forecast_says_what_settings_and_questions_cost() -> None:
    plain, by = forecast(demo().definition), forecast(demo(by=["gender_ord", "race_ord"]).definition)
    assert [each["responses"] for each in plain] == [100, 1000, 10_000]
    assert plain[0] == {"responses": 100, "count": half_width(Fraction(26) / Fraction("0.36")), "group": None}
    assert by[0] == {"responses": 100, "count": 24, "group": 34}
    fewer = forecast(demo(YES | {"public": False}).definition)
    assert fewer == plain
    assert all(a["count"] > b["count"] for a, b in zip(forecast(demo(YES).definition), plain, strict=True))
    assert all(a["count"] < b["count"] for a, b in zip(forecast(demo(budget=4).definition), plain, strict=True))
    assert forecast(demo(start=1000).definition)[0] == {"responses": 100, "count": None, "group": None}
    assert forecast(demo(protection="suppression").definition) == []


@pytest.mark.parametrize(
    ("sizes", "by", "pointers"),
    [
        ([50, 50], ["c0"], []),
        ([50, 51], ["c0"], ["/results/by/0"]),
        ([10, 2, 251], ["c1", "c0"], ["/results/by/1"]),
        ([50] * 90, ["c0"], ["/results/by/0"]),
        ([50] * 50, ["c0", "c1"], ["/results/by/1"]),
    ],
)
def test_groups_have_room_for_so_many_cells(sizes: list[int], by: list[str], pointers: list[str]) -> None:
    asked = [{"field": f"c{i}", "type": "choice", "choices": [{"value": str(v)} for v in range(size)]} for i, size in enumerate(sizes)]
    assert [fault.pointer for fault in group_faults(definition(*asked, results={"by": by}))] == pointers


def test_bins_hold_what_is_declared_and_nothing_outside_counts() -> None:
    of = definition(AGE | {"bins": [18, 30, 50]}, {"field": "share", "type": "number", "bins": [0.0, 0.5, 1.0]})
    people = [{"age": age, "share": share} for age, share in ((17, -0.1), (18, 0.0), (29, 0.49), (30, 0.5), (49, 1.0), (50, 1.1))]
    tables = counted(of, people)
    assert tables.counts == {"age": [2, 2], "share": [2, 2]}
    assert tables.answered == {"age": 4, "share": 4}
