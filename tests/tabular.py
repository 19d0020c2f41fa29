"""Tables read back from each format, by other hands than those that wrote them."""

import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any

import pyarrow.parquet as pq

from domain.export import Column, ColumnType, Format

Row = Sequence[Any]


def csv_records(text: str) -> Iterator[list[str | None]]:
    """The records of RFC 4180, strictly: lines end with CR LF, quotes are doubled within quotes. An empty cell is None, `""` is ""."""
    place, record = 0, list[str | None]()
    while place < len(text):
        if text[place] == '"':
            cell, place = "", place + 1
            while True:
                end = text.index('"', place)
                cell += text[place:end]
                if text[end + 1 : end + 2] != '"':
                    break
                cell, place = cell + '"', end + 2
            record.append(cell)
            place = end + 1
        else:
            end = min(at for at in (text.find(",", place), text.find("\r\n", place)) if at != -1)
            cell = text[place:end]
            assert not set(cell) & set('"\r\n'), "a bare cell holds what needs quotes"
            record.append(cell or None)
            place = end
        if text[place] == ",":
            place += 1
            continue
        assert text[place : place + 2] == "\r\n", "a record ends with CR LF"
        place += 2
        yield record
        record = []
    assert not record, "the last record ends with CR LF"


def read_csv(content: bytes, columns: Sequence[Column]) -> list[tuple[Any, ...]]:
    header, *records = csv_records(content.decode())
    assert header == [column.name for column in columns]
    return [tuple(map(_from_csv, columns, record)) for record in records]


def _from_csv(column: Column, cell: str | None) -> Any:
    if cell is None:
        return None
    match column.type:
        case ColumnType.INTEGER:
            return int(cell)
        case ColumnType.NUMBER:
            return float(cell)
        case ColumnType.BOOLEAN:
            return {"true": True, "false": False}[cell]
        case ColumnType.TIME:
            return time_of(cell)
        case ColumnType.TEXTS:
            return cell.split("|") if cell else []
        case _:
            return cell


def time_of(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


def read_json(content: bytes, columns: Sequence[Column]) -> list[tuple[Any, ...]]:
    return [_from_object(row, columns) for row in json.loads(content, object_pairs_hook=list)]


def read_ndjson(content: bytes, columns: Sequence[Column]) -> list[tuple[Any, ...]]:
    *lines, last = content.split(b"\n")
    assert last == b"", "each row ends its line"
    return [_from_object(json.loads(line, object_pairs_hook=list), columns) for line in lines]


def _from_object(pairs: list[tuple[str, Any]], columns: Sequence[Column]) -> tuple[Any, ...]:
    assert [name for name, _ in pairs] == [column.name for column in columns]
    times = [column.type is ColumnType.TIME for column in columns]
    return tuple(time_of(value) if is_time and value is not None else value for (_, value), is_time in zip(pairs, times, strict=True))


def read_parquet(content: bytes, columns: Sequence[Column]) -> list[tuple[Any, ...]]:
    table = pq.ParquetFile(io.BytesIO(content)).read()
    assert table.column_names == [column.name for column in columns]
    cells = [column.to_pylist() for column in table.columns]
    return [tuple(cell.isoformat() if type(cell) is date else cell for cell in row) for row in zip(*cells, strict=True)]


READERS: dict[Format, Callable[[bytes, Sequence[Column]], list[tuple[Any, ...]]]] = {
    Format.CSV: read_csv,
    Format.JSON: read_json,
    Format.NDJSON: read_ndjson,
    Format.PARQUET: read_parquet,
}


def typed(rows: Iterable[Row]) -> list[list[tuple[type, Any]]]:
    """The cells with their types: to Python, 1, 1.0 and true are equal."""
    return [[(type(cell), cell) for cell in row] for row in rows]
