"""What looks and tells: `complex-stories audit verify`, `verify-files`, `openapi` and `doctor`."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated

import typer

from application.audit import Verdict
from application.file import Finding
from domain.audit_chain import ChainFault, FaultKind, Head, head_from
from domain.export import Export
from entrypoints.cli.ending import FAILED, one_line_errors
from entrypoints.cli.progress import progress, show
from entrypoints.cli.running import with_container
from entrypoints.container import Container
from entrypoints.doctor import examine
from entrypoints.http.app import routes_of
from entrypoints.http.docs import admin_document, public_document
from entrypoints.http.rate_limit import Limits
from entrypoints.runtime import Deployment, deployed
from entrypoints.settings import RATES, load


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


def audit_verify(
    expect: Annotated[
        Head | None, typer.Option(parser=_head, metavar="POSITION:HASH", help="The head that an earlier run told: shows an end cut off.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Make the chain over the audit trail anew, and tell the first fault. Keep the head that it tells where the database is not."""

    async def run(container: Container) -> Verdict:
        return await container.verify_audit()(expected=expect, progress=progress)

    with one_line_errors():
        verdict = with_container(run)
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


def verify_files(
    sweep: Annotated[bool, typer.Option("--sweep", help="Then remove the contents that are nobody's, for good.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Compare every content with the hash of its file or stored export, and the store with both. Exit status 1 when something is wrong."""
    looked_at = Counter(files=0, exports=0, bytes=0)

    def look(kind: str, size: int) -> None:
        looked_at.update({kind: 1, "bytes": size})
        show(_counted(looked_at))

    async def run(container: Container) -> list[Finding]:
        findings = [finding async for finding in container.verify_files()(looked_at=lambda file: look("files", file.size))]
        exports = container.verify_exports()(looked_at=lambda export: look("exports", export.whole()[0].size))
        findings += [finding async for finding in exports]
        if sweep:
            await container.sweep_files()(everything=True)
            await container.sweep_exports()()
            return [finding for finding in findings if finding.owner is not None]
        return findings

    with one_line_errors():
        findings = with_container(run)
    if sys.stderr.isatty() and looked_at.total():
        print(file=sys.stderr)
    told = [_finding_document(finding) for finding in findings]
    if as_json:
        typer.echo(json.dumps(dict(looked_at) | {"findings": told}))
    else:
        for row in told:
            export = f"export {row['export']}" if row["export"] else ""
            typer.echo(f"{row['fault']:9} {row['content']}  {row['project'] or ''}  {row['filename'] or ''}  {export}".rstrip())
        typer.echo(f"{_counted(looked_at)}: {len(findings) or 'nothing'} wrong.")
    if findings:
        raise typer.Exit(FAILED)


def _counted(looked_at: Mapping[str, int]) -> str:
    return f"{looked_at['files']} files, {looked_at['exports']} exports, {looked_at['bytes']} bytes"


def _finding_document(finding: Finding) -> dict[str, str | None]:
    owner = finding.owner
    return {
        "fault": finding.fault.value,
        "content": finding.name,
        "project": owner.project if owner else None,
        "filename": owner.filename if owner else None,
        "export": str(owner.id) if isinstance(owner, Export) else None,
    }


def openapi(admin: Annotated[bool, typer.Option("--admin", help="The document of the signed-in routes.")] = False) -> None:
    """Print an OpenAPI document."""
    nowhere = Deployment(database_url="postgresql+asyncpg://nowhere", secret_keys=("0" * 32,), pepper="0" * 32)
    with one_line_errors():
        settings = load()
    with_registration = settings.registration == "open"
    routes = routes_of(
        nowhere.container(settings), Limits(RATES), with_docs=False, with_registration=with_registration, metrics_for=settings.metrics
    )
    document = admin_document(routes.signed_in) if admin else public_document([*routes.public, *routes.last])
    typer.echo(json.dumps(document, indent=2))


def doctor(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Look whether the service could run here, and say what is wrong."""
    with one_line_errors():
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
