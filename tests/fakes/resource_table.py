"""Resources as whole tables, in memory."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from application.ports import Part, ResourceSnapshot, ResourceTables
from domain.errors import NotFound
from domain.export import Format, TooManyTables
from domain.resource import COLUMNS, Filter, Resource, Sort
from tests.fakes.resource import FakeResourceReader
from tests.fakes.store import Access, Store
from tests.fakes.tabular import FakeTables


class FakeResourceSnapshot(ResourceSnapshot):
    def __init__(self, found: list[Resource]) -> None:
        self._found = found

    async def count(self) -> int:
        return len(self._found)

    async def records(self, *, guarded: bool) -> AsyncGenerator[Part, None]:
        for resource in self._found:
            writer = FakeTables().writer(Format.CSV, COLUMNS, guarded=guarded, codebook={})
            writer.rows([[cell(resource, column.name) for column in COLUMNS]])
            yield Part(content=writer.end().partition(b"\r\n")[2], rows=1)

    async def lines(self) -> AsyncGenerator[Part, None]:
        for resource in self._found:
            writer = FakeTables().writer(Format.NDJSON, COLUMNS, guarded=False, codebook={})
            writer.rows([[cell(resource, column.name, as_text=False) for column in COLUMNS]])
            yield Part(content=writer.end(), rows=1)


class FakeResourceTables(ResourceTables):
    def __init__(self, access: Access, *, at_once: int = 6) -> None:
        self._access = access
        self._at_once = at_once
        self._open = 0

    @asynccontextmanager
    async def snapshot(self, where: Filter) -> AsyncIterator[ResourceSnapshot]:
        if self._open >= self._at_once:
            raise TooManyTables
        self._open += 1
        try:
            store = Store()
            store.tables = self._access.read.copy()
            if store.tables.live_project(where.project) is None:
                raise NotFound
            yield FakeResourceSnapshot(FakeResourceReader(store).sorted(where, Sort.ID))
        finally:
            self._open -= 1


def cell(resource: Resource, name: str, *, as_text: bool = True) -> Any:
    """What a table shows of a resource in this column."""
    value = getattr(resource, name)
    return json.dumps(value, ensure_ascii=False) if name == "attributes" and as_text else value
