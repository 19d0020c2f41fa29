"""What is remembered of query strings, so that a client who sends many fills no memory and none is told another's answer."""

import pytest

from domain.errors import Invalid
from entrypoints.http.query import REMEMBERED_MAX, for_short_queries


def test_short_queries_are_read_once_and_long_ones_each_time() -> None:
    read: list[tuple[str, int]] = []

    @for_short_queries
    def length(of: str, query_string: bytes) -> int:
        read.append((of, len(query_string)))
        return len(query_string)

    short, long = b"a" * REMEMBERED_MAX, b"a" * (REMEMBERED_MAX + 1)
    assert [length(of, query) for query in (short, long) for of in ("one", "two") for _ in range(2)] == [256] * 4 + [257] * 4
    assert read == [("one", 256), ("two", 256), ("one", 257), ("one", 257), ("two", 257), ("two", 257)]


def test_what_is_refused_is_refused_each_time() -> None:
    read: list[bytes] = []

    @for_short_queries
    def refuse(of: str, query_string: bytes) -> int:
        read.append(query_string)
        raise Invalid

    for _ in range(2):
        with pytest.raises(Invalid):
            refuse("one", b"a")
    assert read == [b"a", b"a"]
