"""The writer of each format. Arrow costs 40 MB and some 300 ms, so it is imported with the first table that needs it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from adapters.tabular.csv import CsvWriter
from adapters.tabular.json import JsonWriter, NdjsonWriter
from application.ports import TableConverter, Tables, TableWriter
from domain.export import Column, Format


class TabularTables(Tables):
    def writer(self, kind: Format, columns: Sequence[Column], *, guarded: bool, codebook: Mapping[str, Any]) -> TableWriter:
        match kind:
            case Format.CSV:
                return CsvWriter(columns, guarded=guarded)
            case Format.JSON:
                return JsonWriter(columns)
            case Format.NDJSON:
                return NdjsonWriter(columns)
            case Format.PARQUET:
                from adapters.tabular.parquet import ParquetWriter  # noqa: PLC0415 - see above

                return ParquetWriter(columns, metadata=_metadata(codebook))

    def converter(self, columns: Sequence[Column], *, codebook: Mapping[str, Any]) -> TableConverter:
        from adapters.tabular.parquet import ParquetConverter  # noqa: PLC0415 - see above

        return ParquetConverter(columns, metadata=_metadata(codebook))


def _metadata(codebook: Mapping[str, Any]) -> dict[str, str]:
    return {"codebook": json.dumps(codebook, ensure_ascii=False)}
