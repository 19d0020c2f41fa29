"""Resources as files."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from application.export.sheets import resource_sheet
from application.ports import ResourceTables, Tables
from domain.export import Format
from domain.resource import Filter


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportResources:
    """All resources of a project that match, as a file by id, streamed from one snapshot.

    In CSV and Parquet, `attributes` are JSON in a text. In CSV, a text that a spreadsheet would run begins with `'`, unless `raw`.
    """

    resources: ResourceTables
    tables: Tables

    async def __call__(self, where: Filter, *, kind: Format, guarded: bool = True) -> AsyncIterator[bytes]:
        async with resource_sheet(self.resources, self.tables, where, kind=kind, guarded=guarded) as sheet:
            async for part in sheet.parts:
                yield part.content
