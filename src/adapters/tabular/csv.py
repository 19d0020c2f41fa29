"""CSV as in RFC 4180, in UTF-8, told apart: an empty cell is null, `""` is the empty text."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from application.ports import TableWriter
from domain.export import Column, ColumnType, guarded
from domain.text import rfc3339

_NEEDS_QUOTES = re.compile('[",\r\n]')


class CsvWriter(TableWriter):
    """`guarded`: texts that a spreadsheet would run are prefixed with `'`; numbers of numeric columns are left alone."""

    def __init__(self, columns: Sequence[Column], *, guarded: bool) -> None:
        text = _guarded_text if guarded else _text
        self._header = ",".join(text(column.name) for column in columns) + "\r\n"
        self._cells = [_cell(column.type, text) for column in columns]

    def begin(self) -> bytes:
        return self._header.encode()

    def rows(self, rows: Iterable[Sequence[Any]]) -> bytes:
        cells = self._cells
        lines = [",".join(["" if value is None else cell(value) for cell, value in zip(cells, row, strict=True)]) for row in rows]
        return "".join([f"{line}\r\n" for line in lines]).encode()

    def end(self) -> bytes:
        return b""


def _cell(kind: ColumnType, text: Callable[[str], str]) -> Callable[[Any], str]:
    match kind:
        case ColumnType.TEXT | ColumnType.CATEGORY | ColumnType.DATE:
            return text
        case ColumnType.TEXTS:
            return lambda value: text("|".join(value))
        case ColumnType.BOOLEAN:
            return lambda value: "true" if value else "false"
        case ColumnType.TIME:
            return rfc3339
        case ColumnType.INTEGER | ColumnType.NUMBER:
            return repr


def _text(text: str) -> str:
    if text == "" or _NEEDS_QUOTES.search(text):
        return '"' + text.replace('"', '""') + '"'
    return text


def _guarded_text(text: str) -> str:
    return _text(guarded(text))
