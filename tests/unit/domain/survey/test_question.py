"""What each type of question accepts, and in which form."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.survey import InvalidAnswer
from domain.survey.question_types import question_from
from tests.examples import AGE, BOOLEAN, CONSENT, DATE, INTEGER, MANY, NOTE, NUMBER, PLATFORMS, SCALE

NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("question", "value", "stored"),
    [
        (CONSENT, "accepted", "accepted"),
        (CONSENT, 1, "accepted"),
        (CONSENT, 0, "declined"),
        (MANY, [], []),
        (MANY, "", []),
        (MANY, "  ", []),
        (MANY, ["d", "a"], ["a", "d"]),
        (MANY, "d , a", ["a", "d"]),
        (MANY, "b c", ["b c"]),
        (SCALE, 1, 1),
        (SCALE, "7", 7),
        (AGE, 0, 0),
        (AGE, "130", 130),
        (INTEGER, "-0", 0),
        (INTEGER, 2**63 - 1, 2**63 - 1),
        (INTEGER, str(-(2**63)), -(2**63)),
        (NUMBER, 3, 3.0),
        (NUMBER, 3.25, 3.25),
        (NUMBER, "3", 3.0),
        (NUMBER, "-0.50", -0.5),
        (NUMBER, 1e308, 1e308),
        (BOOLEAN, True, True),
        (BOOLEAN, False, False),
        (NOTE, "", ""),
        (NOTE, "\U0001f600" * 2000, "\U0001f600" * 2000),
        (NOTE, "line\nline\t", "line\nline\t"),
        (DATE, "2024-02-29", "2024-02-29"),
        (DATE, "0001-01-01", "0001-01-01"),
        (DATE, "9999-12-31", "9999-12-31"),
    ],
)
def test_what_is_plainly_meant_is_accepted_in_one_form(question: dict[str, Any], value: object, stored: object) -> None:
    accepted = question_from(question).accept(value)
    assert (accepted, type(accepted)) == (stored, type(stored))


ODD: list[object] = [None, True, False, NAN, INFINITY, -INFINITY, [], {}, [[]], {"value": "accepted"}, "\x00", "\ud800", b"3"]
ODD_NUMBERS: list[object] = [
    *("", " ", "03", " 3", "3 ", "+3", "--3", "-", "3.", ".3", "1e2", "1E2", "0x3", "1_0", "٣", "３", "3\n", "NaN", "Infinity", "three"),
    *("9" * 401, "-" + "9" * 5000, "1,5", "3;", [3], ["3"], {"n": 3}),
]
REFUSED: dict[str, tuple[dict[str, Any], list[object]]] = {
    "choice": (CONSENT, [*ODD, "", "Accepted", " accepted", "1", 2, 1.0, -1, 10**400, ["accepted"]]),
    "choice without codes": (CONSENT | {"choices": [{"value": "x"}]}, [*ODD, 0, 1, ""]),
    "multi_choice": (
        MANY,
        [*(odd for odd in ODD if odd != []), ["a", "a"], "a,a", "a,", ",", ["x"], "a,x", 1, [1], ["a", None], "A", ["b  c"]],
    ),
    "scale": (SCALE, [*ODD, *ODD_NUMBERS, 0, 8, "0", "8", "-1", 3.0, "3.0", 3.5, 10**400]),
    "integer": (INTEGER, [*ODD, *ODD_NUMBERS, 3.0, "3.0", 2**63, -(2**63) - 1, str(2**63), 10**400]),
    "integer in a range": (AGE, [-1, 131, "131", 10**30]),
    "number": (NUMBER, [*ODD, *ODD_NUMBERS, "00.5", "5.", 10**400, "9" * 400]),
    "number in a range": (NUMBER | {"min": 0.5, "max": 1}, [0.49, 1.01, "0", -1, 2]),
    "boolean": (BOOLEAN, [*(odd for odd in ODD if not isinstance(odd, bool)), 0, 1, "true", "false", "True", ""]),
    "text": (NOTE | {"max_length": 3}, [*ODD, "four", 3, "a\r", "\x80"]),
    "date": (
        DATE,
        [
            *ODD,
            "",
            "2023-02-29",
            "2024-2-9",
            "2024-02-30",
            "2024-13-01",
            "0000-01-01",
            "20240229",
            "2024-W09-4",
            "2024-02-29T00:00",
            "24-02-29",
        ],
    ),
    "date with odd digits": (DATE, [" 2024-02-29", "2024-02-29\n", "٢٠٢٤-02-29", "2024/02/29", 20240229, "+2024-02-29", "10000-01-01"]),
}


@pytest.mark.parametrize(
    ("question", "value"), [pytest.param(q, v, id=f"{name}-{str(v)[:20]!r}") for name, (q, vs) in REFUSED.items() for v in vs]
)
def test_anything_else_is_refused(question: dict[str, Any], value: object) -> None:
    with pytest.raises(InvalidAnswer) as refused:
        question_from(question).accept(value)
    assert refused.value.detail.startswith(f"{question['field']} takes ")


def test_a_refusal_says_what_is_allowed_and_never_what_was_given() -> None:
    def detail(question: dict[str, Any], value: object) -> str:
        with pytest.raises(InvalidAnswer) as refused:
            question_from(question).accept(value)
        return refused.value.detail

    assert detail(CONSENT, "<script>") == "consent takes one of accepted (1), declined (0)."
    assert detail(SCALE, "<script>") == "trust takes a whole number from 1 to 7."
    assert detail(MANY, "<script>") == "m takes a list, without duplicates, of any of a, b c, d."
    assert detail(NUMBER | {"min": 1}, "<script>") == "n takes a number of at least 1."


QUESTIONS = [CONSENT, MANY, SCALE, AGE, INTEGER, NUMBER, BOOLEAN, NOTE, DATE, PLATFORMS]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.from_regex(r"-?[0-9]{1,3}(\.[0-9]+)?", fullmatch=True),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)
LIKELY = st.sampled_from(["accepted", "a", "b c,a", "Twitter", ["Other", "Twitter"], ["d"], 1, 0, 7, "7", True, "2024-02-29", 0.5, "-0.5"])


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question["type"])
@given(value=JSON | LIKELY)
def test_what_was_accepted_is_accepted_again_as_it_is(question: dict[str, Any], value: object) -> None:
    asked = question_from(question)
    try:
        stored = asked.accept(value)
    except InvalidAnswer:
        return
    assert asked.accept(stored) == stored
    assert type(asked.accept(stored)) is type(stored)


@given(st.integers(-(2**70), 2**70))
def test_an_integer_and_its_digits_are_the_same_answer(number: int) -> None:
    asked = question_from(INTEGER)
    if -(2**63) <= number < 2**63:
        assert asked.accept(number) == asked.accept(str(number)) == number
        return
    for value in (number, str(number)):
        with pytest.raises(InvalidAnswer):
            asked.accept(value)


@given(st.dates())
def test_every_day_of_the_calendar_is_a_date(day: Any) -> None:
    assert question_from(DATE).accept(day.isoformat()) == day.isoformat()
