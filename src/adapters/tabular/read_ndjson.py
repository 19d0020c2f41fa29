"""Reading a JSON object a line, each by itself and strictly."""

from collections.abc import Iterator
from typing import Any, BinaryIO

from domain.resource_import import ABSENT, FIELDS, InvalidRows, Piece, RowFault, Unreadable
from domain.strict_json import decoded

ROWS = 5000
PIECE_BYTES = 4 * 1024 * 1024
LINE_MAX_BYTES = 1024 * 1024

_BOM = b"\xef\xbb\xbf"


def ndjson_pieces(file: BinaryIO) -> Iterator[Piece]:
    """The rows of a table; empty lines are none. Raises `Unreadable` for a line that is not strict JSON in UTF-8."""
    row, size = 0, 0
    objects: list[tuple[int, Any]] = []
    if not file.read(1):
        raise InvalidRows([RowFault(row=0, field="", code="empty", detail="The table is empty.")], rows_failed=0)
    file.seek(0)
    if file.read(len(_BOM)) != _BOM:
        file.seek(0)
    while line := file.readline(LINE_MAX_BYTES + 1):
        if len(line) > LINE_MAX_BYTES:
            raise Unreadable(f"Row {row + 1} is longer than {LINE_MAX_BYTES} bytes.")
        if not line.strip():
            continue
        row, size = row + 1, size + len(line)
        objects.append((row, _value(line, row)))
        if len(objects) == ROWS or size > PIECE_BYTES:
            yield _piece(objects)
            objects, size = [], 0
    yield _piece(objects)


def _value(line: bytes, row: int) -> Any:
    try:
        return decoded(line.decode().strip())
    except (ValueError, RecursionError):
        raise Unreadable(f"Row {row} is not strict JSON in UTF-8.") from None


def _piece(objects: list[tuple[int, Any]]) -> Piece:
    good: list[tuple[int, dict[str, Any]]] = []
    faults: list[RowFault] = []
    for row, value in objects:
        if not isinstance(value, dict):
            faults.append(RowFault(row=row, field="", code="bad-row", detail="A row is an object."))
        elif not value.keys() <= set(FIELDS):
            detail = f"The keys are name and any of {', '.join(FIELDS[1:])}."
            faults.append(RowFault(row=row, field="", code="unknown-column", detail=detail))
        else:
            good.append((row, value))
    return Piece(
        numbers=[row for row, _ in good],
        columns={name: [value.get(name, ABSENT) for _, value in good] for name in FIELDS},
        faults=tuple(faults),
        spells_attributes=False,
    )
