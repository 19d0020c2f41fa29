"""Tables that leave the service: their columns and formats."""

from dataclasses import dataclass
from enum import Enum, StrEnum, auto


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
