"""Reading a table as CSV (RFC 4180) strictly: which columns it has is known beforehand."""

import csv
from collections.abc import Mapping, Sequence
from io import StringIO

from starlette.types import Receive

from domain.errors import Fault, Invalid
from entrypoints.http.json_body import BODY_MAX, read_body
from entrypoints.http.problems import Malformed, UnsupportedMediaType

MEDIA_TYPE = "text/csv"
_PARAMETERS = {"", "charset=utf-8", 'charset="utf-8"', "header=present"}


async def read_csv(receive: Receive, headers: Mapping[str, str], *, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a request as texts by column; lines without anything are none.

    Raises `UnsupportedMediaType`, `TooLarge`, `RequestTimeout`, `Malformed`, and `Invalid` for other columns or a row of another length.
    """
    body = await read_body(receive, headers, at_most=BODY_MAX)
    media_type, *parameters = (part.strip().lower() for part in headers.get("content-type", "").split(";"))
    if media_type != MEDIA_TYPE or not set(parameters) <= _PARAMETERS:
        raise UnsupportedMediaType(f"Send {MEDIA_TYPE}.")
    return parse_csv(body, columns=columns)


def parse_csv(body: bytes, *, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a table in UTF-8, with a byte order mark or without."""
    try:
        header, *rows = [line for line in csv.reader(StringIO(body.decode("utf-8-sig"), newline=""), strict=True) if line] or [[]]
    except (UnicodeDecodeError, csv.Error):
        raise Malformed("The body is not CSV in UTF-8.") from None
    if sorted(header) != sorted(columns):
        raise Invalid(Fault(pointer="/header", code="bad-header", detail=f"The columns are {','.join(columns)}."))
    faults = [
        Fault(pointer=f"/rows/{number}", code="bad-row", detail=f"A row has {len(columns)} cells.")
        for number, row in enumerate(rows, start=1)
        if len(row) != len(columns)
    ]
    if faults:
        raise Invalid(*faults[:1000])
    return [dict(zip(header, row, strict=True)) for row in rows]
