"""Parquet by Arrow: zstd, a schema by declaration, the codebook in the file's own metadata."""

import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from application.ports import TableConverter, TableWriter
from domain.export import Column, ColumnType

ROW_GROUP = 10_000
ROW_GROUP_BYTES = 2 * 1024 * 1024
READ_BYTES = 128 * 1024  # of CSV at a time
_MARK = b"\xef\xbb\xbf"  # Arrow drops a byte order mark that a text begins with: so ours, not one of a value

_TYPES = {
    ColumnType.TEXT: pa.string(),
    ColumnType.CATEGORY: pa.dictionary(pa.int32(), pa.string()),
    ColumnType.INTEGER: pa.int64(),
    ColumnType.NUMBER: pa.float64(),
    ColumnType.BOOLEAN: pa.bool_(),
    ColumnType.DATE: pa.date32(),
    ColumnType.TIME: pa.timestamp("us", tz="UTC"),
    ColumnType.TEXTS: pa.list_(pa.string()),
}


def _schema(columns: Sequence[Column], metadata: Mapping[str, str]) -> Any:
    return pa.schema([pa.field(column.name, _TYPES[column.type]) for column in columns], metadata=dict(metadata))


class ParquetWriter(TableWriter):
    """Holds at most one row group of rows."""

    def __init__(self, columns: Sequence[Column], *, metadata: Mapping[str, str]) -> None:
        self._schema = _schema(columns, metadata)
        self._types = [column.type for column in columns]
        self._sink = _Sink()
        self._writer = pq.ParquetWriter(self._sink, self._schema, compression="zstd")
        self._held: list[Sequence[Any]] = []

    def begin(self) -> bytes:
        return self._sink.take()

    def rows(self, rows: Iterable[Sequence[Any]]) -> bytes:
        self._held.extend(rows)
        if len(self._held) >= ROW_GROUP:
            self._flush()
        return self._sink.take()

    def end(self) -> bytes:
        self._flush()
        self._writer.close()
        return self._sink.take()

    def _flush(self) -> None:
        if not self._held:
            return
        arrays = [
            pa.array(_values(kind, values), type=field.type)
            for kind, field, values in zip(self._types, self._schema, zip(*self._held, strict=True), strict=True)
        ]
        self._writer.write_batch(pa.record_batch(arrays, schema=self._schema))
        self._held = []


class ParquetConverter(TableConverter):
    """Holds at most one row group, of so many rows or so many bytes: rows become Arrow's columns without ever being objects."""

    def __init__(self, columns: Sequence[Column], *, metadata: Mapping[str, str]) -> None:
        self._schema = _schema(columns, metadata)
        self._sink = _Sink()
        self._writer = pq.ParquetWriter(self._sink, self._schema, compression="zstd")
        self._text = bytearray(_MARK)
        self._tables: list[Any] = []
        self._as_read = pc.ConvertOptions(
            column_types=self._schema,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["true"],
            false_values=["false"],
        )
        self._names = [column.name for column in columns]

    def begin(self) -> bytes:
        return self._sink.take()

    def records(self, csv: bytes) -> bytes:
        self._text += csv
        if len(self._text) >= READ_BYTES:
            self._read()
            if sum(len(table) for table in self._tables) >= ROW_GROUP or sum(table.nbytes for table in self._tables) >= ROW_GROUP_BYTES:
                self._flush()
        return self._sink.take()

    def end(self) -> bytes:
        self._read()
        self._flush()
        self._writer.close()
        return self._sink.take()

    def _read(self) -> None:
        if len(self._text) == len(_MARK):
            return
        text, self._text = pa.py_buffer(bytes(self._text)), bytearray(_MARK)
        reading = pc.ReadOptions(use_threads=False, block_size=len(text), column_names=self._names)
        parsing = pc.ParseOptions(newlines_in_values=True)
        self._tables.append(pc.read_csv(pa.BufferReader(text), reading, parsing, self._as_read))

    def _flush(self) -> None:
        if self._tables:
            table = pa.concat_tables(self._tables).cast(self._schema)
            self._tables = []
            self._writer.write_table(table, row_group_size=len(table))
            del table
            pa.default_memory_pool().release_unused()


class _Sink(io.RawIOBase):
    """A file that is only ever appended to, and gives away what it has."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._position += len(part)
        return len(part)

    def tell(self) -> int:
        return self._position

    def take(self) -> bytes:
        """What was written since this was last asked."""
        taken, self._parts = b"".join(self._parts), []
        return taken


def _values(kind: ColumnType, values: Sequence[Any]) -> Sequence[Any]:
    if kind is ColumnType.DATE:
        return [None if value is None else date.fromisoformat(value) for value in values]
    return values
