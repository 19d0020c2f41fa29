"""Attackers with a solver: everything published at one moment, as equations, and what they leave of each hidden count.

A count is found out when its largest and smallest possible value are the same. Nothing here knows how counts were hidden.

The first attacker's unknowns are the counts of every pair of questions, "no answer" included, and of each option of a multiple
choice; a question's own counts are the sums of each of its tables, so that all documents bind one another. The second one's are the
numbers of people for each way to answer the whole survey: no attacker who knows nobody can do more with the same numbers. It has to
fail where one question makes groups; where several do, it is known to succeed on rare surveys: docs/decisions/0009-results.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.sparse import csr_array

from domain.results import OVERALL, Tally, publish, published
from domain.results.suppression import Crossing
from domain.survey import Survey
from tests.examples import definition, survey

Terms = dict[int, float]
ABSENT = "absent"
_CLOSE = 1e-6
_UNBOUNDED = 3


@dataclass(slots=True, kw_only=True)
class Equations:
    """Sums of unknowns of at least zero."""

    unknowns: dict[Any, int] = field(default_factory=dict)
    rows: list[Terms] = field(default_factory=list)
    sums: list[float] = field(default_factory=list)

    def unknown(self, *name: Any) -> int:
        return self.unknowns.setdefault(name, len(self.unknowns))

    def add(self, terms: Terms, total: float) -> None:
        self.rows.append(terms)
        self.sums.append(total)

    def same(self, one: list[int], other: list[int]) -> None:
        terms: Terms = dict.fromkeys(one, 1.0)
        for each in other:
            terms[each] = terms.get(each, 0.0) - 1.0
        self.add(terms, 0.0)

    def found_out(self, hidden: list[tuple[Any, list[int]]]) -> Iterator[tuple[Any, float]]:
        """Those sums of unknowns that can only be one number, by name."""
        entries = [(value, row, column) for row, terms in enumerate(self.rows) for column, value in terms.items()]
        values, rows, columns = zip(*entries, strict=True)
        matrix = csr_array((values, (rows, columns)), shape=(len(self.rows), len(self.unknowns)))
        for name, parts in hidden:
            cost = np.zeros(len(self.unknowns))
            cost[parts] = 1.0
            low, high = (sign * _least(sign * cost, matrix, self.sums) for sign in (1, -1))
            if high - low < _CLOSE:
                yield name, round(low, 3)


def _least(cost: Any, matrix: Any, sums: list[float]) -> float:
    found = linprog(cost, A_eq=matrix, b_eq=np.array(sums), bounds=(0, None), method="highs")
    assert found.status in (0, _UNBOUNDED), found.message
    return float(found.fun) if found.status == 0 else -np.inf


def cells_of(question: dict[str, Any]) -> list[Any]:
    return [str(cell.get("value", cell.get("from"))) for cell in question["counts"]]


def counts_of(question: dict[str, Any]) -> dict[Any, int | None]:
    return dict(zip(cells_of(question), (cell["count"] for cell in question["counts"]), strict=True))


def attack(documents: dict[str, dict[str, Any]], *, by_tables: bool = True) -> list[tuple[Any, float]]:
    """Every hidden count that can be worked out from pairs of questions, tables at hand or not, and what it is."""
    equations, base = Equations(), documents[OVERALL]
    if base["n"] is None:
        return []
    hidden: list[tuple[Any, list[int]]] = []
    questions = {question["field"]: question for question in base["questions"] if "counts" in question}
    for name, question in questions.items():
        hidden += _question(equations, name, question, base["n"])
    for by, question in _tables(documents):
        hidden += _table(equations, by, question, questions[by], by_tables=by_tables)
    return list(equations.found_out(hidden))


def _tables(documents: dict[str, dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every table, after seeing that its margins are just what is published without it."""
    base = documents[OVERALL]
    own = {question["field"]: question for question in base["questions"]}
    for by, document in documents.items():
        if by == OVERALL:
            continue
        assert document["n"] == base["n"]
        assert [(g["value"], g["n"]) for g in document["by"]["groups"]] == [(c["value"], c["count"]) for c in own[by]["counts"]]
        for question in document["questions"]:
            assert {key: value for key, value in question.items() if key != "groups"} == own[question["field"]]
            if "groups" in question:
                yield by, question


def _question(equations: Equations, name: str, question: dict[str, Any], n: int) -> Iterator[tuple[Any, list[int]]]:
    """A question's own counts, which add up to all respondents with those who did not answer."""
    absent, known = equations.unknown(name, ABSENT), counts_of(question)
    if question["n"] is not None:
        equations.add({absent: 1.0}, n - question["n"])
    if question["type"] == "multi_choice":
        for cell in known:
            equations.add({equations.unknown(name, cell): 1, equations.unknown(name, cell, "not"): 1, absent: 1}, n)
    else:
        equations.add(dict.fromkeys([absent, *(equations.unknown(name, cell) for cell in known)], 1.0), n)
    for cell, count in known.items():
        unknown = equations.unknown(name, cell)
        if count is None:
            yield (name, cell), [unknown]
        else:
            equations.add({unknown: 1.0}, count)


