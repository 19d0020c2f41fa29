"""Resources: what they may hold, who may change them, and in which order a change is refused."""

from datetime import timedelta
from typing import Any

import pytest

from domain.access import NotAllowed, NotTheOwner, Role
from domain.errors import Invalid, Stale
from domain.resource import Status
from tests.examples import ADMIN, MEMBER, NOW, OTHER, resource, user

LATER = NOW + timedelta(hours=1)


def nested(depth: int) -> dict[str, Any]:
    """An object that nests this deep."""
    inner: Any = 1
    for level in range(depth):
        inner = {"a": inner} if (depth - level) % 2 or level == depth - 1 else [inner]
    assert isinstance(inner, dict)
    return inner


def faults_of(name: str = "Figure 1", **content: Any) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as refused:
        resource(name, **content)
    return [(fault.pointer, fault.code) for fault in refused.value.faults]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ({"name": ""}, ("/name", "too-short")),
        ({"name": "\u3000"}, ("/name", "too-short")),
        ({"name": "x" * 256}, ("/name", "too-long")),
        ({"name": "a\rb"}, ("/name", "control-character")),
        ({"description": "x" * 10_001}, ("/description", "too-long")),
        ({"attributes": nested(17)}, ("/attributes", "too-deep")),
        ({"attributes": {"a": "ä" * 32_768}}, ("/attributes", "too-large")),
        ({"attributes": {"a": [1, {"b": float("inf")}]}}, ("/attributes", "number-out-of-range")),
        ({"attributes": {"a": float("nan")}}, ("/attributes", "number-out-of-range")),
        ({"attributes": {"a": 10**400}}, ("/attributes", "number-out-of-range")),
    ],
)
def test_a_fault_is_named(content: dict[str, Any], fault: tuple[str, str]) -> None:
    assert faults_of(**content) == [fault]


@pytest.mark.parametrize(
    "content",
    [
        {"name": "\U0001f600" * 255},
        {"name": " padded "},
        {"description": ""},
        {"attributes": nested(16)},
        {"attributes": {"a": "x" * (64 * 1024 - 8)}},
        {"attributes": {"a": [2**64, -1.5, True, None, ""]}},
    ],
)
def test_what_the_contract_allows_will_do(content: dict[str, Any]) -> None:
    made = resource(**({"name": "Figure 1"} | content))
    assert {key: getattr(made, key) for key in content} == content


def test_a_name_counts_trimmed_composed_and_folded() -> None:
    assert resource(" CAFE\u0301\n").name_key == resource("caf\u00e9").name_key


def test_no_search_crosses_from_the_name_into_the_description() -> None:
    assert "ab" not in resource("a", description="b").search_text


def test_a_change_makes_a_new_version() -> None:
    revised = resource().revise({"name": "Figure 2", "status": Status.PENDING}, by=MEMBER, at=LATER)
    assert (revised.name, revised.status, revised.version, revised.updated_at) == ("Figure 2", Status.PENDING, 2, LATER)


@pytest.mark.parametrize("changes", [{}, {"name": "Figure 1"}, {"attributes": {}}, {"description": None, "status": Status.ACTIVE}])
def test_nothing_different_is_the_same_resource(changes: dict[str, Any]) -> None:
    made = resource()
    assert made.revise(changes, by=MEMBER, at=LATER) is made


@pytest.mark.parametrize(("before", "after"), [(1, True), (0, False), (True, 1), (False, 0)])
def test_true_and_one_are_different_attributes(before: object, after: object) -> None:
    revised = resource(attributes={"a": [before]}).revise({"attributes": {"a": [after]}}, by=MEMBER, at=LATER)
    assert revised.attributes["a"][0] is after
    assert revised.version == 2


@pytest.mark.parametrize("by", [OTHER, user("mary", id=4, role=Role.ANNOTATOR)])
def test_only_the_owner_or_an_admin_changes_a_resource(by: Any) -> None:
    with pytest.raises(NotTheOwner):
        resource(by=MEMBER).revise({"name": "Mine"}, by=by, at=LATER)
    assert resource(by=MEMBER).revise({"name": "Mine"}, by=ADMIN, at=LATER).name == "Mine"


def test_what_is_invalid_comes_before_the_owner_and_the_owner_before_the_version() -> None:
    made, stale = resource(by=MEMBER), frozenset({7})
    with pytest.raises(Invalid):
        made.revise({"name": ""}, by=OTHER, expected=stale, at=LATER)
    with pytest.raises(NotTheOwner):
        made.revise({"name": "Mine"}, by=OTHER, expected=stale, at=LATER)
    with pytest.raises(Stale) as refused:
        made.revise({"name": "Mine"}, by=MEMBER, expected=stale, at=LATER)
    assert refused.value.current == 1


def test_a_stale_version_is_told_even_where_nothing_differs() -> None:
    with pytest.raises(Stale):
        resource().revise({}, by=MEMBER, expected=frozenset({7}), at=LATER)


def test_only_an_admin_deletes_and_restores() -> None:
    made = resource(by=MEMBER)
    with pytest.raises(NotAllowed):
        made.delete(by=MEMBER, at=LATER)
    deleted = made.delete(by=ADMIN, at=LATER)
    assert (deleted.is_active, deleted.version) == (False, 2)
    with pytest.raises(NotAllowed):
        deleted.restore(by=MEMBER, at=LATER)
    restored = deleted.restore(by=ADMIN, at=LATER)
    assert (restored.is_active, restored.version) == (True, 3)
    assert restored.restore(by=ADMIN, at=LATER) is restored


def test_a_stale_version_is_neither_deleted_nor_restored() -> None:
    made = resource()
    with pytest.raises(Stale):
        made.delete(by=ADMIN, expected=frozenset({2}), at=LATER)
    with pytest.raises(Stale):
        made.delete(by=ADMIN, at=LATER).restore(by=ADMIN, expected=frozenset({1}), at=LATER)
