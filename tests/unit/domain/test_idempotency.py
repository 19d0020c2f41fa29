"""Idempotency keys: which texts are one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.idempotency import KEY_MAX, BadKey, Keyed

PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))


def keyed(key: str) -> Keyed:
    return Keyed(user_id=1, key=key, fingerprint=b"")


@given(st.text(st.sampled_from(PRINTABLE), min_size=1, max_size=KEY_MAX))
def test_printable_ascii_is_a_key(text: str) -> None:
    assert keyed(text).key == text


@given(st.text(st.sampled_from(PRINTABLE), max_size=KEY_MAX - 1), st.characters(exclude_characters=PRINTABLE), st.integers(0, KEY_MAX))
def test_anything_else_is_none(text: str, other: str, place: int) -> None:
    with pytest.raises(BadKey):
        keyed(text[:place] + other + text[place:])


@pytest.mark.parametrize("length", [0, KEY_MAX + 1, 10 * KEY_MAX])
def test_a_key_has_a_length(length: int) -> None:
    with pytest.raises(BadKey):
        keyed("k" * length)
