"""Responses as a table: its columns, its cells, and which responses a filter asks for."""

from datetime import timedelta
from typing import Any

import pytest

from domain.errors import Invalid
from domain.export import ColumnType
from domain.survey import Definition, ResponseFilter, ResponseRow, ResponseTable, definition_from, response_filter
from tests.examples import AGE, BOOLEAN, CONSENT, DATE, INTEGER, MANY, NOTE, NOW, NUMBER, PLATFORMS, SCALE, choices, definition

FIXED = ["respondent", "created_at", "updated_at", "revision"]
LATER = NOW + timedelta(hours=1)


def row(answers: dict[str, Any], versions: dict[str, int] | None = None) -> ResponseRow:
    return ResponseRow(
        id=1,
        pseudonym=bytes(range(32)),
        created_at=NOW,
        updated_at=LATER,
        revision=3,
        answers=answers,
        versions=versions or dict.fromkeys(answers, 1),
    )


def columns(*definitions: Definition, **options: Any) -> list[str]:
    return [column.name for column in ResponseTable(definitions, **options).columns]


def cells(table: ResponseTable, *given: Any) -> dict[str, Any]:
    return dict(zip([column.name for column in table.columns], table.cells(row(*given)), strict=True))


def test_the_fixed_columns_come_first_and_have_their_types() -> None:
    table = ResponseTable([definition(AGE)])
    assert [column.name for column in table.columns] == [*FIXED, "age"]
    assert [column.type for column in table.columns][:4] == [ColumnType.TEXT, ColumnType.TIME, ColumnType.TIME, ColumnType.INTEGER]
    assert table.cells(row({"age": 42})) == ("000102030405060708090a0b0c0d0e0f", NOW, LATER, 3, 42)


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        (CONSENT, ColumnType.CATEGORY),
        (MANY, ColumnType.TEXTS),
        (SCALE, ColumnType.INTEGER),
        (INTEGER, ColumnType.INTEGER),
        (NUMBER, ColumnType.NUMBER),
        (BOOLEAN, ColumnType.BOOLEAN),
        (NOTE, ColumnType.TEXT),
        (DATE, ColumnType.DATE),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else value.name,
)
def test_the_type_of_a_column_is_that_of_its_question(question: dict[str, Any], kind: ColumnType) -> None:
    assert ResponseTable([definition(question)]).columns[-1].type is kind


def test_what_was_not_answered_is_null() -> None:
    assert cells(ResponseTable([definition(AGE, NOTE)]), {"note": ""})["age"] is None


def test_every_field_ever_published_has_its_column_in_order_of_appearance() -> None:
    versions = [definition(AGE, NOTE), definition(SCALE, NOTE), definition(BOOLEAN, AGE | {"max": 9}, SCALE)]
    assert columns(*versions) == [*FIXED, "age", "note", "trust", "b"]


def test_an_answer_to_a_removed_question_keeps_its_place() -> None:
    table = ResponseTable([definition(AGE, NOTE), definition(AGE)])
    assert cells(table, {"age": 42, "note": "x"}, {"age": 2, "note": 1})["note"] == "x"


def test_one_version_has_its_own_fields_and_the_answers_given_under_it() -> None:
    versions = [definition(AGE, NOTE), definition(SCALE, AGE)]
    assert columns(*versions, version=1) == [*FIXED, "age", "note"]
    assert columns(*versions, version=2) == [*FIXED, "trust", "age"]
    given = {"age": 42, "note": "x", "trust": 7}, {"age": 1, "note": 1, "trust": 2}
    assert cells(ResponseTable(versions, version=1), *given)["age"] == 42
    second = cells(ResponseTable(versions, version=2), *given)
    assert (second["trust"], second["age"]) == (7, None)


def test_a_column_has_the_type_that_its_question_had_last() -> None:
    versions = [definition(AGE), definition(AGE | {"type": "integer"}, NOTE), definition({"field": "age", "type": "text"})]
    assert ResponseTable(versions).columns[4].type is ColumnType.TEXT
    assert ResponseTable(versions, version=1).columns[4].type is ColumnType.INTEGER


# --- codes -------------------------------------------------------------------------------------------------------------------


def coded(**codes: int | None) -> dict[str, Any]:
    return choices(*({"value": value, "code": code} for value, code in codes.items()))


def test_codes_stand_beside_coded_choices_when_asked_for() -> None:
    table = ResponseTable([definition(CONSENT, choices("x"), AGE)], with_codes=True)
    assert [column.name for column in table.columns] == [*FIXED, "consent", "consent_code", "c", "age"]
    assert table.columns[5].type is ColumnType.INTEGER
    assert cells(table, {"consent": "accepted"})["consent_code"] == 1
    assert cells(table, {"consent": "declined"})["consent_code"] == 0
    assert cells(table, {})["consent_code"] is None
    assert columns(definition(CONSENT)) == [*FIXED, "consent"]


