"""What a definition may be, and where its faults are."""

from typing import Any

import pytest

from domain.errors import Invalid
from domain.survey import Identity, definition_from
from tests.examples import AGE, BOOLEAN, CONSENT, DATE, GATE, MANY, NOTE, NUMBER, SCALE, choices, definition, gated


def faults_of(*questions: dict[str, Any], **rest: Any) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as refused:
        definition_from({"title": "T", "questions": list(questions)} | rest)
    return [(fault.pointer, fault.code) for fault in refused.value.faults]


@pytest.mark.parametrize(
    ("questions", "rest", "faults"),
    [
        ([], {}, [("/questions", "bad-count")]),
        ([NOTE | {"field": f"f{n}"} for n in range(1001)], {}, [("/questions", "bad-count")]),
        ([NOTE], {"title": ""}, [("/title", "too-short")]),
        ([NOTE], {"title": "x" * 256}, [("/title", "too-long")]),
        ([NOTE], {"results": {"minimum_cell": 0}}, [("/results/minimum_cell", "out-of-range")]),
        ([NOTE], {"results": {"budget": 0.05, "start": 19}}, [("/results/budget", "out-of-range"), ("/results/start", "out-of-range")]),
        (
            [NOTE],
            {"results": {"budget": 4.1, "start": 1_000_001}},
            [("/results/budget", "out-of-range"), ("/results/start", "out-of-range")],
        ),
        (
            [CONSENT, SCALE],
            {"results": {"by": ["trust", "nothing", "consent", "consent"]}},
            [("/results/by/0", "not-a-choice"), ("/results/by/1", "unknown-field"), ("/results/by/3", "duplicate-field")],
        ),
        ([CONSENT | {"public": False}], {"results": {"by": ["consent"]}}, [("/results/by/0", "not-public")]),
        ([AGE | {"bins": [1]}], {}, [("/questions/0/bins", "bad-count")]),
        ([AGE | {"bins": []}], {}, [("/questions/0/bins", "bad-count")]),
        ([SCALE | {"bins": list(range(102))}], {}, [("/questions/0/bins", "bad-count")]),
        ([AGE | {"bins": [0, 18, 18, 9]}], {}, [("/questions/0/bins/2", "bad-order"), ("/questions/0/bins/3", "bad-order")]),
        ([AGE | {"bins": [0, 2**63 + 1]}], {}, [("/questions/0/bins/1", "out-of-range")]),
        ([NUMBER | {"bins": [0.5, 0.25]}], {}, [("/questions/0/bins/1", "bad-order")]),
        ([AGE, NOTE | {"field": "1st"}], {}, [("/questions/1/field", "bad-field")]),
        ([NOTE | {"field": ""}], {}, [("/questions/0/field", "bad-field")]),
        ([NOTE | {"field": "a" * 64}], {}, [("/questions/0/field", "bad-field")]),
        ([NOTE | {"field": "a\n"}], {}, [("/questions/0/field", "bad-field")]),
        ([NOTE | {"field": "é"}], {}, [("/questions/0/field", "bad-field")]),
        ([NOTE | {"field": "respondent"}], {}, [("/questions/0/field", "reserved-field")]),
        ([NOTE | {"field": "revision"}], {}, [("/questions/0/field", "reserved-field")]),
        ([AGE, NOTE, AGE], {}, [("/questions/2/field", "duplicate-field")]),
        ([CONSENT, NOTE | {"field": "consent_code"}], {}, [("/questions/1/field", "duplicate-field")]),
        ([NOTE | {"field": "consent_code"}, CONSENT], {}, [("/questions/1/field", "duplicate-field")]),
        ([NOTE | {"label": "\x00"}], {}, [("/questions/0/label", "control-character")]),
        ([NOTE | {"max_length": 0}], {}, [("/questions/0/max_length", "out-of-range")]),
        ([NOTE | {"max_length": 100_001}], {}, [("/questions/0/max_length", "out-of-range")]),
        ([AGE | {"min": 2, "max": 1}], {}, [("/questions/0/max", "bad-range")]),
        ([NUMBER | {"min": 0.2, "max": 0.1}], {}, [("/questions/0/max", "bad-range")]),
        ([AGE | {"max": 2**63}], {}, [("/questions/0/max", "out-of-range")]),
        ([{"field": "s", "type": "scale"}], {}, [("/questions/0/min", "missing"), ("/questions/0/max", "missing")]),
        ([choices()], {}, [("/questions/0/choices", "no-choices")]),
        ([choices("a", "a")], {}, [("/questions/0/choices/1/value", "duplicate-choice")]),
        ([choices("a|b")], {}, [("/questions/0/choices/0/value", "bad-choice")]),
        ([choices("")], {}, [("/questions/0/choices/0/value", "too-short")]),
        ([choices("x" * 256)], {}, [("/questions/0/choices/0/value", "too-long")]),
        ([choices({"value": "a", "code": 1}, {"value": "b", "code": 1})], {}, [("/questions/0/choices/1/code", "duplicate-code")]),
        ([choices({"value": "a", "code": 2**63})], {}, [("/questions/0/choices/0/code", "out-of-range")]),
        ([NOTE], {"consent": GATE}, [("/consent/field", "unknown-field")]),
        ([CONSENT], {"consent": GATE | {"accept": "maybe"}}, [("/consent/accept", "invalid-answer")]),
        ([CONSENT], {"consent": GATE | {"accept": None}}, [("/consent/accept", "invalid-answer")]),
    ],
)
def test_each_fault_of_a_definition_is_pointed_at(questions: list[Any], rest: dict[str, Any], faults: list[tuple[str, str]]) -> None:
    assert faults_of(*questions, **rest) == faults


