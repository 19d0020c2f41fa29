"""Reading Parquet by Arrow: some rows at a time, and no more decoded than is allowed.

A value may stand in a file once and in a million rows: in a dictionary, or as what each row shares with the one before. So the
longest value of a column decides how many rows are decoded at once.
"""

from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from domain.resource_import import InvalidRows, Piece, RowFault, Unreadable, header_faults

ROWS = 5000
ROW_GROUP_MAX_BYTES = 512 * 1024 * 1024
UNFOLDED_MAX_BYTES = 128 * 1024 * 1024  # by the rows that are decoded at once

_DICTIONARIES = frozenset(["RLE_DICTIONARY", "PLAIN_DICTIONARY"])
_SHARES_BEGINNINGS = "DELTA_BYTE_ARRAY"


def parquet_pieces(file: BinaryIO, *, at_most: int) -> Iterator[Piece]:
    """The rows of a table of which at most so many bytes are decoded. Raises `Unreadable`, and `InvalidRows` for what is not allowed."""
    row, decoded = 1, 0
    try:
        table = _opened(file)
        _refuse(table)
        for batch in table.iter_batches(_rows_at_once(file, table.metadata), use_threads=False):
            decoded += sum(map(_size, batch.columns))
            if decoded > at_most:
                raise _too_large(at_most)
            columns = {name: _values(batch.column(place)) for place, name in enumerate(batch.schema.names)}
            yield Piece(numbers=range(row, row + batch.num_rows), columns=columns)
            row += batch.num_rows
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        raise Unreadable("The table is not readable Parquet.") from None


def _refuse(table: Any) -> None:
    schema, metadata = table.schema_arrow, table.metadata
    faults = list(header_faults(schema.names))
    faults += [
        RowFault(row=0, field=field.name, code="bad-type", detail="A column of texts; attributes are the text of their JSON.")
        for field in schema
        if not _is_text(field.type) and not faults
    ]
    if any(metadata.row_group(number).total_byte_size > ROW_GROUP_MAX_BYTES for number in range(metadata.num_row_groups)):
        faults.append(_fault("row-group-too-large", f"A row group has at most {ROW_GROUP_MAX_BYTES} bytes."))
    if faults:
        raise InvalidRows(faults, rows_failed=0)


def _rows_at_once(file: BinaryIO, metadata: Any) -> int:
    longest = max((_longest(file, metadata, number) for number in range(metadata.num_row_groups)), default=0)
    return max(1, min(ROWS, UNFOLDED_MAX_BYTES // max(longest, 1)))


def _longest(file: BinaryIO, metadata: Any, number: int) -> int:
    """The most bytes that a value of this row group may have while it stands in the file once for many rows."""
    group = metadata.row_group(number)
    chunks = [group.column(place) for place in range(group.num_columns)]
    longest = [chunk.total_uncompressed_size for chunk in chunks if _SHARES_BEGINNINGS in chunk.encodings]
    names = [chunk.path_in_schema for chunk in chunks if _DICTIONARIES.intersection(chunk.encodings)]
    if names:
        table = _opened(file, metadata=metadata, read_dictionary=names)
        first = next(table.iter_batches(1, row_groups=[number], columns=names, use_threads=False), None)  # brings whole dictionaries
        kept = [column for column in (first.columns if first else []) if pa.types.is_dictionary(column.type)]  # nulls alone have none
        longest += [pc.max(pc.binary_length(column.dictionary)).as_py() or 0 for column in kept]
    return max(longest, default=0)


def _opened(file: BinaryIO, **how: Any) -> Any:
    file.seek(0)
    return pq.ParquetFile(file, memory_map=False, buffer_size=1024 * 1024, pre_buffer=False, **how)


def _size(column: Any) -> int:
    if not pa.types.is_dictionary(column.type):
        return int(column.nbytes)
    lengths = pc.binary_length(column.dictionary).take(column.indices)
    return int(column.indices.nbytes) + (pc.sum(lengths).as_py() or 0)


def _is_text(kind: Any) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind))


def _values(column: Any) -> list[Any]:
    if pa.types.is_null(column.type):
        return [None] * len(column)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    column.validate(full=True)
    values: list[Any] = column.to_numpy(zero_copy_only=False).tolist()
    return values


def _too_large(at_most: int) -> InvalidRows:
    return InvalidRows([_fault("too-large", f"At most {at_most} bytes when decoded.")], rows_failed=0)


def _fault(code: str, detail: str) -> RowFault:
    return RowFault(row=0, field="", code=code, detail=detail)
