"""`complex-stories export`: a table into a file or a pipe, with a bar where somebody looks on."""

import asyncio
import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from domain.export import Format, Subject
from entrypoints.container import Container

_WIDTH = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What was written, as for a manifest."""

    rows: int
    bytes: int
    sha256: str


async def write_export(
    container: Container, target: BinaryIO, *, project: str, what: Subject, kind: Format, filters: Mapping[str, Any]
) -> Written:
    """Write a table to an open file: the same bytes as over HTTP. Raises `NotFound`, `Invalid`, `OSError`."""
    digest, size, rows = hashlib.sha256(), 0, 0
    async with container.sheets().open(project, what, kind, filters) as sheet:
        with _bar(await sheet.count()) as show:
            async for part in sheet.parts:
                await asyncio.to_thread(target.write, part.content)
                digest.update(part.content)
                size, rows = size + len(part.content), rows + part.rows
                show(rows)
    await asyncio.to_thread(target.flush)
    return Written(rows=rows, bytes=size, sha256=digest.hexdigest())


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file that takes its place only when it is whole; until then what was there stays. Raises `OSError`."""
    passing = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with passing.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        passing.replace(path)
    finally:
        with suppress(FileNotFoundError):
            passing.unlink()


@contextmanager
def _bar(total: int) -> Iterator[Callable[[int], None]]:
    """A bar on the terminal; nothing where standard error is none."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    told = -1

    def show(rows: int) -> None:
        nonlocal told
        share = min(100, rows * 100 // total) if total else 100
        if share != told:
            told = share
            filled = _WIDTH * share // 100
            print(f"\r[{'#' * filled}{'.' * (_WIDTH - filled)}] {share:3} % {rows:>9} of {total}", end="", file=sys.stderr, flush=True)

    try:
        show(0)
        yield show
    finally:
        print(file=sys.stderr)
