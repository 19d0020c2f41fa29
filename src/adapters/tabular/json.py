"""JSON: an object a row, in an array or on lines of their own."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from application.ports import TableWriter
from domain.export import Column
from domain.text import rfc3339


class NdjsonWriter(TableWriter):
    """A row a line."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._names = [column.name for column in columns]

    def begin(self) -> bytes:
        return b""

    def rows(self, rows: Iterable[Sequence[Any]]) -> bytes:
        return "".join([f"{text}\n" for text in self.texts(rows)]).encode()

    def end(self) -> bytes:
        return b""

    def texts(self, rows: Iterable[Sequence[Any]]) -> list[str]:
        """Each row as JSON."""
        return [_ENCODER.encode(dict(zip(self._names, row, strict=True))) for row in rows]


class JsonWriter(NdjsonWriter):
    """One array, whole only when ended."""

    def __init__(self, columns: Sequence[Column]) -> None:
        super().__init__(columns)
        self._is_first = True

    def begin(self) -> bytes:
        return b"["

    def rows(self, rows: Iterable[Sequence[Any]]) -> bytes:
        texts = self.texts(rows)
        if not texts:
            return b""
        lead = "" if self._is_first else ","
        self._is_first = False
        return (lead + ",".join(texts)).encode()

    def end(self) -> bytes:
        return b"]"


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return rfc3339(value)
    raise TypeError(f"{type(value).__name__} does not belong in a table.")


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain)
