"""Reading Parquet by Arrow: some rows at a time, and no more decoded than is allowed."""

from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from domain.resource_import import InvalidRows, Piece, RowFault, Unreadable, header_faults

ROWS = 5000
ROW_GROUP_MAX_BYTES = 512 * 1024 * 1024


def parquet_pieces(file: BinaryIO, *, at_most: int) -> Iterator[Piece]:
    """The rows of a table of which at most so many bytes are decoded. Raises `Unreadable`, and `InvalidRows` for what is not allowed."""
    row, decoded = 1, 0
    try:
        table = pq.ParquetFile(file, memory_map=False, buffer_size=1024 * 1024, pre_buffer=False)
        _refuse(table)
        for batch in table.iter_batches(ROWS, use_threads=False):
            decoded += batch.nbytes
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
