"""What an entry keeps of a value that is too large to be kept whole."""

import hashlib
import json
from typing import Any

import pytest

from domain.abridgement import WHOLE_BYTES, abridged, json_text
from domain.audit import Difference, Target, entry
from tests.examples import MEMBER, NOW

FITS = "x" * (WHOLE_BYTES - 2)  # two quotation marks stand around it


@pytest.mark.parametrize("value", [None, True, 2**70, 1.5, "", FITS, {"key": FITS[:-9]}, [FITS[2:]]])
def test_what_is_small_is_kept_whole(value: Any) -> None:
    assert len(json_text(value).encode()) <= WHOLE_BYTES
    assert abridged(value) is value


@pytest.mark.parametrize("value", [FITS + "y", {"key": FITS}, ["é" * 600], "日" * 10_000, {"deep": [{"x": "🙂" * 16_000}]}])
def test_of_what_is_large_the_hash_the_size_and_the_beginning_are_kept(value: Any) -> None:
    kept, text = abridged(value), json_text(value).encode()
    assert json.loads(text) == value
    assert (kept["sha256"], kept["bytes"]) == (hashlib.sha256(text).hexdigest(), len(text))
    assert text.startswith(kept["begins"].encode())
    assert WHOLE_BYTES - 3 <= len(kept["begins"].encode()) <= WHOLE_BYTES
    assert kept.keys() == {"sha256", "bytes", "begins"}


def test_a_small_value_is_never_taken_for_a_large_one() -> None:
    assert len(json_text(abridged(FITS + "y"))) > WHOLE_BYTES


def test_the_text_of_a_value_is_always_the_same() -> None:
    value = {"bb": 1, "a": [1.0, 1e21, 1e-7, -0.0, None, True], "é": "ü\n", "aa": {}}
    assert json_text(value) == '{"a": [1.0, 1000000000000000000000.0, 0.0000001, 0.0, null, true], "aa": {}, "bb": 1, "é": "ü\\n"}'


def test_every_entry_keeps_the_rule() -> None:
    change = Difference(field="attributes", before={"a": 1}, after={"a": FITS})
    (kept,) = entry("thing.change", Target(type="thing", id=1), by=MEMBER, at=NOW, changes=(change,)).changes
    assert (kept.field, kept.before, kept.after) == ("attributes", {"a": 1}, abridged({"a": FITS}))
