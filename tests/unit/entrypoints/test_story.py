"""A story declared in a file: YAML or JSON, read strictly."""

import json
from importlib.resources import files
from typing import Any

import pytest
import yaml

from application.story import Story
from domain.errors import Fault, Invalid
from domain.resource import Status
from entrypoints.story import story_from
from tests.examples import AGE, CONSENT, DATE, GATE, MANY, NOTE, NUMBER, SCALE

DOCUMENT: dict[str, Any] = {
    "slug": "dark-data",
    "title": "Dark data: über \U0001f600",
    "description": 'Line\nand "line"',
    "survey": {
        "title": "Survey",
        "identity": "token",
        "consent": GATE,
        "results": {"public": True, "minimum_cell": 3},
        "questions": [CONSENT, AGE, NOTE, NUMBER | {"min": 0.5}, DATE, MANY],
    },
    "resources": [
        {"name": "Figure 1", "status": "pending", "description": None, "attributes": {"a": [1, 2.5, None, True, {"b": "c"}]}},
        {"name": "Figure 2"},
    ],
}


def story(**parts: Any) -> Story:
    return story_from(json.dumps(DOCUMENT | parts, ensure_ascii=False).encode())


def faults_of(text: str | bytes) -> list[Fault]:
    with pytest.raises(Invalid) as refused:
        story_from(text if isinstance(text, bytes) else text.encode())
    return list(refused.value.faults)


def pointers(**parts: Any) -> list[str]:
    return [fault.pointer for fault in faults_of(json.dumps(DOCUMENT | parts, ensure_ascii=False))]


def test_a_file_is_a_story() -> None:
    found = story()
    assert (found.slug, found.title, found.description) == (DOCUMENT["slug"], DOCUMENT["title"], DOCUMENT["description"])
    assert found.definition is not None
    assert found.definition.document()["questions"][1] == AGE
    assert found.definition.document()["consent"] == GATE
    assert found.resources == (
        DOCUMENT["resources"][0] | {"status": Status.PENDING},
        {"name": "Figure 2", "description": None, "status": Status.ACTIVE, "attributes": {}},
    )


@pytest.mark.parametrize("flow", [True, False, None], ids=["flow", "block", "mixed"])
@pytest.mark.parametrize("unicode", [True, False], ids=["unicode", "escaped"])
def test_yaml_and_json_say_the_same(flow: bool | None, unicode: bool) -> None:  # noqa: FBT001
    assert story_from(yaml.safe_dump(DOCUMENT, default_flow_style=flow, allow_unicode=unicode, sort_keys=False).encode()) == story()


@pytest.mark.parametrize("indent", [None, 0, 1, 4])
def test_json_may_be_laid_out_in_any_way(indent: int | None) -> None:
    assert story_from(json.dumps(DOCUMENT, ensure_ascii=False, indent=indent).encode()) == story()
    assert story_from(json.dumps(DOCUMENT, ensure_ascii=False, indent=indent, separators=(",", ":")).encode()) == story()
    assert story_from(json.dumps(DOCUMENT, ensure_ascii=False, indent=indent).replace("\n", "\r\n").encode()) == story()


def test_json_may_be_indented_by_tabs() -> None:
    assert story_from(json.dumps(DOCUMENT, ensure_ascii=False, indent="\t").encode()) == story()


def test_json_may_escape_what_is_not_ascii() -> None:
    assert story_from(json.dumps(DOCUMENT).encode()) == story()


def test_json_may_write_numbers_with_an_exponent() -> None:
    text = json.dumps(DOCUMENT, ensure_ascii=False).replace('"min": 0.5', '"min": 5e-1')
    assert story_from(text.encode()) == story()


def test_the_demo_is_a_story() -> None:
    found = story_from((files("entrypoints") / "demo" / "dark-data.json").read_bytes())
    assert found.slug == "dark-data"
    assert found.definition is not None
    assert len(found.resources) == len({fields["name"].casefold() for fields in found.resources}) > 0


def test_a_survey_and_resources_may_be_left_out() -> None:
    assert story_from(b"slug: a\ntitle: A\n") == Story(slug="a", title="A", description=None, definition=None, resources=())


# --- what YAML would make of it ------------------------------------------------------------------------------------------------


def choosing(*values: str) -> str:
    lines = "".join(f"        - value: {value}\n" for value in values)
    return f"slug: a\ntitle: A\nsurvey:\n  title: S\n  questions:\n    - field: country\n      type: choice\n      choices:\n{lines}"


