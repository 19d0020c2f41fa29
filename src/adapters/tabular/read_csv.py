"""Reading CSV as in RFC 4180, in UTF-8, told apart: an empty cell is null, `""` is the empty text.

No library tells these two apart and yet refuses what is ambiguous. A regular expression takes whole stretches of cells apart at once.
"""

import codecs
import re
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

from domain.resource_import import InvalidRows, Piece, RowFault, Unreadable, header_faults

READ_BYTES = 512 * 1024
ROW_MAX_CHARACTERS = 1024 * 1024

_CELL = re.compile(r'("[^"]*+(?:""[^"]*+)*+"|[^",\r\n]*+)(,|\r\n|[\r\n])')


HeaderFaults = Callable[[Sequence[str]], Iterator[RowFault]]


def csv_pieces(file: BinaryIO, wrong: HeaderFaults = header_faults) -> Iterator[Piece]:
    """The rows of a table; empty lines are none. Raises `Unreadable`, and `InvalidRows` for a header that is `wrong`."""
    header: list[str] | None = None
    row = 1
    for text in _stretches(file):
        cells, ends = _taken_apart(text)
        if header is None:
            width = next((place for place, end in enumerate(ends, start=1) if end != ","), 0)
            if width == 1 and not cells[0]:
                cells, ends = _without_empty_lines(cells, ends)
                width = next((place for place, end in enumerate(ends, start=1) if end != ","), 0)
                if not width:
                    continue
            header = [_value(cell) or "" for cell in cells[:width]]
            _refuse(wrong(header))
            cells, ends = cells[width:], ends[width:]
        piece = _piece(header, cells, ends, first=row)
        row += len(piece.numbers) + len(piece.faults)
        yield piece
    if header is None:
        _refuse(wrong([]))


def _refuse(found: Iterator[RowFault]) -> None:
    faults = list(found)
    if faults:
        raise InvalidRows(faults, rows_failed=0)


def _stretches(file: BinaryIO) -> Iterator[str]:
    """The text in stretches of whole rows, each ended by a line end."""
    decoder, rest = codecs.getincrementaldecoder("utf-8-sig")(), ""
    while data := file.read(READ_BYTES):
        rest += _decoded(decoder, data)
        cut = _last_row_end(rest)
        if cut:
            yield rest[:cut]
            rest = rest[cut:]
        elif len(rest) > ROW_MAX_CHARACTERS:
            raise Unreadable("A row of the table is too long, or a quote is not closed.")
    rest += _decoded(decoder, b"", is_last=True)
    if rest:
        yield rest if rest.endswith(("\n", "\r")) else f"{rest}\n"


def _decoded(decoder: codecs.IncrementalDecoder, data: bytes, *, is_last: bool = False) -> str:
    try:
        return decoder.decode(data, is_last)
    except UnicodeDecodeError:
        raise Unreadable("The table is not UTF-8.") from None


def _last_row_end(text: str) -> int:
    """Where the last row that is whole ends: at a line end with an even number of quotes before it. 0 where none is.

    The last character does not count, since the second half of its line end may be still to come.
    """
    end = len(text) - 1
    quotes = text.count('"', 0, max(end, 0))
    while end > 0:
        found = max(text.rfind("\n", 0, end), text.rfind("\r", 0, end)) + 1
        quotes -= text.count('"', found, end)
        if found and quotes % 2 == 0 and text[found - 1 : found + 1] != "\r\n":
            return found
        end = found - 1
    return 0


def _taken_apart(text: str) -> tuple[list[str], list[str]]:
    """Every cell as it is written, and what ends it: a comma or a line end."""
    found = _CELL.findall(text)
    cells, ends = [cell for cell, _ in found], [end for _, end in found]
    if sum(map(len, cells)) + sum(map(len, ends)) != len(text):
        raise Unreadable("The table is not CSV: a quote stands where none may, or is not closed.")
    return cells, ends


def _piece(header: list[str], cells: list[str], ends: list[str], *, first: int) -> Piece:
    width = len(header)
    if width == 1 and "" in cells:
        cells, ends = _without_empty_lines(cells, ends)
    if not _is_even(cells, ends, width):
        return _uneven(header, cells, ends, first=first)
    columns = {name: _values(cells[place::width]) for place, name in enumerate(header)}
    return Piece(numbers=range(first, first + len(cells) // width), columns=columns)


def _is_even(cells: list[str], ends: list[str], width: int) -> bool:
    """Whether every row has as many cells as the header."""
    rows, rest = divmod(len(cells), width)
    return not rest and ends.count(",") == len(cells) - rows and "," not in ends[width - 1 :: width]


def _uneven(header: list[str], cells: list[str], ends: list[str], *, first: int) -> Piece:
    """Where some rows have another length: those are faults, and empty lines are none."""
    numbers: list[int] = []
    rows: list[list[str]] = []
    faults: list[RowFault] = []
    row: list[str] = []
    number = first
    for cell, end in zip(cells, ends, strict=True):
        row.append(cell)
        if end == ",":
            continue
        if row != [""]:
            if len(row) == len(header):
                numbers.append(number)
                rows.append(row)
            else:
                faults.append(RowFault(row=number, field="", code="bad-row", detail=f"A row has {len(header)} cells."))
            number += 1
        row = []
    columns = {name: _values([row[place] for row in rows]) for place, name in enumerate(header)}
    return Piece(numbers=numbers, columns=columns, faults=tuple(faults))


def _without_empty_lines(cells: list[str], ends: list[str]) -> tuple[list[str], list[str]]:
    """Where a line may be a single cell."""
    kept: list[tuple[str, str]] = []
    begins = True
    for cell, end in zip(cells, ends, strict=True):
        if not (begins and end != "," and not cell):
            kept.append((cell, end))
        begins = end != ","
    return [cell for cell, _ in kept], [end for _, end in kept]


def _values(cells: list[str]) -> list[str | None]:
    return [(cell[1:-1].replace('""', '"') if cell[0] == '"' else cell) if cell else None for cell in cells]


def _value(cell: str) -> str | None:
    if cell.startswith('"'):
        return cell[1:-1].replace('""', '"')
    return cell or None
