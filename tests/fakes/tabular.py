"""Tables in memory: all rows are kept, and the whole file is made at the end."""

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from application.ports import TableConverter, Tables, TableWriter
from domain.export import Column, ColumnType, Format
from tests.tabular import read_csv

_ARROW = {
    ColumnType.TEXT: pa.string(),
    ColumnType.CATEGORY: pa.dictionary(pa.int32(), pa.string()),
    ColumnType.INTEGER: pa.int64(),
    ColumnType.NUMBER: pa.float64(),
    ColumnType.BOOLEAN: pa.bool_(),
    ColumnType.DATE: pa.date32(),
    ColumnType.TIME: pa.timestamp("us", tz="UTC"),
    ColumnType.TEXTS: pa.list_(pa.string()),
}


class FakeTables(Tables):
    def writer(self, kind: Format, columns: Sequence[Column], *, guarded: bool, codebook: Mapping[str, Any]) -> TableWriter:
        return FakeTableWriter(kind, columns, guarded=guarded, codebook=codebook)

    def converter(self, columns: Sequence[Column], *, codebook: Mapping[str, Any]) -> TableConverter:
        return FakeTableConverter(columns, codebook=codebook)


class FakeTableConverter(TableConverter):
    def __init__(self, columns: Sequence[Column], *, codebook: Mapping[str, Any]) -> None:
        self._columns = columns
        self._codebook = codebook
        self._text = b""

    def begin(self) -> bytes:
        return b""

    def records(self, csv: bytes) -> bytes:
        self._text += csv
        return b""

    def end(self) -> bytes:
        header = ",".join(column.name for column in self._columns).encode()
        writer = FakeTableWriter(Format.PARQUET, self._columns, guarded=False, codebook=self._codebook)
        writer.rows(read_csv(header + b"\r\n" + self._text, self._columns))
        return writer.end()


class FakeTableWriter(TableWriter):
    def __init__(self, kind: Format, columns: Sequence[Column], *, guarded: bool, codebook: Mapping[str, Any]) -> None:
        self._kind = kind
        self._columns = columns
        self._guarded = guarded
        self._codebook = codebook
        self._rows: list[Sequence[Any]] = []

    def begin(self) -> bytes:
        return b""

    def rows(self, rows: Iterable[Sequence[Any]]) -> bytes:
        self._rows += rows
        return b""

    def end(self) -> bytes:
        match self._kind:
            case Format.CSV:
                header = ",".join(self._quoted(column.name) for column in self._columns)
                return "".join(f"{line}\r\n" for line in [header, *map(self._line, self._rows)]).encode()
            case Format.JSON:
                return f"[{','.join(map(self._object, self._rows))}]".encode()
            case Format.NDJSON:
                return "".join(f"{self._object(row)}\n" for row in self._rows).encode()
            case Format.PARQUET:
                return self._parquet()

    def _line(self, row: Sequence[Any]) -> str:
        return ",".join(self._cell(column, value) for column, value in zip(self._columns, row, strict=True))

    def _cell(self, column: Column, value: Any) -> str:
        if value is None:
            return ""
        match column.type:
            case ColumnType.INTEGER | ColumnType.NUMBER | ColumnType.BOOLEAN:
                return json.dumps(value)
            case ColumnType.TIME:
                return _rfc3339(value)
            case ColumnType.TEXTS:
                return self._quoted("|".join(value))
            case _:
                return self._quoted(value)

    def _quoted(self, text: str) -> str:
        guard = "'" if self._guarded and text[:1] in tuple("=+-@\t\r＝＋－＠") else ""
        return '"' + (guard + text).replace('"', '""') + '"'

    def _object(self, row: Sequence[Any]) -> str:
        return json.dumps({c.name: _plain(v) for c, v in zip(self._columns, row, strict=True)}, allow_nan=False)

    def _parquet(self) -> bytes:
        schema = pa.schema([pa.field(column.name, _ARROW[column.type]) for column in self._columns])
        rows = [[_as_arrow(column, value) for column, value in zip(self._columns, row, strict=True)] for row in self._rows]
        arrays = [pa.array([row[place] for row in rows], type=field.type) for place, field in enumerate(schema)]
        table = pa.Table.from_arrays(arrays, schema=schema.with_metadata({"codebook": json.dumps(self._codebook)}))
        file = io.BytesIO()
        pq.write_table(table, file, compression="zstd")
        return file.getvalue()


def _plain(value: Any) -> Any:
    return _rfc3339(value) if isinstance(value, datetime) else value


def _as_arrow(column: Column, value: Any) -> Any:
    return date.fromisoformat(value) if column.type is ColumnType.DATE and value is not None else value


def _rfc3339(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
