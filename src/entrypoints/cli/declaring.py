"""`complex-stories apply`: a project as a file declares it."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from application.story import Applied
from domain.survey import BreakingChange, FieldChange
from entrypoints.cli.ending import one_line_errors
from entrypoints.cli.running import actor_named, with_container
from entrypoints.container import Container
from entrypoints.runtime import FIRST_ADMIN
from entrypoints.story import story_from


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
        actor = await actor_named(container, as_user)
        return await container.apply_story()(story, accept_breaking=frozenset(accept_breaking or ()), dry_run=dry_run, by=actor)

    with one_line_errors():
        story = story_from(file.read())
        try:
            applied = with_container(run)
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


def _show_changes(changes: tuple[FieldChange, ...]) -> None:
    if not changes:
        return
    width = max(len("field"), *(len(change.field) for change in changes))
    typer.echo(f"{'field':{width}}  {'change':10}  stored answers touched")
    for change in changes:
        typer.echo(f"{change.field:{width}}  {change.change:10}  {change.touched}")
