"""The command line. Exit status: 0 done, 1 failed, 2 bad settings or use, 3 the schema does not fit."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn, TypeVar

import typer

from application.audit import Verdict
from application.file import Finding
from application.resource_import import Imported
from application.story import Applied
from domain.audit_chain import ChainFault, FaultKind, Head, head_from
from domain.errors import DomainError, Invalid
from domain.export import Format, Subject
from domain.file import File
from domain.resource import Status
from domain.resource_import import InvalidRows, Mode, TableKind
from domain.survey import BreakingChange, FieldChange
from domain.user import User
from entrypoints import backup, logs
from entrypoints.container import Container, CopyError, EmbeddedPostgresError, SchemaError, migrate, pending
from entrypoints.data_folder import DataFolderError
from entrypoints.doctor import examine
from entrypoints.export_command import Written, whole_file, write_export
from entrypoints.http.app import make_app, routes_of
from entrypoints.http.docs import admin_document, public_document
from entrypoints.http.rate_limit import Limits
from entrypoints.http.server import BACKLOG, GRACE_SECONDS, config_of
from entrypoints.http.stopping import DRAIN_SECONDS, Server
from entrypoints.importing import Bar, kind_of, show_counts, show_faults, table_of
from entrypoints.runtime import FIRST_ADMIN, Deployment, Prepared, deployed, prepare, shared_metrics
from entrypoints.settings import RATES, Settings, SettingsError, load, traces_wanted
from entrypoints.story import story_from
from entrypoints.supervisor import Supervisor, end_with_supervisor

FAILED, BAD_USE, BAD_SCHEMA = 1, 2, 3

T = TypeVar("T")

cli = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="The Complex Stories API.")
audit_cli = typer.Typer(no_args_is_help=True, help="The audit trail.")
cli.add_typer(audit_cli, name="audit")


@cli.command()
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.", min=1, max=65535)] = 8000,
    workers: Annotated[int, typer.Option(help="Worker processes.", min=1, max=64)] = 1,
    demo: Annotated[bool, typer.Option("--demo", help="Load the demo project, where it was never loaded.")] = False,
) -> None:
    """Migrate the database and serve the API, with an embedded PostgreSQL unless a database is set."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    with _one_line_errors():
        settings = load()
        traces_wanted()
        if workers > 1 and settings.rate_limits is not None and settings.redis_url is None:
            raise SettingsError("More than one worker needs REDIS_URL, where limits are counted for all of them, or RATE_LIMITS=off.")
        logs.configure(settings.log_format)
        listener = _listen(host, port)
        with listener, deployed(settings) as deployment:
            prepared = asyncio.run(prepare(deployment, settings, demo=demo, told=_tell_of_waiting))
            _greet(f"http://{host}:{port}", prepared, demo=demo)
            if workers == 1:
                _serve(settings, deployment, listener)
            else:
                deployment.export()
                with shared_metrics():
                    Supervisor(work, listener, workers=workers, grace=GRACE_SECONDS + DRAIN_SECONDS + 5).run()


def _tell_of_waiting(seconds: float) -> None:
    print(f"complex-stories: the database does not answer yet; waiting for up to {seconds:.0f} s more", file=sys.stderr, flush=True)


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    """End as asked: by an exception, so that what was started is stopped on the way out."""
    raise SystemExit(0)


def _listen(host: str, port: int) -> socket.socket:
    """A socket for connections to come to; taken first, so that nothing is done for a service that could not be reached."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=BACKLOG)
    except OSError as error:
        raise SettingsError(f"Cannot listen on {host}:{port}: {error.strerror or error}.") from None


def work(listener: socket.socket) -> None:
    """Be a worker process, whose environment says everything."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    end_with_supervisor()
    settings = load()
    logs.configure(settings.log_format)
    with deployed(settings) as deployment:
        _serve(settings, deployment, listener, is_worker=True)


def _serve(settings: Settings, deployment: Deployment, listener: socket.socket, *, is_worker: bool = False) -> None:
    container = deployment.container(settings)
    app = make_app(settings, container)
    Server(config_of(app), container.readiness(), is_worker=is_worker).run(sockets=[listener])


