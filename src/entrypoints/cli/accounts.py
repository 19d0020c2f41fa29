"""`complex-stories create-admin`."""

import sys
from typing import Annotated

import typer

from entrypoints.cli.ending import one_line_errors
from entrypoints.cli.running import with_container
from entrypoints.container import Container


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

    with one_line_errors():
        typer.echo(f"{with_container(run)} is an admin now.")
