"""What `complex-stories import` reads, and what it shows."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import PurePath
from tempfile import TemporaryFile
from typing import BinaryIO

import typer

from application.resource_import import Imported, TableFile
from domain.resource_import import InvalidRows, TableKind

READ_BYTES = 1024 * 1024
_ENDINGS = {".csv": TableKind.CSV, ".ndjson": TableKind.NDJSON, ".jsonl": TableKind.NDJSON, ".parquet": TableKind.PARQUET}


def kind_of(name: str) -> TableKind | None:
    """The format that the ending of a file's name stands for."""
    return _ENDINGS.get(PurePath(name).suffix.lower())


@contextmanager
def table_of(source: BinaryIO, kind: TableKind) -> Iterator[TableFile]:
    """The whole of a file or a pipe, as a table; a copy, which nobody changes while it is imported."""
    with TemporaryFile() as copy:
        digest = sha256()
        while part := source.read(READ_BYTES):
            copy.write(part)
            digest.update(part)
        yield TableFile(kind=kind, file=copy, digest=digest.digest())


class Bar:
    """A progress bar on standard error, by the bytes that were read; nothing where that is not a terminal."""

    def __init__(self, table: TableFile) -> None:
        self._file = table.file
        self._size = table.file.seek(0, os.SEEK_END)
        self._is_shown = sys.stderr.isatty()
        self._shown = ""

    def told(self, rows: int) -> None:
        """Hear how many rows were read so far."""
        share = min(1.0, self._file.tell() / max(1, self._size))
        filled = int(share * 30)
        self._show(f"[{'#' * filled}{'.' * (30 - filled)}] {share:4.0%}  {rows:,} rows" + ("  storing…" if share >= 1 else ""))

    def close(self) -> None:
        """Take the bar away."""
        self._show("")

    def _show(self, line: str) -> None:
        if self._is_shown and line != self._shown:
            sys.stderr.write(f"\r\x1b[K{line}")
            sys.stderr.flush()
            self._shown = line


def show_counts(done: Imported) -> None:
    """The counts as a table, and the plan."""
    for name in ("rows", "inserted", "updated", "deleted", "unchanged"):
        typer.echo(f"{name:10} {getattr(done, name):>10}")
    typer.echo(f"plan       {done.plan}")
    if done.dry_run:
        typer.echo("A dry run: nothing was changed.")


def show_faults(error: InvalidRows) -> None:
    """The faults as a table, on standard error; row 0 is the table as a whole."""
    lines = [("row", "field", "what"), *((str(each.row), each.field, each.detail) for each in error.row_faults)]
    wide, wider = (max(len(line[place]) for line in lines) for place in (0, 1))
    for row, field, what in lines:
        typer.echo(f"{row:>{wide}}  {field:{wider}}  {what}", err=True)
    if error.rows_failed > len({each.row for each in error.row_faults}):
        typer.echo("…", err=True)
