"""What keeps a deployment well: `complex-stories migrate`, `retention`, `backup` and `restore`."""

import asyncio
import json
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from entrypoints import backup
from entrypoints.cli.ending import FAILED, one_line_errors
from entrypoints.cli.progress import stage
from entrypoints.cli.running import with_container
from entrypoints.container import Container, migrate, pending
from entrypoints.runtime import deployed
from entrypoints.settings import load


def migrate_command() -> None:
    """Bring the database to the schema of this program."""
    with one_line_errors(), deployed(load(), beside=True) as deployment:
        missing = asyncio.run(pending(deployment.database_url))
        asyncio.run(migrate(deployment.database_url))
        typer.echo(f"Migrated: {', '.join(missing)}." if missing else "Nothing to migrate.")


def retention(
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

    with one_line_errors():
        counts = with_container(run)
    if as_json:
        typer.echo(json.dumps(counts | {"removed": apply_now}))
        return
    for kind, number in counts.items():
        typer.echo(f"{kind:10} {number:>8}")
    typer.echo("Removed for good." if apply_now else "A dry run: nothing was removed. Add --apply to remove it.")


def backup_command(
    target: Annotated[Path, typer.Argument(help="A folder to be made; or a file, when it is called *.tar.")],
    with_pepper: Annotated[
        bool, typer.Option("--with-pepper", help="Put PEPPER into it: readers and the audit trail need the same.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Copy the database and the contents of its files, as they are at one moment, while the service runs."""

    async def run(container: Container) -> backup.Manifest:
        return await backup.back_up(container, target, with_pepper=with_pepper, progress=stage)

    with one_line_errors():
        made = with_container(run)
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


def restore(
    source: Annotated[Path, typer.Argument(help="What backup made.", exists=True)],
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Bring a back-up back into an empty database and the store. What readers erased since then stays erased; nobody is signed in."""
    with one_line_errors():
        settings = load()
        with backup.opened(source) as folder:
            manifest = backup.verified(folder, stage)
            with deployed(settings, pepper=manifest.pepper) as deployment:
                settled = asyncio.run(backup.bring_back(deployment.container(settings), folder, manifest, stage))
    if as_json:
        typer.echo(json.dumps({"created_at": manifest.created_at} | asdict(settled)))
        return
    typer.echo(f"Everything is as it was at {manifest.created_at}.")
    typer.echo(f"Left out: {settled.responses_erased} responses and {settled.files_deleted} files that were erased or deleted since.")
    typer.echo("Whoever was deactivated, demoted or whose API key was revoked since then is as before: see to that now.")
