"""`Range` and `If-Range` (RFC 9110, section 14) for one range: of several, overlapping or malformed ones the whole is sent instead."""

import re
from dataclasses import dataclass

from starlette.datastructures import Headers

from entrypoints.http.problems import RangeNotSatisfiable

_ONE = re.compile(r"bytes=[ \t]*(?:([0-9]+)-([0-9]*)|-([0-9]+))[ \t]*", re.IGNORECASE)
_DIGITS_MAX = 18  # what is longer is beyond the end of anything


@dataclass(frozen=True, slots=True, kw_only=True)
class ByteRange:
    """The bytes from `start` to before `end` of so many; `is_part` tells whether they were asked for as a part."""

    start: int
    end: int
    size: int
    is_part: bool

    @property
    def header(self) -> str:
        """As `Content-Range` tells it."""
        return f"bytes {self.start}-{self.end - 1}/{self.size}"


def wanted_range(headers: Headers, *, size: int, tag: str) -> ByteRange:
    """The bytes to answer. Raises `RangeNotSatisfiable` for a range that begins beyond the end."""
    whole = ByteRange(start=0, end=size, size=size, is_part=False)
    given = headers.getlist("range")
    match = _ONE.fullmatch(given[0]) if len(given) == 1 else None
    if match is None or headers.getlist("if-range") not in ([], [f'"{tag}"']):
        return whole
    first, last, suffix = match.groups()
    if suffix is not None:
        start, end = max(0, size - _number(suffix)), size
    else:
        start, end = _number(first), min(size, _number(last) + 1) if last else size
        if last and _number(last) < _number(first):
            return whole  # no range at all
    if start >= size:
        raise RangeNotSatisfiable(headers={"content-range": f"bytes */{size}"})
    return ByteRange(start=start, end=end, size=size, is_part=True)


def _number(digits: str) -> int:
    digits = digits.lstrip("0")
    return int(digits or "0") if len(digits) <= _DIGITS_MAX else 10**_DIGITS_MAX
