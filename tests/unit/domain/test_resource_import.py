"""Judging the rows of a table: many at once as each by itself."""

from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.resource_import import Effect, InvalidRows, Judging, Mode, Piece, TableKind, header_faults, judge, plan_of
from domain.resource_import import judging as module
from domain.strict_json import decoded

NAMES = (
    st.none()
    | st.sampled_from(["", " ", "a", "A ", "ß", "e\u0301", "x" * 255, "x" * 256, "\x00", "a\tb\n", "\x9f", "İ"])
    | st.text(max_size=5)
)
TEXTS = st.none() | st.sampled_from(["", "d" * 10_000, "d" * 10_001, "\x1f", "É\n"]) | st.text(max_size=5)
STATUSES = st.none() | st.sampled_from(["active", "pending", "", "Active"])
JSON = st.none() | st.sampled_from(
    [
        "{}",
        "[]",
        "",
        "{",
        '{"a": 1}',
        '{"a": 1, "a": 2}',
        '{"a": 1e400}',
        '{"a": 1e5}',
        '{"a": "\\u0000"}',
        '{"a": NaN}',
        '{"a":' * 17 + "1" + "}" * 17,
        '{"a": ' + "9" * 400 + "}",
        '{"a": "' + "x" * 70000 + '"}',
        '{"a": "\x01"}',
        " {} ",
        "1",
        '{"a":' * 16 + "1" + "}" * 16,
        "[" * 4000,
    ]
)
ROWS = st.lists(st.tuples(NAMES, TEXTS, STATUSES, JSON), min_size=1, max_size=4)


def piece(rows: list[tuple[Any, ...]]) -> Piece:
    columns = ("name", "description", "status", "attributes")
    return Piece(numbers=range(5, 5 + len(rows)), columns={name: [row[at] for row in rows] for at, name in enumerate(columns)})


def told(judged: module.Judged) -> dict[str, Any]:
    attributes = [decoded(value) if isinstance(value, str) else value for value in judged.attributes]
    return asdict(judged) | {"attributes": attributes, "numbers": list(judged.numbers)}


@given(rows=ROWS)
def test_a_piece_is_judged_as_each_of_its_rows_is(rows: list[tuple[Any, ...]]) -> None:
    assert told(judge(piece(rows))) == told(module._one_by_one(piece(rows)))


@pytest.mark.parametrize("rows", [[("a", "Ü", "pending", '{"a": [1, "x"]}'), ("b ", None, None, None)]])
def test_plain_rows_are_judged_together(rows: list[tuple[Any, ...]]) -> None:
    """Otherwise the speed that is promised would quietly be gone."""
    assert module._all_good(piece(rows)) is not None


def test_faults_are_kept_up_to_a_thousand_and_rows_counted_beyond() -> None:
    judging = Judging()
    for _ in judging.judged(piece([("", "\x00", None, None)] * 400) for _ in range(3)):
        pass
    assert (judging.rows, judging.rows_failed, len(judging.faults)) == (1200, 1200, 1000)
    with pytest.raises(InvalidRows) as caught:
        judging.refuse(more_failed=3)
    assert caught.value.members["rows_failed"] == 1203
    assert len(caught.value.members["errors"]) == 1000
    Judging().refuse()


def test_a_header_is_of_known_columns_each_once() -> None:
    assert list(header_faults(["attributes", "name"])) == []
    assert [fault.code for fault in header_faults(["x", "status", "status"])] == ["unknown-column", "repeated-column", "missing-column"]


def test_a_plan_is_of_everything_that_it_depends_on() -> None:
    effect = Effect(inserted=1, updated=2, deleted=3, unchanged=4, mark=b"m")
    given: dict[str, Any] = {"project": "story", "mode": Mode.UPSERT, "kind": TableKind.CSV, "digest": b"d"}
    changed: list[dict[str, Any]] = [{"project": "other"}, {"mode": Mode.REPLACE}, {"kind": TableKind.NDJSON}, {"digest": b"e"}]
    plans = [plan_of(effect, **given), *(plan_of(effect, **given | change) for change in changed)]
    others = ({"inserted": 2}, {"updated": 1}, {"deleted": 0}, {"unchanged": 0}, {"mark": b"n"})
    plans += [plan_of(Effect(**asdict(effect) | change), **given) for change in others]
    assert len(set(plans)) == len(plans) == 10
    assert plan_of(effect, **given) == plans[0]
