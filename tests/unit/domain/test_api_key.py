"""Keys: what they open, and for how long."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domain.access import PERMISSIONS, Action
from domain.api_key import DAYS_MAX, LIVE_MAX, NAME_MAX, Scope, ScopeMissing, SessionRequired, is_key
from domain.errors import Invalid
from domain.quota import QuotaExceeded
from tests.examples import NOW, api_key

A_MOMENT = timedelta(microseconds=1)
BY_KEY = sorted(action for action in Action if PERMISSIONS[action].by_key)


def test_a_key_lives_as_many_days_as_it_was_given() -> None:
    key = api_key(expires_in_days=DAYS_MAX)
    assert key.is_live(NOW + timedelta(days=DAYS_MAX) - A_MOMENT)
    assert not key.is_live(NOW + timedelta(days=DAYS_MAX))
    assert not replace(key, revoked_at=NOW).is_live(NOW)


def test_a_prefix_tells_keys_apart_and_gives_little_away() -> None:
    assert api_key(secret="cs_abcdefghijkl").prefix == "cs_abcdefgh"


@pytest.mark.parametrize(
    ("content", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"name": "  "}, "/name"),
        ({"name": "x" * (NAME_MAX + 1)}, "/name"),
        ({"name": "a\x00"}, "/name"),
        ({"scopes": []}, "/scopes"),
        ({"scopes": [Scope.READ, Scope.READ]}, "/scopes"),
        ({"expires_in_days": 0}, "/expires_in_days"),
        ({"expires_in_days": DAYS_MAX + 1}, "/expires_in_days"),
    ],
)
def test_each_fault_of_a_key_is_pointed_at(content: dict[str, Any], pointer: str) -> None:
    with pytest.raises(Invalid) as refused:
        api_key(**content, live=LIVE_MAX)
    assert [fault.pointer for fault in refused.value.faults] == [pointer]


def test_nobody_has_more_than_fifty() -> None:
    assert api_key(live=LIVE_MAX - 1, name="x" * NAME_MAX)
    with pytest.raises(QuotaExceeded):
        api_key(live=LIVE_MAX)


@pytest.mark.parametrize("action", BY_KEY)
def test_read_opens_what_reads_and_write_the_rest(action: Action) -> None:
    needed, other = (Scope.WRITE, Scope.READ) if PERMISSIONS[action].changes else (Scope.READ, Scope.WRITE)
    api_key(scopes=[needed]).require(action)
    with pytest.raises(ScopeMissing):
        api_key(scopes=[other]).require(action)
    api_key(scopes=[Scope.READ, Scope.WRITE]).require(action)


@pytest.mark.parametrize("action", sorted(set(Action) - set(BY_KEY)))
def test_no_key_does_what_is_done_in_person(action: Action) -> None:
    with pytest.raises(SessionRequired):
        api_key(scopes=[Scope.READ, Scope.WRITE]).require(action)


def test_no_key_makes_or_changes_people_and_a_lease_is_a_change() -> None:
    people = {action for action in Action if action.value.startswith(("user.", "api-key.", "session.", "password."))} - {Action.USER_LIST}
    assert {action for action in Action if not PERMISSIONS[action].by_key} == people | {Action.SELF_UPDATE}
    assert PERMISSIONS[Action.ANNOTATION_DRAW].changes


def test_a_use_is_noted_at_most_once_a_minute() -> None:
    key = api_key()
    assert key.is_use_due(NOW)
    used = replace(key, last_used_at=NOW)
    assert not used.is_use_due(NOW + timedelta(minutes=1) - A_MOMENT)
    assert used.is_use_due(NOW + timedelta(minutes=1))


@pytest.mark.parametrize(("token", "meant"), [("cs_x", True), ("cs_", True), ("eyJ.cs_.x", False), ("CS_x", False), ("", False)])
def test_a_key_is_told_from_other_tokens(token: str, *, meant: bool) -> None:
    assert is_key(token) is meant