@pytest.mark.parametrize(
    "value", ["no", "NO", "yes", "on", "off", "true", "null", "~", "12", "1.5", "1:30", "010", "0x1F", ".inf", "1_000"]
)
def test_what_yaml_takes_for_something_else_is_refused_and_not_guessed(value: str) -> None:
    (fault,) = faults_of(choosing("SE", value))
    assert (fault.pointer, fault.code) == ("/survey/questions/0/choices/1/value", "string-type")
    assert story_from(choosing("SE", f'"{value}"').encode()).definition is not None


@pytest.mark.parametrize("value", ["2024-01-01", "2024-01-01T00:00:00Z", "2001-12-14 21:59:43.10 -5"])
def test_a_date_stays_the_text_that_it_is(value: str) -> None:
    found = story_from(choosing(value).encode()).definition
    assert found is not None
    assert found.document()["questions"][0]["choices"] == [{"value": value}]
    resources = story_from(f"slug: a\ntitle: A\nresources:\n- name: N\n  attributes: {{at: {value}}}\n".encode()).resources
    assert resources[0]["attributes"] == {"at": value}


@pytest.mark.parametrize(
    "twice",
    [
        "slug: a\nslug: b\ntitle: A\n",
        'slug: a\n"slug": a\ntitle: A\n',
        '{"slug": "a", "title": "A", "title": "A"}',
        "slug: a\ntitle: A\nresources:\n- name: N\n  attributes: {a: {b: 1, b: 1}}\n",
    ],
)
def test_a_key_that_is_given_twice_is_refused(twice: str) -> None:
    (fault,) = faults_of(twice)
    assert (fault.pointer, fault.code) == ("", "malformed")


@pytest.mark.parametrize("key", ["1", "true", "~", "1.5", "2024-01-01", "[a]", "no"])
def test_a_key_of_attributes_is_a_text(key: str) -> None:
    text = f"slug: a\ntitle: A\nresources:\n- name: N\n  attributes: {{{key}: 1}}\n"
    try:
        attributes = story_from(text.encode()).resources[0]["attributes"]
    except Invalid:
        return
    assert all(isinstance(name, str) for name in attributes)


def test_an_anchor_stands_for_what_it_names() -> None:
    text = "slug: a\ntitle: &t A\nresources:\n- {name: N, description: *t}\n"
    assert story_from(text.encode()).resources[0]["description"] == "A"


def test_a_merge_is_not_known_here() -> None:
    (fault,) = faults_of("slug: a\ntitle: A\nresources:\n- &base {name: N}\n- {<<: *base, name: M}\n")
    assert (fault.code, "line 5" in fault.detail) == ("malformed", True)


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system [ls]", "!!python/name:os.system", "!other x", "!!binary aGk="])
def test_nothing_of_a_file_is_run_or_made_into_an_object(tag: str) -> None:
    assert faults_of(f"slug: a\ntitle: {tag}\n")


# --- faults ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("slug: a\ntitle: 'A\n", 3),
        ("slug: a\n\ttitle: A\n", 2),
        ("slug: a\ntitle: A\n}\n", 3),
        ('{"slug": "a",\n "title" "A"}', 2),
        ("slug: a\ntitle: A\n---\nslug: b\n", 3),
        ("slug: *nobody\n", 1),
        ("slug: a\ntitle: !!python/none x\n", 2),
        ("slug: a\ntitle: A\nresources:\n- name: N\n  attributes:\n    a: 1\n    a: 2\n", 6),
    ],
)
def test_what_is_malformed_is_told_with_its_line(text: str, line: int) -> None:
    (fault,) = faults_of(text)
    assert (fault.pointer, fault.code) == ("", "malformed")
    assert f"line {line}" in fault.detail


@pytest.mark.parametrize("content", [b"\xff\xfe\xfa", b"slug: \xe9\n", b"slug: a\x00\n", b"[" * 100_000, b"{a: " * 5000])
def test_what_is_no_text_or_too_deep_is_malformed_as_well(content: bytes) -> None:
    assert [fault.code for fault in faults_of(content)] == ["malformed"]


@pytest.mark.parametrize("content", ["", "# nothing\n", "[]", "a text", "null", "7"])
def test_what_is_no_mapping_is_refused(content: str) -> None:
    assert [fault.pointer for fault in faults_of(content)] == [""]


