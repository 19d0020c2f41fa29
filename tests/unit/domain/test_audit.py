"""What an entry tells, and that a chain tells every change of it."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any
from uuid import UUID

import pytest

from domain.audit import Difference, Entry, Recorded, Target, differences, entry
from domain.audit_chain import BEGINNING, ChainFault, FaultKind, Head, Link, extended, fault_in, head_from
from tests.examples import MEMBER, NOW
from tests.fakes.system import FakeSealer

SEAL = FakeSealer().seal


@dataclass
class Thing:
    value: Any
    other: Any = 0


class Label(StrEnum):
    ACTIVE = "active"


def values(before: Thing | None, after: Thing | None) -> list[tuple[Any, Any]]:
    return [(each.before, each.after) for each in differences(before, after, "value")]


def test_only_what_differs_is_told_of_the_fields_that_were_asked_for() -> None:
    assert differences(Thing(1, 2), Thing(3, 4), "value") == (Difference(field="value", before=1, after=3),)
    assert differences(Thing(1, 2), Thing(1, 4), "value") == ()
    assert [each.field for each in differences(Thing(1, 2), Thing(3, 4), "other", "value")] == ["other", "value"]


def test_what_is_made_comes_from_nothing_and_what_is_not_there_is_not_told() -> None:
    assert values(None, Thing("new")) == [(None, "new")]
    assert values(Thing("old"), None) == [("old", None)]
    assert values(None, Thing(None)) == []


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (NOW, "2026-11-24T12:00:00.123456Z"),
        (Label.ACTIVE, "active"),
        (frozenset({"write", "read"}), ["read", "write"]),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ({"a": [1]}, {"a": [1]}),
    ],
)
def test_values_are_told_as_json_has_them(value: Any, told: Any) -> None:
    ((_, found),) = values(None, Thing(value))
    assert found == told
    assert type(found) is type(told)


@pytest.mark.parametrize(("before", "after"), [(True, 1), (1, 1.0), (0, False), ({"a": True}, {"a": 1}), ([1], [1.0]), ("1", 1)])
def test_what_json_tells_apart_differs(before: Any, after: Any) -> None:
    assert len(values(Thing(before), Thing(after))) == 1


def test_the_order_of_keys_is_no_difference() -> None:
    assert values(Thing({"a": 1, "b": 2}), Thing({"b": 2, "a": 1})) == []


def test_an_entry_without_anybody_has_no_actor() -> None:
    target = Target(type="user", id=1)
    assert entry("user.create", target, by=None, at=NOW).actor_id is None
    assert entry("user.create", target, by=MEMBER, at=NOW).actor_id == MEMBER.id


# --- the chain ----------------------------------------------------------------------------------------------------------------

ENTRY = Entry(
    at=NOW,
    actor_id=1,
    action="resource.update",
    project="story",
    target=Target(type="resource", id=7),
    changes=(Difference(field="name", before="a", after="b"), Difference(field="n", before=None, after=1)),
)
RECORD = Recorded(id=3, entry=ENTRY, request_id="request-1")
ANOTHER = [
    replace(RECORD, id=4),
    replace(RECORD, request_id=None),
    *(
        replace(RECORD, entry=replace(ENTRY, **change))
        for change in (
            {"at": NOW.replace(microsecond=0)},
            {"actor_id": None},
            {"actor_id": 11},
            {"action": "resource.delete"},
            {"project": None},
            {"target": Target(type="resource", id="7")},
            {"target": Target(type="resourc", id=7)},
            {"changes": ()},
            {"changes": ENTRY.changes[::-1]},
            {"changes": (replace(ENTRY.changes[0], before=None), ENTRY.changes[1])},
            {"changes": (ENTRY.changes[0], replace(ENTRY.changes[1], after=True))},
            {"changes": (ENTRY.changes[0], replace(ENTRY.changes[1], after="1"))},
        )
    ),
]


def linked(record: Recorded | None = RECORD, *, after: Head = BEGINNING) -> Link:
    head = extended(after, RECORD, SEAL)
    return Link(position=head.position, entry_id=RECORD.id, hash=head.hash, record=record)


def test_a_link_fits_where_it_was_made_and_nowhere_else() -> None:
    first = extended(BEGINNING, RECORD, SEAL)
    assert fault_in(linked(), after=BEGINNING, seal=SEAL) is None
    assert fault_in(linked(after=first), after=first, seal=SEAL) is None
    told = fault_in(linked(after=first), after=Head(position=1, hash=bytes(32)), seal=SEAL)
    assert told == ChainFault(kind=FaultKind.CHANGED, position=2, entry_id=3)


@pytest.mark.parametrize("other", ANOTHER, ids=range(len(ANOTHER)))
def test_any_change_of_an_entry_is_told(other: Recorded) -> None:
    assert fault_in(linked(other), after=BEGINNING, seal=SEAL) == ChainFault(kind=FaultKind.CHANGED, position=1, entry_id=3)


def test_every_variant_of_an_entry_has_a_hash_of_its_own() -> None:
    assert len({extended(BEGINNING, each, SEAL).hash for each in [RECORD, *ANOTHER]}) == len(ANOTHER) + 1


def test_a_gap_and_a_lost_entry_are_told() -> None:
    gap = replace(linked(), position=2)
    assert fault_in(gap, after=BEGINNING, seal=SEAL) == ChainFault(kind=FaultKind.MISSING, position=1, entry_id=None)
    assert fault_in(linked(None), after=BEGINNING, seal=SEAL) == ChainFault(kind=FaultKind.MISSING, position=1, entry_id=3)


def test_another_key_makes_another_chain() -> None:
    fault = fault_in(linked(), after=BEGINNING, seal=FakeSealer(b"another").seal)
    assert fault is not None
    assert fault.kind is FaultKind.CHANGED


def test_a_head_is_read_as_it_is_written() -> None:
    for head in (BEGINNING, extended(BEGINNING, RECORD, SEAL), Head(position=10**17, hash=bytes(range(32)))):
        assert head_from(str(head)) == head
    for bad in (
        "",
        "1",
        "1:",
        f"01:{'0' * 64}",
        f"1:{'0' * 63}",
        f"1:{'A' * 64}",
        f"-1:{'0' * 64}",
        f"1:{'0' * 64}\n",
        f"{10**18}:{'0' * 64}",
    ):
        assert head_from(bad) is None
