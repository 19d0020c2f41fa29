"""Whole tables on their way out, each of one moment: what direct exports and stored ones are both made of."""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from application.ports import (
    AnnotationReader,
    AnnotationSnapshot,
    NamedAnnotation,
    Part,
    ResourceSnapshot,
    ResourceTables,
    Respondents,
    ResponseReader,
    ResponseSnapshot,
    Tables,
)
from domain import annotation
from domain.annotation import AnnotationFilter
from domain.export import Column, Format
from domain.resource import CODEBOOK, COLUMNS, Filter
from domain.survey import AskedTests, ResponseFilter, ResponseTable, codebook, response_filter
from domain.survey.table import respondent

NICE = 10  # a tenth of a core that others want as well: with less, this thread would hold the interpreter's lock for too long


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A table of one moment: its columns and what they mean, how many rows it has, and its file, part by part.

    Encoding is done on threads: it must not hold up anybody's answer.
    """

    columns: Sequence[Column]
    codebook: Mapping[str, Any]
    survey_version: int | None
    count: Callable[[], Awaitable[int]]
    parts: AsyncGenerator[Part, None]


@asynccontextmanager
async def resource_sheet(resources: ResourceTables, tables: Tables, where: Filter, *, kind: Format, guarded: bool) -> AsyncIterator[Sheet]:
    """The live resources that match. Raises `NotFound`, `TooManyTables`."""
    async with resources.snapshot(where) as snapshot, aclosing(_resource_parts(snapshot, tables, kind, guarded=guarded)) as parts:
        yield Sheet(columns=COLUMNS, codebook=CODEBOOK, survey_version=None, count=snapshot.count, parts=parts)


async def _resource_parts(snapshot: ResourceSnapshot, tables: Tables, kind: Format, *, guarded: bool) -> AsyncGenerator[Part, None]:
    match kind:
        case Format.CSV:
            yield Part(content=tables.writer(kind, COLUMNS, guarded=guarded, codebook=CODEBOOK).begin(), rows=0)
            parts = snapshot.records(guarded=guarded)
        case Format.NDJSON:
            parts = snapshot.lines()
        case Format.JSON:
            parts = _array(snapshot.lines())
        case Format.PARQUET:
            parts = _parquet(snapshot.records(guarded=False), tables)
    async with aclosing(parts):
        async for part in parts:
            yield part


async def _array(lines: AsyncGenerator[Part, None]) -> AsyncGenerator[Part, None]:
    """JSON on lines as one array: within a row, JSON has no line end."""
    lead = b"["
    async with aclosing(lines):
        async for part in lines:
            yield Part(content=lead + part.content[:-1].replace(b"\n", b","), rows=part.rows)
            lead = b","
    yield Part(content=b"]" if lead == b"," else b"[]", rows=0)


async def _parquet(records: AsyncGenerator[Part, None], tables: Tables) -> AsyncGenerator[Part, None]:
    converter = await asyncio.to_thread(tables.converter, COLUMNS, codebook=CODEBOOK)
    yield Part(content=converter.begin(), rows=0)
    on_thread = asyncio.get_running_loop().run_in_executor
    thread = ThreadPoolExecutor(1, initializer=_come_second)  # of its own: memory is kept by thread, and goes with it
    try:
        async with aclosing(records):
            async for part in records:
                yield Part(content=await on_thread(thread, converter.records, part.content), rows=part.rows)
        yield Part(content=await on_thread(thread, converter.end), rows=0)
    finally:
        thread.shutdown(wait=False)


def _come_second() -> None:
    """Let this thread wait where others want its core. Only Linux has priorities of threads."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


@asynccontextmanager
async def response_sheet(
    responses: ResponseReader,
    tables: Tables,
    *,
    project: str,
    kind: Format,
    version: int | None,
    tests: AskedTests = AskedTests.EXCLUDE,
    guarded: bool,
) -> AsyncIterator[Sheet]:
    """The responses of a survey; with `version`, the fields of that version and what was answered under it. Raises `Invalid` as well."""
    async with responses.snapshot(project) as snapshot:
        where = response_filter(snapshot.definitions, version=version, tests=tests)
        table = ResponseTable(snapshot.definitions, version=version, with_codes=kind is Format.PARQUET)
        meaning = codebook(snapshot.definitions)

        async def count() -> int:
            return await snapshot.count(where)

        async with aclosing(_response_parts(snapshot, tables, where, table, kind=kind, meaning=meaning, guarded=guarded)) as parts:
            yield Sheet(
                columns=table.columns,
                codebook=meaning,
                survey_version=version or len(snapshot.definitions),
                count=count,
                parts=parts,
            )


async def _response_parts(
    snapshot: ResponseSnapshot,
    tables: Tables,
    where: ResponseFilter,
    table: ResponseTable,
    *,
    kind: Format,
    meaning: Mapping[str, Any],
    guarded: bool,
) -> AsyncGenerator[Part, None]:
    writer = await asyncio.to_thread(tables.writer, kind, table.columns, guarded=guarded, codebook=meaning)
    yield Part(content=writer.begin(), rows=0)
    async for rows in snapshot.batches(where):
        yield Part(content=await asyncio.to_thread(writer.rows, [table.cells(row) for row in rows]), rows=len(rows))
    yield Part(content=await asyncio.to_thread(writer.end), rows=0)


@asynccontextmanager
async def annotation_sheet(
    annotations: AnnotationReader,
    tables: Tables,
    respondents: Respondents | None,
    where: AnnotationFilter,
    *,
    kind: Format,
    guarded: bool,
) -> AsyncIterator[Sheet]:
    """The annotations that match, by id. Annotators are pseudonyms that `respondents` makes; without it, names.

    Raises `NotFound`, `TooManyTables`.
    """
    async with annotations.snapshot(where.project) as snapshot:

        async def count() -> int:
            return await snapshot.count(where)

        cells = _cells(snapshot.project_id, respondents)
        async with aclosing(_annotation_parts(snapshot, tables, where, cells, kind=kind, guarded=guarded)) as parts:
            yield Sheet(columns=annotation.COLUMNS, codebook=annotation.CODEBOOK, survey_version=None, count=count, parts=parts)


async def _annotation_parts(
    snapshot: AnnotationSnapshot,
    tables: Tables,
    where: AnnotationFilter,
    cells: Callable[[NamedAnnotation], tuple[object, ...]],
    *,
    kind: Format,
    guarded: bool,
) -> AsyncGenerator[Part, None]:
    writer = tables.writer(kind, annotation.COLUMNS, guarded=guarded, codebook=annotation.CODEBOOK)
    yield Part(content=writer.begin(), rows=0)
    async for found in snapshot.batches(where):
        yield Part(content=await asyncio.to_thread(writer.rows, [cells(each) for each in found]), rows=len(found))
    yield Part(content=await asyncio.to_thread(writer.end), rows=0)


def _cells(project_id: int, respondents: Respondents | None) -> Callable[[NamedAnnotation], tuple[object, ...]]:
    def annotator(found: NamedAnnotation) -> str:
        if respondents is None:
            return found.annotation.annotator
        # No fingerprint holds a NUL: no reader has the pseudonym of an annotator.
        return respondent(respondents.pseudonym(project_id=project_id, fingerprint=f"\x00annotator:{found.annotation.annotator_id}"))

    return lambda found: annotation.cells(found.annotation, resource_name=found.resource_name, annotator=annotator(found))