@cli.command("migrate")
def migrate_command() -> None:
    """Bring the database to the schema of this program."""
    with _one_line_errors(), deployed(load(), beside=True) as deployment:
        missing = asyncio.run(pending(deployment.database_url))
        asyncio.run(migrate(deployment.database_url))
        typer.echo(f"Migrated: {', '.join(missing)}." if missing else "Nothing to migrate.")


@cli.command()
def create_admin(
    username: Annotated[str, typer.Argument(help="The name to sign in with.")],
    email: Annotated[str, typer.Argument(help="An address to reach the person.")],
) -> None:
    """Make an admin. The password is asked for, or read from standard input when that is not a terminal."""
    password = (
        typer.prompt("Password", hide_input=True, confirmation_prompt=True) if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    )

    async def run(container: Container) -> str:
        return (await container.create_admin()(username=username, email=email, password=password)).username

    with _one_line_errors():
        typer.echo(f"{_with_container(run)} is an admin now.")


@cli.command()
def apply(
    file: Annotated[typer.FileBinaryRead, typer.Argument(help="A story in YAML or JSON; - for standard input.")],
    accept_breaking: Annotated[
        list[str] | None, typer.Option(metavar="FIELD", help="A field, or label set, whose removal or narrowing may touch stored answers.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen, and do nothing.")] = False,
    as_user: Annotated[str, typer.Option("--as", metavar="USERNAME", help="The admin who does it.")] = FIRST_ADMIN,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Bring a project, its survey, label sets and resources to what a file declares; a second time changes nothing."""

    async def run(container: Container) -> Applied:
        actor = await _actor(container, as_user)
        return await container.apply_story()(story, accept_breaking=frozenset(accept_breaking or ()), dry_run=dry_run, by=actor)

    with _one_line_errors():
        story = story_from(file.read())
        try:
            applied = _with_container(run)
        except BreakingChange as error:
            _show_changes(error.changes)
            raise
    if as_json:
        typer.echo(json.dumps(asdict(applied)))
        return
    typer.echo(f"project   {story.slug}: {applied.project}")
    if applied.survey_version is not None:
        typer.echo(f"survey    version {applied.survey_version}: {applied.survey}")
    for name, effect in applied.label_sets.items():
        typer.echo(f"label set {name}: {effect}")
    for name, effect in applied.resources.items():
        typer.echo(f"resource  {name}: {effect}")
    _show_changes(applied.changes)
    if dry_run:
        typer.echo("A dry run: nothing was changed.")


@cli.command("import")
def import_command(
    project: Annotated[str, typer.Argument(help="The slug of the project.")],
    file: Annotated[typer.FileBinaryRead, typer.Argument(help="A table in CSV, NDJSON or Parquet; - for standard input.")],
    mode: Annotated[Mode, typer.Option(help="What happens to the resources that are there.")] = Mode.INSERT,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen, and do nothing.")] = False,
    plan: Annotated[str | None, typer.Option(help="The plan of a dry run: do exactly that, or nothing.")] = None,
    kind: Annotated[TableKind | None, typer.Option("--format", help="The format, where the file's name does not tell.")] = None,
    as_user: Annotated[str, typer.Option("--as", metavar="USERNAME", help="The admin who does it.")] = FIRST_ADMIN,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Import a table of resources into a project, all or nothing."""

    async def run(container: Container) -> Imported:
        actor = await _actor(container, as_user)
        use = container.import_resources()
        return await use(table=table, project=project, mode=mode, dry_run=dry_run, plan=plan, by=actor, told=bar.told)

    with _one_line_errors():
        chosen = kind or kind_of(file.name)
        if chosen is None:
            raise SettingsError("The name of the file does not tell its format: give --format csv, ndjson or parquet.")
        with table_of(file, chosen) as table:
            bar = Bar(table)
            try:
                done = _with_container(run)
            except InvalidRows as error:
                bar.close()
                if as_json:
                    typer.echo(json.dumps(error.members))
                else:
                    show_faults(error)
                _end(f"Nothing was imported: {error.rows_failed} rows are faulty." if error.rows_failed else error.detail, FAILED)
            finally:
                bar.close()
    if as_json:
        typer.echo(json.dumps(asdict(done)))
    else:
        show_counts(done)


async def _actor(container: Container, username: str) -> User:
    actor = await container.users().by_username(username)
    if actor is None:
        raise SettingsError(f"There is no user {username}: start the service once, or name another with --as.")
    return actor


def _show_changes(changes: tuple[FieldChange, ...]) -> None:
    if not changes:
        return
    width = max(len("field"), *(len(change.field) for change in changes))
    typer.echo(f"{'field':{width}}  {'change':10}  stored answers touched")
    for change in changes:
        typer.echo(f"{change.field:{width}}  {change.change:10}  {change.touched}")


@cli.command("retention")
def retention_command(
    days: Annotated[int, typer.Option("--older-than-days", min=1, help="Only what was put away, or last changed, longer ago.")],
    apply_now: Annotated[bool, typer.Option("--apply", help="Remove it for good; without this it is only counted.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Remove what was deleted long ago, old stored exports, and old responses of closed surveys. Counts first; removes with --apply."""

    async def run(container: Container) -> dict[str, int]:
        counts = await container.purge_old()(age=timedelta(days=days), dry_run=not apply_now)
        if apply_now:
            await container.sweep_exports()()
        return counts

    with _one_line_errors():
        counts = _with_container(run)
    if as_json:
        typer.echo(json.dumps(counts | {"removed": apply_now}))
        return
    for kind, number in counts.items():
        typer.echo(f"{kind:10} {number:>8}")
    typer.echo("Removed for good." if apply_now else "A dry run: nothing was removed. Add --apply to remove it.")


def _head(text: str) -> Head:
    head = head_from(text)
    if head is None:
        raise typer.BadParameter("a position and a hash, as an earlier run told them: POSITION:HASH.")
    return head


_FAULTS = {
    FaultKind.CHANGED: "the entry or its link was changed, or the chain was made anew without the key",
    FaultKind.MISSING: "an entry or a link was removed",
    FaultKind.OUT_OF_ORDER: "the entry stands in another's place",
    FaultKind.CUT_OFF: "the chain once reached further",
    FaultKind.UNCHAINED: "the entry was put there past the chain",
}


@audit_cli.command("verify")
def audit_verify(
    expect: Annotated[
        Head | None, typer.Option(parser=_head, metavar="POSITION:HASH", help="The head that an earlier run told: shows an end cut off.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Make the chain over the audit trail anew, and tell the first fault. Keep the head that it tells where the database is not."""

    async def run(container: Container) -> Verdict:
        return await container.verify_audit()(expected=expect, progress=_progress)

    with _one_line_errors():
        verdict = _with_container(run)
    told = {"entries": verdict.entries, "chained": verdict.chained, "waiting": verdict.waiting, "head": str(verdict.head)}
    if as_json:
        typer.echo(json.dumps(told | {"fault": verdict.fault and asdict(verdict.fault)}))
    else:
        for name, value in told.items():
            typer.echo(f"{name:8} {value}")
        typer.echo("No fault." if verdict.fault is None else _sentence(verdict.fault))
    if verdict.fault is not None:
        raise typer.Exit(FAILED)


def _sentence(fault: ChainFault) -> str:
    places = [f"position {fault.position}" if fault.position else "", f"entry {fault.entry_id}" if fault.entry_id else ""]
    return f"FAULT    {fault.kind}, {', '.join(filter(None, places))}: {_FAULTS[fault.kind]}."


def _progress(done: int, of: int) -> None:
    """Tell whoever looks on how far it is."""
    if sys.stderr.isatty():
        print(f"\r{done} of {of}", end="" if done < of else "\n", file=sys.stderr, flush=True)


@cli.command("verify-files")
def verify_files_command(
    sweep: Annotated[bool, typer.Option("--sweep", help="Then remove the contents that are no file's, for good.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Compare every content with the hash of its file, and the store with the files. Exit status 1 when something is wrong."""
    looked_at = Counter[str]()

    def show(file: File) -> None:
        looked_at.update(files=1, bytes=file.size)
        if sys.stderr.isatty():
            print(f"\r{looked_at['files']} files, {looked_at['bytes']} bytes", end="", file=sys.stderr, flush=True)

    async def run(container: Container) -> list[Finding]:
        findings = [finding async for finding in container.verify_files()(looked_at=show)]
        if sweep:
            await container.sweep_files()(everything=True)
            return [finding for finding in findings if finding.file is not None]
        return findings

    with _one_line_errors():
        findings = _with_container(run)
    if sys.stderr.isatty() and looked_at:
        print(file=sys.stderr)
    told = [_finding_document(finding) for finding in findings]
    if as_json:
        typer.echo(json.dumps({"files": looked_at["files"], "bytes": looked_at["bytes"], "findings": told}))
    else:
        for row in told:
            typer.echo(f"{row['fault']:9} {row['content']}  {row['project'] or ''}  {row['filename'] or ''}".rstrip())
        typer.echo(f"{looked_at['files']} files, {looked_at['bytes']} bytes: {len(findings) or 'nothing'} wrong.")
    if findings:
        raise typer.Exit(FAILED)


def _finding_document(finding: Finding) -> dict[str, str | None]:
    file = finding.file
    return {
        "fault": finding.fault.value,
        "content": finding.name,
        "project": file.project if file else None,
        "filename": file.filename if file else None,
    }


@cli.command("export")
def export_command(
    project: Annotated[str, typer.Argument(help="The slug of the project.")],
    what: Annotated[Subject, typer.Option(help="What to export.")] = Subject.RESOURCES,
    kind: Annotated[Format, typer.Option("--format", help="The format of the file.")] = Format.CSV,
    status: Annotated[Status | None, typer.Option(help="Only resources with this label.")] = None,
    search: Annotated[str | None, typer.Option(help="Only resources with this in the name or the description.")] = None,
    version: Annotated[int | None, typer.Option(min=1, help="Only responses under this version of the survey.")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="CSV without the guard against formulas.")] = False,
    output: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="Where to; - for standard output.")] = "-",
    as_json: Annotated[
        bool, typer.Option("--json", help="Tell rows, bytes and SHA-256 for programs: on standard error beside a pipe.")
    ] = False,
) -> None:
    """Write a table to a file or a pipe: the same bytes as over HTTP, annotators as pseudonyms. A file is whole or stays as it was."""
    is_pipe = output == "-"
    given = {"status": status and status.value, "search": search, "version": version, "raw": raw}

    async def run(container: Container) -> Written:
        with nullcontext(sys.stdout.buffer) if is_pipe else whole_file(Path(output)) as target:
            return await write_export(container, target, project=project, what=what, kind=kind, filters=given)

    with _one_line_errors():
        if what is not Subject.RESOURCES and (status or search):
            raise SettingsError("--status and --search are for resources.")
        if what is not Subject.RESPONSES and version:
            raise SettingsError("--version is for responses.")
        try:
            written = _with_container(run)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the interpreter has nothing left to fail on
            raise SystemExit(FAILED) from None
        except OSError as error:
            _end(f"Cannot write {output}: {error.strerror or error}.", FAILED)
    if as_json:
        typer.echo(json.dumps(asdict(written)), err=is_pipe)
    else:
        typer.echo(f"{written.rows} rows, {written.bytes} bytes, sha256 {written.sha256}", err=True)


@cli.command("backup")
def backup_command(
    target: Annotated[Path, typer.Argument(help="A folder to be made; or a file, when it is called *.tar.")],
    with_pepper: Annotated[
        bool, typer.Option("--with-pepper", help="Put PEPPER into it: readers and the audit trail need the same.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Copy the database and the contents of its files, as they are at one moment, while the service runs."""

    async def run(container: Container) -> backup.Manifest:
        return await backup.back_up(container, target, with_pepper=with_pepper, progress=_stage)

    with _one_line_errors():
        made = _with_container(run)
    size = sum(part.bytes for part in made.parts.values())
    if as_json:
        told = {"target": str(target), "created_at": made.created_at, "schema": made.schema, "parts": len(made.parts), "bytes": size}
        typer.echo(json.dumps(told | {"damaged": made.damaged}))
    else:
        typer.echo(f"{target}: everything of {made.created_at}, {len(made.parts)} parts, {size} bytes.")
        if not with_pepper:
            typer.echo("PEPPER is not in it: keep that elsewhere. Without it readers are strangers, and the audit trail proves nothing.")
        for name in made.damaged:
            typer.echo(f"DAMAGED  {name}: left out, since it is not what was uploaded.")
    if made.damaged:
        raise typer.Exit(FAILED)


@cli.command("restore")
def restore_command(
    source: Annotated[Path, typer.Argument(help="What backup made.", exists=True)],
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Bring a back-up back into an empty database and the store. What readers erased since then stays erased; nobody is signed in."""
    with _one_line_errors():
        settings = load()
        with backup.opened(source) as folder:
            manifest = backup.verified(folder, _stage)
            with deployed(settings, pepper=manifest.pepper) as deployment:
                settled = asyncio.run(backup.bring_back(deployment.container(settings), folder, manifest, _stage))
    if as_json:
        typer.echo(json.dumps({"created_at": manifest.created_at} | asdict(settled)))
        return
    typer.echo(f"Everything is as it was at {manifest.created_at}.")
    typer.echo(f"Left out: {settled.responses_erased} responses and {settled.files_deleted} files that were erased or deleted since.")
    typer.echo("Whoever was deactivated, demoted or whose API key was revoked since then is as before: see to that now.")


def _stage(what: str, done: int, of: int) -> None:
    """Tell whoever looks on how far it is."""
    if sys.stderr.isatty():
        print(f"\r{what}: {done} of {of}", end="" if done < of else "\n", file=sys.stderr, flush=True)


def _with_container(run: Callable[[Container], Awaitable[T]]) -> T:
    """Do something with the use cases, on a database that is up to date."""

    async def connected(container: Container) -> T:
        async with container.pool():
            return await run(container)

    settings = load()
    with deployed(settings, beside=True) as deployment:
        asyncio.run(migrate(deployment.database_url))
        return asyncio.run(connected(deployment.container(settings)))


@cli.command()
def openapi(admin: Annotated[bool, typer.Option("--admin", help="The document of the signed-in routes.")] = False) -> None:
    """Print an OpenAPI document."""
    nowhere = Deployment(database_url="postgresql+asyncpg://nowhere", secret_keys=("0" * 32,), pepper="0" * 32)
    with _one_line_errors():
        settings = load()
    with_registration = settings.registration == "open"
    routes = routes_of(
        nowhere.container(settings), Limits(RATES), with_docs=False, with_registration=with_registration, metrics_for=settings.metrics
    )
    document = admin_document(routes.signed_in) if admin else public_document([*routes.public, *routes.last])
    typer.echo(json.dumps(document, indent=2))


@cli.command()
def doctor(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Look whether the service could run here, and say what is wrong."""
    with _one_line_errors():
        settings = load()
        with deployed(settings, beside=True) as deployment:
            findings = asyncio.run(examine(deployment, settings))
    if as_json:
        typer.echo(json.dumps([finding.document() for finding in findings]))
    else:
        for finding in findings:
            typer.echo(f"{'ok  ' if finding.is_good else 'BAD '} {finding.what:12} {finding.detail}")
    if not all(finding.is_good for finding in findings):
        raise typer.Exit(FAILED)


def _greet(address: str, prepared: Prepared, *, demo: bool) -> None:
    lines = [f"Serving {address} (documentation: {address}/docs)"]
    if prepared.admin_password:
        lines += [f"First start: sign in as {FIRST_ADMIN} with the password {prepared.admin_password}", "It is shown this once: keep it."]
    if demo:
        answer = """'{"fingerprint": "reader-0001", "field": "consent", "value": "accepted"}'"""
        lines += [
            "Try:",
            f"  curl -s {address}/dark-data",
            f"  curl -s '{address}/dark-data/resources?search=trust'",
            f"  curl -s '{address}/dark-data/resources/paginated?per_page=2&sort=-name'",
            f"  curl -s {address}/dark-data/survey",
            f"  curl -s {address}/dark-data/survey/upsert -H 'Content-Type: application/json' -d {answer}",
        ]
    print("\n".join(lines), flush=True)


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """End with one clear line and the right status instead of a trace."""
    try:
        yield
    except (SettingsError, DataFolderError, EmbeddedPostgresError) as error:
        _end(str(error), BAD_USE)
    except SchemaError as error:
        _end(str(error), BAD_SCHEMA)
    except (backup.BackupError, CopyError) as error:
        _end(str(error), FAILED)
    except Invalid as error:
        _end(" ".join(f"{fault.pointer or 'input'}: {fault.detail}" for fault in error.faults), BAD_USE)
    except DomainError as error:
        _end(f"{error.detail} ({error.__cause__})" if error.__cause__ else error.detail, FAILED)


def _end(line: str, status: int) -> NoReturn:
    print(f"complex-stories: {line}", file=sys.stderr)
    raise SystemExit(status)


def main() -> None:
    """The entry of the `complex-stories` program."""
    cli()
