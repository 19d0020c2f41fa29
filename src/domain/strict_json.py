"""JSON read strictly: what two parsers could understand differently is refused."""

import json
from typing import Any

_DIGITS_MAX = 400  # beyond what a double or any integer of ours can hold; Python itself refuses from 4 301 digits on


def decoded(text: str) -> Any:
    """The value of JSON without duplicate keys, NaN or Infinity. Raises `ValueError`, and `RecursionError` where it nests too deep."""
    return _DECODER.decode(text)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("duplicate key")
    return value


def _integer(digits: str) -> int:
    return int(digits[:_DIGITS_MAX])


def _fraction(text: str) -> float:
    return float(text) + 0.0  # the negative zero is zero, as it is where it is kept


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_without_duplicates, parse_int=_integer, parse_float=_fraction, parse_constant=_no_constant)
