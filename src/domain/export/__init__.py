"""Tables that leave the service, and snapshots of them that can be cited."""

from domain.export.table import FORMULA_STARTS, Column, ColumnType, Format, TooManyTables, guarded, table_schema

__all__ = ["FORMULA_STARTS", "Column", "ColumnType", "Format", "TooManyTables", "guarded", "table_schema"]
