"""Tables that leave the service, and snapshots of them that can be cited."""

from domain.export.package import data_package
from domain.export.stored import Export, ExportNotDone, Manifest, Progress, Quota, Subject, new_export, percent, shown_to
from domain.export.table import FORMULA_STARTS, Column, ColumnType, Format, TooManyDownloads, TooManyTables, guarded, table_schema

__all__ = [
    "FORMULA_STARTS",
    "Column",
    "ColumnType",
    "Export",
    "ExportNotDone",
    "Format",
    "Manifest",
    "Progress",
    "Quota",
    "Subject",
    "TooManyDownloads",
    "TooManyTables",
    "data_package",
    "guarded",
    "new_export",
    "percent",
    "shown_to",
    "table_schema",
]
