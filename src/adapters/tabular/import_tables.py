"""The reader of each format."""

from collections.abc import Iterator
from typing import BinaryIO

from adapters.tabular.parquet_process import parquet_pieces_apart
from adapters.tabular.read_csv import csv_pieces
from adapters.tabular.read_ndjson import ndjson_pieces
from application.ports import ImportTables
from domain.annotation_import import label_header_faults
from domain.resource_import import Piece, TableKind


class TabularImportTables(ImportTables):
    """`at_most` bounds what a compressed table may unfold to. Each Parquet table is read in a process of its own."""

    def __init__(self, *, at_most: int) -> None:
        self._at_most = at_most

    def pieces(self, kind: TableKind, file: BinaryIO) -> Iterator[Piece]:
        file.seek(0)
        match kind:
            case TableKind.CSV:
                return csv_pieces(file)
            case TableKind.NDJSON:
                return ndjson_pieces(file)
            case TableKind.PARQUET:
                return parquet_pieces_apart(file, at_most=self._at_most)

    def labels(self, file: BinaryIO) -> Iterator[Piece]:
        file.seek(0)
        return csv_pieces(file, label_header_faults)
