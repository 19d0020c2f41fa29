"""The command line. Exit status: 0 done, 1 failed, 2 bad settings or use, 3 the schema does not fit."""

import typer

from entrypoints.cli.accounts import create_admin
from entrypoints.cli.declaring import apply
from entrypoints.cli.exporting import export_command
from entrypoints.cli.importing import import_command
from entrypoints.cli.inspecting import audit_verify, doctor, openapi, verify_files
from entrypoints.cli.keeping import backup_command, migrate_command, restore, retention
from entrypoints.cli.serving import serve

cli = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="The Complex Stories API.")
audit_cli = typer.Typer(no_args_is_help=True, help="The audit trail.")
cli.add_typer(audit_cli, name="audit")

cli.command("serve")(serve)
cli.command("migrate")(migrate_command)
cli.command("create-admin")(create_admin)
cli.command("apply")(apply)
cli.command("import")(import_command)
cli.command("retention")(retention)
audit_cli.command("verify")(audit_verify)
cli.command("verify-files")(verify_files)
cli.command("export")(export_command)
cli.command("backup")(backup_command)
cli.command("restore")(restore)
cli.command("openapi")(openapi)
cli.command("doctor")(doctor)


def main() -> None:
    """The entry of the `complex-stories` program."""
    cli()