def _table(
    equations: Equations, by: str, question: dict[str, Any], groups: dict[str, Any], *, by_tables: bool
) -> Iterator[tuple[Any, list[int]]]:
    """The counts of a question within groups: they add up to the groups and to the question's own counts."""
    name = question["field"]
    rows = [*cells_of(groups), ABSENT]
    for row in rows[:-1]:
        published = next(g for g in question["groups"] if str(g["value"]) == row)
        for cell, count in counts_of(published).items():
            unknown = _pair(equations, by, row, name, cell)
            if count is None:
                yield ((by, row), (name, cell)), [unknown]
            elif by_tables:
                equations.add({unknown: 1.0}, count)
    cells = cells_of(question)
    parts = [[cell, (cell, "not"), ABSENT] for cell in cells] if question["type"] == "multi_choice" else [[*cells, ABSENT]]
    for columns in parts:
        for row in rows:
            equations.same([_pair(equations, by, row, name, column) for column in columns], [equations.unknown(by, row)])
        for column in columns:
            own = equations.unknown(name, *(column if isinstance(column, tuple) else (column,)))
            equations.same([_pair(equations, by, row, name, column) for row in rows], [own])


def _pair(equations: Equations, one: str, row: Any, other: str, column: Any) -> int:
    return equations.unknown(frozenset({(one, row), (other, column)}))


def attack_by_people(documents: dict[str, dict[str, Any]], survey: Survey, *, by_tables: bool = True) -> list[tuple[Any, float]]:
    """Every hidden count that can be worked out by numbers of people who answer the whole survey alike, tables at hand or not."""
    equations, base = Equations(), documents[OVERALL]
    if base["n"] is None:
        return []
    ways = [dict(zip(_fields(survey), way, strict=True)) for way in product(*(_ways(q.document()) for q in survey.definition.questions))]
    kinds = [(equations.unknown(i), way) for i, way in enumerate(way for way in ways if any(a is not None for a in way.values()))]
    equations.add({unknown: 1.0 for unknown, _ in kinds}, base["n"])
    hidden: list[tuple[Any, list[int]]] = []

    def tell(name: Any, count: int | None, **who: Any) -> None:
        parts = [unknown for unknown, way in kinds if all(_is(way[field], value) for field, value in who.items())]
        if count is None:
            hidden.append((name, parts))
        else:
            equations.add(dict.fromkeys(parts, 1.0), count)

    for question in base["questions"]:
        name = question["field"]
        if question["n"] is not None:
            equations.add({unknown: 1.0 for unknown, way in kinds if way[name] is not None}, question["n"])
        for cell in question["counts"]:
            tell((name, cell["value"]), cell["count"], **{name: cell["value"]})
    for by, question in _tables(documents):
        name = question["field"]
        for group in question["groups"]:
            for cell in group["counts"]:
                count = cell["count"] if by_tables else None
                tell((by, group["value"], name, cell["value"]), count, **{by: group["value"], name: cell["value"]})
    return list(equations.found_out(hidden))


def _fields(survey: Survey) -> list[str]:
    return [question.field for question in survey.definition.questions]


def _is(answer: Any, value: Any) -> bool:
    return value in answer if isinstance(answer, tuple) else answer is not None and bool(answer == value)


def _values(question: dict[str, Any]) -> list[Any]:
    if question["type"] == "scale":
        return list(range(question["min"], question["max"] + 1))
    return [each["value"] for each in question["choices"]] if "choices" in question else [True, False]


def _ways(question: dict[str, Any]) -> list[Any]:
    """Every way to answer a question, or not to."""
    values = _values(question)
    if question["type"] == "multi_choice":
        return [None, *(chosen for size in range(len(values) + 1) for chosen in combinations(values, size))]
    return [None, *values]


# --- surveys to attack -------------------------------------------------------------------------------------------------------


def choice(name: str, size: int) -> dict[str, Any]:
    return {"field": name, "type": "choice", "choices": [{"value": f"{name}{i}"} for i in range(size)]}


def several(name: str, size: int) -> dict[str, Any]:
    return choice(name, size) | {"type": "multi_choice"}


def asked(*questions: dict[str, Any], minimum: int) -> Survey:
    return survey(definition(*questions, results={"public": True, "minimum_cell": minimum}))