def test_a_choice_that_is_gone_keeps_its_code_and_one_without_has_none() -> None:
    table = ResponseTable([definition(coded(a=1, b=2)), definition(coded(b=2, c=None))], with_codes=True)
    assert [cells(table, {"c": value})["c_code"] for value in "abc"] == [1, 2, None]


def test_of_the_codes_that_a_choice_had_the_newest_counts() -> None:
    table = ResponseTable([definition(coded(a=1, b=2)), definition(coded(a=7, b=2))], with_codes=True)
    assert [cells(table, {"c": value})["c_code"] for value in "ab"] == [7, 2]


def test_the_table_of_one_version_has_codes_too() -> None:
    table = ResponseTable([definition(coded(a=1)), definition(coded(a=1, b=2))], version=1, with_codes=True)
    assert cells(table, {"c": "a"}, {"c": 1})["c_code"] == 1
    assert cells(table, {"c": "a"}, {"c": 2})["c_code"] is None


def test_a_question_of_several_choices_has_no_code_beside_it() -> None:
    table = ResponseTable([definition(MANY)], with_codes=True)
    assert [column.name for column in table.columns] == [*FIXED, "m"]
    assert cells(table, {"m": ["a", "d"]})["m"] == ["a", "d"]


def test_a_question_that_is_no_longer_a_choice_has_no_code_beside_it() -> None:
    assert columns(definition(coded(a=1)), definition({"field": "c", "type": "text"}), with_codes=True) == [*FIXED, "c"]


def test_no_two_columns_share_a_name_whatever_the_versions() -> None:
    versions = [definition(NOTE | {"field": "c_code"}, coded(a=None)), definition(coded(a=1))]
    names = columns(*versions, with_codes=True)
    assert len(names) == len(set(names))


# --- filters -----------------------------------------------------------------------------------------------------------------

ASKED = [definition(AGE, NOTE), definition(CONSENT, NOTE, PLATFORMS, NUMBER, BOOLEAN, SCALE)]


def test_nothing_asked_for_is_every_response() -> None:
    assert response_filter(ASKED) == ResponseFilter()


@pytest.mark.parametrize(
    ("field", "value", "answer"),
    [
        ("age", "42", 42),
        ("consent", "accepted", "accepted"),
        ("consent", "0", "declined"),
        ("platforms", "Twitter", ["Twitter"]),
        ("platforms", '["Other", "Twitter"]', ["Twitter", "Other"]),
        ("n", "2.5", 2.5),
        ("n", "1e3", 1000.0),
        ("b", "true", True),
        ("note", "true", "true"),
        ("note", "", ""),
        ("note", "[1", "[1"),
    ],
)
def test_a_value_is_read_as_an_answer_of_its_field(field: str, value: str, answer: object) -> None:
    found = response_filter(ASKED, field=field, value=value, version=2, since=NOW, until=LATER)
    assert found == ResponseFilter(answer={field: answer}, version=2, since=NOW, until=LATER)
    assert found.answer is not None
    assert type(found.answer[field]) is type(answer)


@pytest.mark.parametrize(
    ("asked", "pointer", "code"),
    [
        ({"version": 0}, "/version", "unknown-version"),
        ({"version": 3}, "/version", "unknown-version"),
        ({"field": "age"}, "/value", "missing"),
        ({"value": "42"}, "/value", "missing"),
        ({"field": "height", "value": "42"}, "/field", "unknown-field"),
        ({"field": "age", "value": "131"}, "/value", "invalid-answer"),
        ({"field": "age", "value": "4.0"}, "/value", "invalid-answer"),
        ({"field": "b", "value": "1"}, "/value", "invalid-answer"),
        ({"field": "n", "value": "NaN"}, "/value", "invalid-answer"),
        ({"field": "n", "value": "9" * 5000}, "/value", "invalid-answer"),
        ({"field": "trust", "value": "[" * 100_000}, "/value", "invalid-answer"),
        ({"field": "note", "value": "\x00"}, "/value", "invalid-answer"),
    ],
)
def test_what_cannot_be_asked_for_is_pointed_at(asked: dict[str, Any], pointer: str, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        response_filter(ASKED, **asked)
    assert [(fault.pointer, fault.code) for fault in refused.value.faults] == [(pointer, code)]


@pytest.mark.parametrize(
    ("old", "new", "value"),
    [
        (choices("a", "b"), choices("a"), "b"),
        (AGE | {"field": "c"}, AGE | {"field": "c", "max": 100}, "130"),
    ],
)
def test_an_answer_that_only_an_earlier_version_took_can_be_asked_for(old: dict[str, Any], new: dict[str, Any], value: str) -> None:
    stored = definition(old).questions[0].accept(value)
    found = response_filter([definition(old), definition(new)], field="c", value=value)
    assert found.answer == {"c": stored}


def test_definitions_read_back_from_the_store_make_the_same_table() -> None:
    again = [definition_from(each.document()) for each in ASKED]
    assert ResponseTable(again, with_codes=True).columns == ResponseTable(ASKED, with_codes=True).columns
