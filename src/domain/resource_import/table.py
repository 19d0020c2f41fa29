"""A table of resources, and what can be wrong with it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum, StrEnum
from typing import Any

from domain.errors import Invalid, Refused

FIELDS = ("name", "description", "status", "attributes")
FAULTS_MAX = 1000


class Mode(StrEnum):
    """What an import does with the resources that are there.

    `insert`: nothing, and their names are taken. `upsert`: those that the table names are changed. `replace`: as `upsert`, and those
    that it does not name are put away.
    """

    INSERT = "insert"
    UPSERT = "upsert"
    REPLACE = "replace"


class TableKind(StrEnum):
    """The formats of a table; the value is also the ending of its file's name."""

    CSV = "csv"
    NDJSON = "ndjson"
    PARQUET = "parquet"


class Absent(Enum):
    """What a row gives for a field that it says nothing about."""

    ABSENT = 0


ABSENT = Absent.ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFault:
    """One thing wrong with a table: in which row (the first data row is 1; 0 is the table as a whole), in which field (or none)."""

    row: int
    field: str
    code: str
    detail: str


class InvalidRows(Invalid):
    """Nothing was imported: rows break a rule. `errors` holds the first 1 000 faults, `rows_failed` how many rows have one."""

    code = "invalid-rows"
    detail = "Rows of the table break a rule, and nothing was imported: see errors."

    def __init__(self, faults: Iterable[RowFault], *, rows_failed: int) -> None:
        self.row_faults = tuple(faults)
        self.rows_failed = rows_failed
        super().__init__()

    @property
    def members(self) -> dict[str, Any]:
        return {"errors": [asdict(fault) for fault in self.row_faults], "rows_failed": self.rows_failed}


class Unreadable(Refused):
    """The file is not one of its declared format (CSV as in RFC 4180 in UTF-8, a JSON object a line, Parquet): correct its syntax."""

    code = "unreadable-table"
    detail = "The table cannot be read."


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Some rows of a table as they were read: their numbers, and a list of values for each field that the table has.

    A value is a text, None for null, `ABSENT`, or, from JSON, anything else; where `spells_attributes`, those are the texts of their JSON.
    `faults` are those of rows that could not be taken apart, one each, which are not among the others.
    """

    numbers: Sequence[int]
    columns: Mapping[str, list[Any]]
    faults: tuple[RowFault, ...] = ()
    spells_attributes: bool = True


def header_faults(names: Sequence[str]) -> Iterator[RowFault]:
    """What is wrong with the columns of a table."""
    if set(names) - set(FIELDS):
        yield RowFault(row=0, field="", code="unknown-column", detail=f"The columns are name and any of {', '.join(FIELDS[1:])}.")
    for field in FIELDS:
        if names.count(field) > 1:
            yield RowFault(row=0, field=field, code="repeated-column", detail="This column is there more than once.")
    if "name" not in names:
        yield RowFault(row=0, field="name", code="missing-column", detail="There must be a column of names.")


def repeated_name(row: int) -> RowFault:
    """The fault of a row whose name an earlier row has."""
    return RowFault(row=row, field="name", code="name-repeated", detail="An earlier row has this name.")


def taken_name(row: int) -> RowFault:
    """The fault of a row to be inserted whose name lives already."""
    return RowFault(row=row, field="name", code="name-taken", detail="Another resource of this project has this name.")