def documents_of(of: Survey, answers: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    tally = Tally(of.definition)
    tally.add(answers)
    return publish(of, tally)


def _answers(question: dict[str, Any]) -> st.SearchStrategy[Any]:
    values = _values(question)
    if question["type"] == "multi_choice":
        return st.none() | st.lists(st.sampled_from(values), unique=True).map(lambda chosen: [v for v in values if v in chosen])
    return st.sampled_from([*values, *values, values[0], values[0], None])


YES = {"field": "b", "type": "boolean"}
STEPS = {"field": "c", "type": "scale", "min": 1, "max": 3}

Case = tuple[Survey, list[dict[str, Any]]]


@st.composite
def cases(draw: st.DrawFn, second: list[dict[str, Any]], third: list[dict[str, Any]]) -> Case:
    """A survey of two or three questions, and people who answer alike: small groups and empty cells are common."""
    questions = [choice("a", draw(st.integers(1, 4))), draw(st.sampled_from(second)), *draw(st.sampled_from([[], *([q] for q in third)]))]
    person = st.fixed_dictionaries({question["field"]: _answers(question) for question in questions})
    kinds = draw(st.lists(st.tuples(person, st.integers(1, 12)), min_size=1, max_size=9))
    return asked(*questions, minimum=draw(st.integers(1, 5))), [who for who, times in kinds for _ in range(times)]


@settings(max_examples=60)
@given(case=cases([choice("b", 2), choice("b", 3), YES, several("b", 2)], [choice("c", 2), choice("c", 3), STEPS, several("c", 3)]))
def test_nothing_hidden_can_be_worked_out_from_all_tables(case: Case) -> None:
    """Tables give nothing away that is not plain without them, and that is never a small count."""
    documents, of = documents_of(*case), case[0]
    plain = dict(attack(documents, by_tables=False))
    assert [found for found in attack(documents) if found[0] not in plain] == []
    assert all(count >= of.definition.results.minimum_cell for count in plain.values())


def check_whole_answers(case: Case) -> None:
    """Tables give nothing away that is not plain without them: of two questions, `n` of each tells how many answered both."""
    documents, of = documents_of(*case), case[0]
    plain = dict(attack_by_people(documents, of, by_tables=False))
    assert [found for found in attack_by_people(documents, of) if found[0] not in plain] == []
    assert not [name for name in plain if len(name) == 2]


@settings(max_examples=60)
@given(case=cases([YES, several("b", 2), several("b", 3)], [STEPS, several("c", 2)]))
def test_nothing_hidden_can_be_worked_out_by_whole_answers_where_one_question_makes_groups(case: Case) -> None:
    check_whole_answers(case)


@settings(max_examples=40)
@given(case=cases([choice("b", 2), choice("b", 4)], []))
def test_nothing_hidden_can_be_worked_out_by_whole_answers_to_two_questions(case: Case) -> None:
    check_whole_answers(case)


def _people(*kinds: tuple[int, dict[str, Any]]) -> list[dict[str, Any]]:
    return [answers for times, answers in kinds for _ in range(times)]


SMALL_GROUP = _people(
    (12, {"a": "a0", "b": "b0"}),
    (9, {"a": "a0", "b": "b1"}),
    (8, {"a": "a1", "b": "b0"}),
    (2, {"a": "a1", "b": "b1"}),
)


def test_the_attacks_succeed_where_only_small_counts_are_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    of = asked(choice("a", 2), choice("b", 2), minimum=5)
    monkeypatch.setattr(Crossing, "protect", lambda _: True)
    documents = documents_of(of, SMALL_GROUP)
    assert dict(attack(documents)) == {(("a", "a1"), ("b", "b1")): 2, (("b", "b1"), ("a", "a1")): 2}
    assert dict(attack_by_people(documents, of)) == {("a", "a1", "b", "b1"): 2, ("b", "b1", "a", "a1"): 2}
    monkeypatch.undo()
    documents = documents_of(of, SMALL_GROUP)
    assert attack(documents) == attack_by_people(documents, of) == []


def test_the_attacks_succeed_where_a_lone_count_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    of = asked(choice("a", 3), minimum=5)
    monkeypatch.setattr(published, "shown", lambda counts, *, minimum: [count >= minimum for count in counts])
    documents = documents_of(of, _people((9, {"a": "a0"}), (7, {"a": "a1"}), (3, {"a": "a2"})))
    assert attack(documents) == attack_by_people(documents, of) == [(("a", "a2"), 3)]


def test_the_attacks_succeed_on_the_options_of_a_multiple_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    of = asked(choice("a", 2), several("b", 2), minimum=5)
    people = _people((9, {"a": "a0", "b": ["b0"]}), (2, {"a": "a1", "b": ["b0"]}), (8, {"a": "a1", "b": ["b1"]}))
    monkeypatch.setattr(Crossing, "protect", lambda _: True)
    documents = documents_of(of, people)
    assert (("a", "a1"), ("b", "b0")) in dict(attack(documents))
    assert ("a", "a1", "b", "b0") in dict(attack_by_people(documents, of))
