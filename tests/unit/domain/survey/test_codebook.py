"""What each column means, over all versions."""

from typing import Any

import pytest

from domain.survey import Definition, ResponseTable, codebook
from tests.examples import AGE, BOOLEAN, CONSENT, DATE, INTEGER, MANY, NOTE, NUMBER, PLATFORMS, SCALE, choices, definition


def fields(*definitions: Definition) -> dict[str, dict[str, Any]]:
    return {field["name"]: field for field in codebook(definitions)["fields"]}


def test_it_is_a_table_schema_with_the_newest_title() -> None:
    schema = codebook([definition(AGE), definition(AGE, title="Newer")])
    assert (schema["title"], schema["primaryKey"], schema["missingValues"]) == ("Newer", ["respondent"], [""])
    assert schema["$schema"] == "https://datapackage.org/profiles/2.0/tableschema.json"


def test_it_has_a_field_for_each_column_of_the_table_in_its_order() -> None:
    versions = [definition(AGE, NOTE), definition(CONSENT, SCALE), definition(MANY, AGE, SCALE)]
    assert list(fields(*versions)) == [column.name for column in ResponseTable(versions).columns]


def test_every_column_of_our_own_is_explained() -> None:
    for name in ("respondent", "created_at", "updated_at", "revision"):
        assert fields(definition(AGE))[name]["title"]


@pytest.mark.parametrize(
    ("question", "described"),
    [
        (AGE, {"type": "integer", "constraints": {"minimum": 0, "maximum": 130}}),
        (SCALE, {"type": "integer", "constraints": {"minimum": 1, "maximum": 7}}),
        (INTEGER, {"type": "integer"}),
        (NUMBER | {"min": 0.5}, {"type": "number", "constraints": {"minimum": 0.5}}),
        (BOOLEAN, {"type": "boolean", "trueValues": ["true"], "falseValues": ["false"]}),
        (NOTE | {"max_length": 9}, {"type": "string", "constraints": {"maxLength": 9}}),
        (DATE, {"type": "date"}),
        (
            CONSENT,
            {
                "type": "string",
                "categories": [{"value": "accepted", "label": "Yes", "code": 1}, {"value": "declined", "label": "declined", "code": 0}],
                "constraints": {"enum": ["accepted", "declined"]},
            },
        ),
        (
            PLATFORMS,
            {
                "type": "list",
                "delimiter": "|",
                "itemType": "string",
                "choices": [{"value": "Twitter", "label": "Twitter"}, {"value": "Other", "label": "Other"}],
            },
        ),
    ],
    ids=lambda value: value.get("field", ""),
)
def test_each_type_of_question_is_described(question: dict[str, Any], described: dict[str, Any]) -> None:
    assert fields(definition(question))[question["field"]] == {"name": question["field"], "versions": [1]} | described


def test_a_label_is_the_newest_and_versions_are_all_that_asked() -> None:
    found = fields(definition(AGE | {"label": "How old?"}), definition(NOTE), definition(AGE | {"label": "Your age?"}))
    assert (found["age"]["title"], found["age"]["versions"]) == ("Your age?", [1, 3])
    assert (found["note"]["versions"], "title" in found["note"]) == ([2], False)


@pytest.mark.parametrize(
    ("ranges", "constraints"),
    [
        ([(0, 130), (10, 100)], {"minimum": 0, "maximum": 130}),
        ([(10, 100), (0, 130)], {"minimum": 0, "maximum": 130}),
        ([(0, 100), (50, 130)], {"minimum": 0, "maximum": 130}),
        ([(0, 100), (None, 130)], {"maximum": 130}),
        ([(None, 100), (0, None), (1, 5)], None),
    ],
)
def test_a_constraint_is_as_wide_as_any_version_had_it(ranges: list[tuple[int | None, int | None]], constraints: object) -> None:
    found = fields(*(definition(AGE | {"min": low, "max": high}) for low, high in ranges))
    assert found["age"].get("constraints") == constraints


def test_a_removed_question_keeps_its_column_and_its_constraints() -> None:
    found = fields(definition(AGE, NOTE), definition(NOTE))
    assert found["age"]["constraints"] == {"minimum": 0, "maximum": 130}


def test_choices_are_all_that_were_ever_offered_each_as_it_was_last() -> None:
    first = choices({"value": "a", "code": 1, "label": "A"}, {"value": "b", "code": 2})
    second = choices({"value": "c", "code": 3}, {"value": "b", "code": 2, "label": "B"})
    found = fields(definition(first), definition(second))["c"]
    assert found["categories"] == [
        {"value": "a", "label": "A", "code": 1},
        {"value": "b", "label": "B", "code": 2},
        {"value": "c", "label": "c", "code": 3},
    ]
    assert found["constraints"] == {"enum": ["a", "b", "c"]}


def test_a_question_that_changed_its_type_is_described_as_what_it_is_now() -> None:
    found = fields(definition(AGE | {"min": 1}), definition({"field": "age", "type": "text"}))["age"]
    assert found == {"name": "age", "type": "string", "versions": [1, 2], "constraints": {"maxLength": 2000}}


def test_what_is_no_longer_a_choice_offers_none() -> None:
    found = fields(definition(choices("a", "b")), definition({"field": "c", "type": "text"}))["c"]
    assert found == {"name": "c", "type": "string", "versions": [1, 2], "constraints": {"maxLength": 2000}}
