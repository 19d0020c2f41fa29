"""Tables that leave the service: their columns and formats, and what a spreadsheet must not run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import Any

from domain.errors import TooMany, Unavailable

# What a spreadsheet would take for a formula, the full-width forms included (OWASP, "CSV Injection").
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


class TooManyTables(Unavailable):
    """Too many whole tables are being read at once: try again after `Retry-After` seconds, when one should have ended."""

    code = "too-many-tables"
    detail = "Too many tables are being read at once: try again shortly."

    def __init__(self, *, retry_after: float = 1) -> None:
        self.retry_after = retry_after
        super().__init__()


class TooManyDownloads(TooMany):
    """Your network downloads as many whole tables as it may at once: let one of them end, then ask again."""

    code = "too-many-downloads"
    detail = "Your network downloads too many tables at once: let one end first."


class ColumnType(Enum):
    """What the cells of a column hold. A cell may always be null."""

    TEXT = auto()
    CATEGORY = auto()  # a text of few
    INTEGER = auto()  # 64 bits
    NUMBER = auto()  # a double
    BOOLEAN = auto()
    DATE = auto()  # as YYYY-MM-DD
    TIME = auto()  # in UTC, to the microsecond
    TEXTS = auto()  # a list


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column, by declaration and never by what its cells happen to hold."""

    name: str
    type: ColumnType

    @property
    def schema_type(self) -> str:
        """The type as Frictionless Table Schema names it."""
        return str(_FIELDS[self.type]["type"])


class Format(StrEnum):
    """The formats of a table; the value is also the ending of its file's name."""

    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"
    PARQUET = "parquet"

    @property
    def media_type(self) -> str:
        return {
            Format.JSON: "application/json",
            Format.NDJSON: "application/x-ndjson",
            Format.CSV: "text/csv; charset=utf-8; header=present",
            Format.PARQUET: "application/vnd.apache.parquet",
        }[self]


def guarded(text: str) -> str:
    """The text as a spreadsheet only shows it: what it would run is prefixed with `'`."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


_FIELDS: dict[ColumnType, dict[str, Any]] = {
    ColumnType.TEXT: {"type": "string"},
    ColumnType.CATEGORY: {"type": "string"},
    ColumnType.INTEGER: {"type": "integer"},
    ColumnType.NUMBER: {"type": "number"},
    ColumnType.BOOLEAN: {"type": "boolean", "trueValues": ["true"], "falseValues": ["false"]},
    ColumnType.DATE: {"type": "date"},
    ColumnType.TIME: {"type": "datetime", "format": "any"},
    ColumnType.TEXTS: {"type": "list", "delimiter": "|", "itemType": "string"},
}


def table_schema(columns: Sequence[Column], about: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What each column means, as a Frictionless Table Schema; `about` tells more of a column than its type."""
    return {"fields": [{"name": column.name, **_FIELDS[column.type], **about.get(column.name, {})} for column in columns]}
