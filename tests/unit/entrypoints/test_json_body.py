"""Texts in a JSON body: line ends are read as LF, and controls are refused where they stand, with nothing told of what was sent."""

import json
from typing import Any

import pytest

from domain.errors import Invalid
from entrypoints.http.json_body import parse_json
from entrypoints.http.problems import Malformed
from entrypoints.http.query import pairs


def refused(value: Any) -> list[str]:
    with pytest.raises(Invalid) as found:
        parse_json(json.dumps(value).encode())
    assert {fault.code for fault in found.value.faults} == {"control-character"}
    return [fault.pointer for fault in found.value.faults]


def test_every_line_end_is_a_line_feed() -> None:
    sent = {"name": "a\r\nb\rc\n\r\r\nd", "list": ["\r\n", 1, None, {"key\r\n": "\t\r"}]}
    assert parse_json(json.dumps(sent).encode()) == {"name": "a\nb\nc\n\n\nd", "list": ["\n", 1, None, {"key\n": "\t\n"}]}
    assert parse_json(b'"\\u000d\\u000a"') == "\n"


def test_keys_that_become_one_are_duplicates() -> None:
    with pytest.raises(Malformed):
        parse_json(json.dumps({"a\r": 1, "a\n": 2}).encode())


@pytest.mark.parametrize("control", ["\x00", "\x01", "\x0b", "\x1f", "\x80", "\x9f", "\ud800"])
def test_a_control_is_pointed_at_where_it_stands(control: str) -> None:
    bad = f"so {control}"
    assert refused({"answers": {"comment": bad, "other": "fine"}}) == ["/answers/comment"]
    assert refused({"answers": {"topics": ["fine", bad]}, "fingerprint": bad}) == ["/answers/topics/1", "/fingerprint"]
    assert refused(bad) == [""]
    assert refused({"answers": {bad: 1}}) == ["/answers"]
    assert refused({"attributes": {"no name": {"inner": [bad]}}}) == ["/attributes"]


def test_a_control_in_utf_8_is_seen_as_well() -> None:
    with pytest.raises(Invalid) as found:
        parse_json('{"name": "\x85"}'.encode())
    assert [fault.pointer for fault in found.value.faults] == ["/name"]


def test_a_control_in_a_query_is_pointed_at_by_its_parameter() -> None:
    for query, pointer in ((b"limit=1&search=%00", "/search"), (b"a%00=1", ""), (b"label.x=%00", "")):
        with pytest.raises(Invalid) as found:
            pairs(query)
        assert [fault.pointer for fault in found.value.faults] == [pointer]
