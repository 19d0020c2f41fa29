"""Reading Parquet by Arrow: some rows at a time, and no more unfolded than is allowed.

What the file says of itself may be a lie, and is only a first check: `parquet_process` reads it in a process with little memory.

A value may stand in a file once and in a million rows: in a dictionary, or as what each row shares with the one before. So the
longest value of a column decides how many rows are decoded at once.
"""

from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from adapters.tabular.parquet_pages import BadPage, pages
from domain.resource_import import InvalidRows, Piece, RowFault, Unreadable, header_faults

ROWS = 5000
ROW_GROUP_MAX_BYTES = 512 * 1024 * 1024
PAGE_MAX_BYTES = 64 * 1024 * 1024  # writers make pages of about 1 MiB
PAGES_MAX = 100_000
UNFOLDED_MAX_BYTES = 64 * 1024 * 1024  # by the rows that are decoded at once
PIECE_BYTES = 4 * 1024 * 1024  # a single row, too, has no more

_DICTIONARIES = frozenset(["RLE_DICTIONARY", "PLAIN_DICTIONARY"])
_SHARES_BEGINNINGS = "DELTA_BYTE_ARRAY"


def parquet_pieces(file: BinaryIO, *, at_most: int) -> Iterator[Piece]:
    """The rows of a table of which at most so many bytes are decoded. Raises `Unreadable`, and `InvalidRows` for what is not allowed."""
    row, decoded = 1, 0
    try:
        table = _opened(file)
        _refuse(table)
        _refuse_pages(file, table.metadata, at_most=at_most)
        for batch in table.iter_batches(_rows_at_once(file, table.metadata), use_threads=False):
            decoded += _size(batch)
            if decoded > at_most:
                raise _too_large(at_most)
            for part in _parts(batch):
                columns = {name: _values(part.column(place)) for place, name in enumerate(part.schema.names)}
                yield Piece(numbers=range(row, row + part.num_rows), columns=columns)
                row += part.num_rows
    except MemoryError:
        raise
    except (pa.ArrowException, OSError, UnicodeDecodeError, BadPage):
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


def _refuse_pages(file: BinaryIO, metadata: Any, *, at_most: int) -> None:
    """Raises `InvalidRows` where the pages declare more than is allowed, before one of them is unfolded."""
    number, unfolded = 0, 0
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for chunk in map(group.column, range(group.num_columns)):
            for page in pages(file, chunk):
                number, unfolded = number + 1, unfolded + page.unfolded
                if unfolded > at_most:
                    raise _too_large(at_most)
                if number > PAGES_MAX or max(page.stored, page.unfolded) > PAGE_MAX_BYTES:
                    detail = f"A table has at most {PAGES_MAX} pages, each of at most {PAGE_MAX_BYTES} bytes."
                    raise InvalidRows([_fault("page-too-large", detail)], rows_failed=0)


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


def _parts(batch: Any) -> Iterator[Any]:
    """The batch in parts of which none has many bytes. Raises `InvalidRows` where a single row has."""
    if _size(batch) <= PIECE_BYTES:
        yield batch
        return
    if batch.num_rows <= 1:
        raise InvalidRows([_fault("too-large", f"A row has at most {PIECE_BYTES} bytes.")], rows_failed=0)
    half = batch.num_rows // 2
    yield from _parts(batch.slice(0, half))
    yield from _parts(batch.slice(half))


def _size(batch: Any) -> int:
    return sum(map(_column_size, batch.columns))


def _column_size(column: Any) -> int:
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
