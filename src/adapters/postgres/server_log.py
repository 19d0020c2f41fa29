"""What people typed stays out of PostgreSQL's log, where those read it who may not read the tables, and where nothing erases it.

By default a failing statement is logged as it is (a `COPY` of an export holds the text that was searched for), with the row that broke a
rule as its detail, the line of a `COPY` that was cut off as its context, and slow statements with their parameters. Only a superuser, or a
role that was granted it, may change that: each connection does what its role may, and `doctor` tells what is left.
"""

from typing import Any

QUIET = {
    "log_error_verbosity": "terse",  # neither detail nor context, of deadlocks and waits for locks as well
    "log_min_error_statement": "panic",
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_min_duration_sample": "-1",
    "log_transaction_sample_rate": "0",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "auto_explain.log_min_duration": "-1",
}

_WANTED = "SELECT name, wanted, setting, context FROM unnest($1::text[], $2::text[]) AS quiet (name, wanted) JOIN pg_settings USING (name)"
_QUIETEN = f"""SELECT set_config(name, wanted, false) FROM ({_WANTED}) AS found
    WHERE setting <> wanted AND (context = 'user' OR has_parameter_privilege(name, 'SET'))"""  # noqa: S608 - a constant of ours
_LOUD = f"SELECT name FROM ({_WANTED}) AS found WHERE setting <> wanted ORDER BY name"  # noqa: S608 - as above


async def quieten(connection: Any) -> None:
    """Set for a connection what its role may set."""
    await connection.execute(_QUIETEN, list(QUIET), list(QUIET.values()))


async def loud_settings(connection: Any) -> list[str]:
    """The settings under which the server may log what people typed over this connection."""
    await quieten(connection)
    return [row["name"] for row in await connection.fetch(_LOUD, list(QUIET), list(QUIET.values()))]
