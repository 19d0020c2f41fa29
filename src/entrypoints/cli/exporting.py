"""`complex-stories export`: a table into a file or a pipe, with a bar where somebody looks on."""

import asyncio
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from domain.export import Format, Subject
from domain.resource import Status
from domain.survey import AskedTests
from entrypoints.cli.ending import FAILED, end, one_line_errors
from entrypoints.cli.running import with_container
from entrypoints.container import Container
from entrypoints.settings import SettingsError

_WIDTH = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written:
    """What was written, as for a manifest."""

    rows: int
    bytes: int
    sha256: str


def export_command(
    project: Annotated[str, typer.Argument(help="The slug of the project.")],
    what: Annotated[Subject, typer.Option(help="What to export.")] = Subject.RESOURCES,
    kind: Annotated[Format, typer.Option("--format", help="The format of the file.")] = Format.CSV,
    status: Annotated[Status | None, typer.Option(help="Only resources with this label.")] = None,
    search: Annotated[str | None, typer.Option(help="Only resources with this in the name or the description.")] = None,
    version: Annotated[int | None, typer.Option(min=1, help="Only responses under this version of the survey.")] = None,
    test: Annotated[AskedTests, typer.Option(help="What becomes of responses that are tests.")] = AskedTests.EXCLUDE,
    names: Annotated[bool, typer.Option("--names", help="Annotators by their usernames instead of pseudonyms.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="CSV without the guard against formulas.")] = False,
    output: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="Where to; - for standard output.")] = "-",
    as_json: Annotated[
        bool, typer.Option("--json", help="Tell rows, bytes and SHA-256 for programs: on standard error beside a pipe.")
    ] = False,
) -> None:
    """Write a table to a file or a pipe: the same bytes as over HTTP. A file is whole or stays as it was."""
    is_pipe = output == "-"
    given = {"status": status and status.value, "search": search, "version": version, "test": test.value, "names": names, "raw": raw}

    async def run(container: Container) -> _Written:
        with nullcontext(sys.stdout.buffer) if is_pipe else _whole_file(Path(output)) as target:
            return await _write_export(container, target, project=project, what=what, kind=kind, filters=given)

    with one_line_errors():
        if what is not Subject.RESOURCES and (status or search):
            raise SettingsError("--status and --search are for resources.")
        if what is not Subject.RESPONSES and version:
            raise SettingsError("--version is for responses.")
        if what is not Subject.RESPONSES and test is not AskedTests.EXCLUDE:
            raise SettingsError("--test is for responses.")
        if what is not Subject.ANNOTATIONS and names:
            raise SettingsError("--names is for annotations.")
        try:
            written = with_container(run)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the interpreter has nothing left to fail on
            raise SystemExit(FAILED) from None
        except OSError as error:
            end(f"Cannot write {output}: {error.strerror or error}.", FAILED)
    if as_json:
        typer.echo(json.dumps(asdict(written)), err=is_pipe)
    else:
        typer.echo(f"{written.rows} rows, {written.bytes} bytes, sha256 {written.sha256}", err=True)


async def _write_export(
    container: Container, target: BinaryIO, *, project: str, what: Subject, kind: Format, filters: Mapping[str, Any]
) -> _Written:
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
    return _Written(rows=rows, bytes=size, sha256=digest.hexdigest())


@contextmanager
def _whole_file(path: Path) -> Iterator[BinaryIO]:
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
