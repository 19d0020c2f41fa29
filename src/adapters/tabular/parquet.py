"""Parquet by Arrow: zstd, a schema by declaration, the codebook in the file's own metadata."""

import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from application.ports import TableWriter
from domain.export import Column, ColumnType

ROW_GROUP = 50_000

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


class ParquetWriter(TableWriter):
    """Holds at most one row group of rows."""

    def __init__(self, columns: Sequence[Column], *, metadata: Mapping[str, str]) -> None:
        fields = [pa.field(column.name, _TYPES[column.type]) for column in columns]
        self._schema = pa.schema(fields, metadata=dict(metadata))
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