@pytest.mark.parametrize("value", ["!!seq x", "!!timestamp [x]", "!!binary x"])
def test_a_value_of_another_form_than_its_tag_is_malformed(value: str) -> None:
    assert faults_of(f"slug: a\ntitle: {value}\n")


@pytest.mark.parametrize("value", ["!!int x", "!!float x", "!!bool x", "!!map x", "9" * 5000, "!!int ''"])
def test_a_value_that_yaml_itself_cannot_take_is_refused(value: str) -> None:
    assert faults_of(f"slug: a\ntitle: {value}\n")


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"slug": "Dark Data"}, ["/slug"]),
        ({"title": 3}, ["/title"]),
        ({"description": ["x"]}, ["/description"]),
        ({"nonsense": 1}, [""]),
        ({"resources": {}}, ["/resources"]),
        ({"resources": [{"name": "N"}, {"name": 3}]}, ["/resources/1/name"]),
        ({"resources": [{"name": "N", "status": "gone"}]}, ["/resources/0/status"]),
        ({"resources": [{"name": "N", "attributes": []}]}, ["/resources/0/attributes"]),
        ({"resources": [{"name": "N", "id": 3}]}, ["/resources/0"]),
        ({"resources": [{}]}, ["/resources/0/name"]),
        ({"survey": {"title": "S"}}, ["/survey/questions"]),
        ({"survey": {"title": "S", "questions": [NOTE, {"field": "x", "type": "scale", "min": 1}]}}, ["/survey/questions/1/max"]),
        ({"survey": {"title": "S", "questions": [SCALE | {"min": "1"}]}}, ["/survey/questions/0/min"]),
        ({"survey": {"title": "S", "questions": [NOTE | {"type": "colour"}]}}, ["/survey/questions/0/type"]),
        ({"survey": {"title": "S", "questions": [NOTE], "identity": "face"}}, ["/survey/identity"]),
    ],
)
def test_each_fault_of_form_is_pointed_at(parts: dict[str, Any], expected: list[str]) -> None:
    assert pointers(**parts) == expected


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"survey": {"title": "", "questions": [NOTE]}}, ["/survey/title"]),
        ({"survey": {"title": "S", "questions": [NOTE, AGE | {"field": "1"}]}}, ["/survey/questions/1/field"]),
        ({"survey": {"title": "S", "questions": [NOTE], "consent": GATE}}, ["/survey/consent/field"]),
    ],
)
def test_each_fault_of_meaning_is_pointed_at(parts: dict[str, Any], expected: list[str]) -> None:
    assert pointers(**parts) == expected


def test_accepting_breaking_changes_is_no_part_of_a_story() -> None:
    survey = {"title": "S", "questions": [NOTE], "accept_breaking": ["age"]}
    assert pointers(survey=survey) == ["/survey"]


# --- label sets ------------------------------------------------------------------------------------------------------------------

LABEL_SETS = """
slug: a
title: A
label_sets:
- {name: topic, title: Topic, type: choice, choices: [health, {value: work, label: Work, code: 2}], level: ordinal, copies: 3}
- {name: sound, title: Sound, type: boolean, blind: false}
"""


def test_label_sets_are_declared_by_name() -> None:
    found = story_from(LABEL_SETS.encode()).label_sets
    assert list(found) == ["topic", "sound"]
    assert found["topic"].document() == {
        "title": "Topic",
        "type": "choice",
        "choices": [{"value": "health"}, {"value": "work", "label": "Work", "code": 2}],
        "level": "ordinal",
        "blind": True,
        "copies": 3,
    }
    assert found["sound"].blind is False


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("name: sound", "name: topic", ("/label_sets/1/name", "duplicate-name")),
        ("name: sound", "name: 'a b'", ("/label_sets/1/name", "bad-name")),
        ("copies: 3", "copies: 0", ("/label_sets/0/copies", "out-of-range")),
        ("type: boolean", "type: scale", ("/label_sets/1/min", "missing")),
        ("type: boolean", "type: date", ("/label_sets/1/type", "literal-error")),
        ("blind: false", "accept_breaking: [sound]", ("/label_sets/1", "extra-forbidden")),
    ],
)
def test_a_fault_of_a_label_set_is_pointed_at(old: str, new: str, fault: tuple[str, str]) -> None:
    assert fault in [(each.pointer, each.code) for each in faults_of(LABEL_SETS.replace(old, new))]
