"""Ranges of bytes, compared with a reference that reads the standard word by word."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from entrypoints.http.byte_range import ByteRange, wanted_range
from entrypoints.http.problems import RangeNotSatisfiable

TAG = "abc"
WHOLE, UNSATISFIABLE = "whole", "unsatisfiable"


def asked(text: str | None, *, size: int, if_range: str | None = None) -> ByteRange | str:
    given = [(name, value) for name, value in (("range", text), ("if-range", if_range)) if value is not None]
    headers = Headers(raw=[(name.encode(), value.encode("latin-1")) for name, value in given])
    try:
        found = wanted_range(headers, size=size, tag=TAG)
    except RangeNotSatisfiable as error:
        return UNSATISFIABLE if error.headers == {"content-range": f"bytes */{size}"} else "another length"
    assert 0 <= found.start < found.end <= size == found.size
    if not found.is_part:
        assert (found.start, found.end) == (0, size)
        return WHOLE
    return found


def reference(first: str, last: str, *, size: int) -> range | str:
    """RFC 9110, section 14.1.2, over the positions themselves."""
    if not first and not last:
        return WHOLE
    if not first:
        chosen = range(max(0, size - int(last)), size)
    elif last and int(last) < int(first):
        return WHOLE
    else:
        chosen = range(int(first), size if not last else min(size, int(last) + 1))
    return chosen or UNSATISFIABLE


positions = st.one_of(
    st.just(""), st.integers(0, 30).map(str), st.integers(0, 10**60).map(str), st.integers(0, 12).map(lambda n: f"{n:09}")
)


@given(positions, positions, st.integers(1, 20))
def test_one_range_is_what_the_standard_says(first: str, last: str, size: int) -> None:
    found, expected = asked(f"bytes={first}-{last}", size=size), reference(first, last, size=size)
    if isinstance(expected, range):
        assert isinstance(found, ByteRange)
        assert (found.start, found.end) == (expected.start, expected.stop)
        assert found.header == f"bytes {expected.start}-{expected.stop - 1}/{size}"
    else:
        assert found == expected


@given(st.text(st.characters(max_codepoint=255)), st.integers(1, 2**60))
def test_whatever_is_asked_is_answered(text: str, size: int) -> None:
    asked(text, size=size)
    asked(f"bytes={text}", size=size)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=1-x",
        "bytes=--1",
        "bytes=1",
        "items=0-1",
        "bytes=0-1,3-4",
        "bytes=" + "0-," * 1000,
        "bytes=0x0-0x1",
        "bytes=1-0",
        "bytes=+1-2",
        "bytes=0-1\n",
        "bytes=٠-١".encode().decode("latin-1"),
    ],
)
def test_what_is_not_one_range_is_answered_with_the_whole(text: str | None) -> None:
    assert asked(text, size=10) == WHOLE


def test_a_range_that_is_given_twice_is_none() -> None:
    headers = Headers(raw=[(b"range", b"bytes=0-1"), (b"range", b"bytes=0-1")])
    assert not wanted_range(headers, size=10, tag=TAG).is_part


@pytest.mark.parametrize(
    ("if_range", "is_part"),
    [
        (None, True),
        ('"abc"', True),
        ('W/"abc"', False),
        ('"abd"', False),
        ("abc", False),
        ("Tue, 24 Nov 2026 12:00:00 GMT", False),
        ('"abc", "x"', False),
    ],
)
def test_if_range_takes_the_strong_tag_alone(if_range: str | None, is_part: bool) -> None:  # noqa: FBT001
    assert isinstance(asked("bytes=0-1", size=10, if_range=if_range), ByteRange) is is_part
    assert asked("bytes=10-", size=10, if_range=if_range) == (UNSATISFIABLE if is_part else WHOLE)
