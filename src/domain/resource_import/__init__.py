"""Resources that come as a table: how it is applied, what its rows must be, what it would do."""

from domain.resource_import.judging import Judged, Judging, judge
from domain.resource_import.plan import Effect, PlanOutdated, plan_of
from domain.resource_import.table import (
    ABSENT,
    FAULTS_MAX,
    FIELDS,
    InvalidRows,
    Mode,
    Piece,
    RowFault,
    TableKind,
    Unreadable,
    header_faults,
    repeated_name,
    taken_name,
)

__all__ = [
    "ABSENT",
    "FAULTS_MAX",
    "FIELDS",
    "Effect",
    "InvalidRows",
    "Judged",
    "Judging",
    "Mode",
    "Piece",
    "PlanOutdated",
    "RowFault",
    "TableKind",
    "Unreadable",
    "header_faults",
    "judge",
    "plan_of",
    "repeated_name",
    "taken_name",
]