def test_all_faults_are_told_at_once() -> None:
    assert faults_of(NOTE | {"field": "1"}, AGE | {"min": 9, "max": 1}, title="") == [
        ("/title", "too-short"),
        ("/questions/0/field", "bad-field"),
        ("/questions/1/max", "bad-range"),
    ]


def test_what_is_left_out_has_its_default() -> None:
    declared = definition_from({"title": "Dark data", "questions": [NOTE]})
    assert declared.document() == {
        "title": "Dark data",
        "identity": "token",
        "consent": None,
        "results": {"public": False, "minimum_cell": 5, "protection": "noise", "by": []},
        "questions": [{"field": "note", "type": "text", "max_length": 2000}],
    }


def test_a_definition_is_read_back_from_its_own_document() -> None:
    declared = gated(MANY, SCALE, NUMBER, DATE, BOOLEAN, identity="token", results={"public": True, "minimum_cell": 3})
    assert declared.identity is Identity.TOKEN
    assert definition_from(declared.document()) == declared


def test_the_accepted_consent_is_kept_in_its_stored_form() -> None:
    declared = definition(CONSENT, consent={"field": "consent", "accept": 1})
    assert declared.consent is not None
    assert declared.consent.accept == "accepted"


def test_what_the_team_sent_is_not_told_back() -> None:
    with pytest.raises(Invalid) as refused:
        definition({**CONSENT, "choices": [{"value": "zebra"}]}, consent={"field": "consent", "accept": "maybe"})
    assert [fault.pointer for fault in refused.value.faults] == ["/consent/accept"]
    assert "zebra" not in str([fault.detail for fault in refused.value.faults])


def test_settings_of_results_are_told_as_they_were_declared() -> None:
    chosen = {"public": True, "minimum_cell": 3, "protection": "suppression", "by": ["consent"], "budget": 0.3, "start": 20}
    questions = [CONSENT, AGE | {"bins": [0, 18, 131], "public": False}, NUMBER | {"bins": [0.5, 1.0]}]
    declared = definition(*questions, results=chosen)
    assert declared.document()["results"] == chosen
    assert declared.document()["questions"] == [CONSENT, AGE | {"bins": [0, 18, 131], "public": False}, NUMBER | {"bins": [0.5, 1.0]}]
    assert definition_from(declared.document()) == declared
