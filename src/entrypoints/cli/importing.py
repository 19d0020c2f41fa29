"""`complex-stories import`: what it reads, and what it shows."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from hashlib import sha256
from pathlib import PurePath
from tempfile import TemporaryFile
from typing import Annotated, Any, BinaryIO

import typer

from application.annotation_import import LabelsImported
from application.resource_import import Imported, TableFile
from domain.resource_import import InvalidRows, Mode, TableKind
from entrypoints.cli.ending import FAILED, end, one_line_errors
from entrypoints.cli.running import actor_named, with_container
from entrypoints.container import Container
from entrypoints.runtime import FIRST_ADMIN
from entrypoints.settings import SettingsError

READ_BYTES = 1024 * 1024
_ENDINGS = {".csv": TableKind.CSV, ".ndjson": TableKind.NDJSON, ".jsonl": TableKind.NDJSON, ".parquet": TableKind.PARQUET}


class What(StrEnum):
    """What can be imported."""

    RESOURCES = "resources"
    ANNOTATIONS = "annotations"


def import_command(
    project: Annotated[str, typer.Argument(help="The slug of the project.")],
    file: Annotated[typer.FileBinaryRead, typer.Argument(help="A table in CSV, NDJSON or Parquet; - for standard input.")],
    what: Annotated[What, typer.Option(help="What to import; annotations are from CSV.")] = What.RESOURCES,
    mode: Annotated[Mode | None, typer.Option(help="What happens to the resources that are there.", show_default="insert")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen, and do nothing.")] = False,
    plan: Annotated[str | None, typer.Option(help="The plan of a dry run of resources: do exactly that, or nothing.")] = None,
    kind: Annotated[TableKind | None, typer.Option("--format", help="The format, where the file's name does not tell.")] = None,
    as_user: Annotated[str, typer.Option("--as", metavar="USERNAME", help="The admin who does it.")] = FIRST_ADMIN,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Import a table of resources, or of annotators' labels, into a project, all or nothing."""

    async def run(container: Container) -> Imported | LabelsImported:
        given: dict[str, Any] = {"project": project, "dry_run": dry_run, "by": await actor_named(container, as_user), "told": bar.told}
        if what is What.ANNOTATIONS:
            return await container.import_annotations()(file=table.file, **given)
        return await container.import_resources()(table=table, mode=mode or Mode.INSERT, plan=plan, **given)

    with one_line_errors():
        if what is not What.RESOURCES and (mode or plan):
            raise SettingsError("--mode and --plan are for resources.")
        with _table_of(file, _kind_for(what, kind, file.name)) as table:
            bar = _Bar(table)
            try:
                done = with_container(run)
            except InvalidRows as error:
                bar.close()
                if as_json:
                    typer.echo(json.dumps(error.members))
                else:
                    _show_faults(error)
                end(f"Nothing was imported: {error.rows_failed} rows are faulty." if error.rows_failed else error.detail, FAILED)
            finally:
                bar.close()
    if as_json:
        typer.echo(json.dumps(asdict(done)))
    else:
        _show_counts(done)


def _kind_for(what: What, asked: TableKind | None, name: str) -> TableKind:
    """The format that was asked for, or that the ending of the file's name stands for. Raises `SettingsError`."""
    kind = asked or _ENDINGS.get(PurePath(name).suffix.lower())
    if what is What.ANNOTATIONS:
        if kind not in (None, TableKind.CSV):
            raise SettingsError("Annotations are imported from CSV alone.")
        return TableKind.CSV
    if kind is None:
        raise SettingsError("The name of the file does not tell its format: give --format csv, ndjson or parquet.")
    return kind


@contextmanager
def _table_of(source: BinaryIO, kind: TableKind) -> Iterator[TableFile]:
    """The whole of a file or a pipe, as a table; a copy, which nobody changes while it is imported."""
    with TemporaryFile() as copy:
        digest = sha256()
        while part := source.read(READ_BYTES):
            copy.write(part)
            digest.update(part)
        yield TableFile(kind=kind, file=copy, digest=digest.digest())


class _Bar:
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


def _show_counts(done: Imported | LabelsImported) -> None:
    """The counts as a table, and the plan where there is one."""
    told = asdict(done)
    for name in ("rows", "inserted", "updated", "deleted", "unchanged"):
        if name in told:
            typer.echo(f"{name:10} {told[name]:>10}")
    if "plan" in told:
        typer.echo(f"plan       {told['plan']}")
    if done.dry_run:
        typer.echo("A dry run: nothing was changed.")


def _show_faults(error: InvalidRows) -> None:
    """The faults as a table, on standard error; row 0 is the table as a whole."""
    lines = [("row", "field", "what"), *((str(each.row), each.field, each.detail) for each in error.row_faults)]
    wide, wider = (max(len(line[place]) for line in lines) for place in (0, 1))
    for row, field, what in lines:
        typer.echo(f"{row:>{wide}}  {field:{wider}}  {what}", err=True)
    if error.rows_failed > len({each.row for each in error.row_faults}):
        typer.echo("…", err=True)
