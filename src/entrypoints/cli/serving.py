"""`complex-stories serve`: one process that answers, or several that are looked after."""

import asyncio
import socket
import sys
from typing import Annotated

import typer

from entrypoints import logs
from entrypoints.cli.ending import one_line_errors
from entrypoints.http.app import make_app
from entrypoints.http.server import BACKLOG, GRACE_SECONDS, config_of
from entrypoints.http.stopping import DRAIN_SECONDS, Server
from entrypoints.leaving import Leaving
from entrypoints.runtime import FIRST_ADMIN, Deployment, Prepared, check_admin_password, deployed, prepare, shared_metrics
from entrypoints.settings import Settings, SettingsError, load, traces_wanted
from entrypoints.share import Share
from entrypoints.supervisor import Supervisor, end_with_supervisor


def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.", min=1, max=65535)] = 8000,
    workers: Annotated[int, typer.Option(help="Worker processes.", min=1, max=64)] = 1,
    demo: Annotated[bool, typer.Option("--demo", help="Load the demo project, where it was never loaded.")] = False,
    migrating: Annotated[bool, typer.Option("--migrate/--no-migrate", help="Migrate first, or refuse an older schema.")] = True,
) -> None:
    """Migrate the database and serve the API, with an embedded PostgreSQL unless a database is set."""
    leaving = Leaving()
    leaving.listen()
    with one_line_errors():
        settings = load()
        check_admin_password(settings)
        traces_wanted()
        if workers > 1 and settings.rate_limits is not None and settings.redis_url is None:
            raise SettingsError("More than one worker needs REDIS_URL, where limits are counted for all of them, or RATE_LIMITS=off.")
        logs.configure(settings.log_format)
        listener = _listen(host, port)
        with listener, deployed(settings) as deployment:
            prepared = asyncio.run(prepare(deployment, settings, demo=demo, migrating=migrating, told=_tell_of_waiting))
            _greet(f"http://{host}:{port}", prepared, demo=demo)
            if workers == 1:
                _serve(settings, deployment, listener, leaving)
            else:
                deployment.export()
                with shared_metrics():
                    leaving.if_asked()
                    Supervisor(work, listener, workers=workers, grace=GRACE_SECONDS + DRAIN_SECONDS + 5).run()


def _tell_of_waiting(seconds: float) -> None:
    print(f"complex-stories: the database does not answer yet; waiting for up to {seconds:.0f} s more", file=sys.stderr, flush=True)


def _listen(host: str, port: int) -> socket.socket:
    """A socket for connections to come to; taken first, so that nothing is done for a service that could not be reached."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=BACKLOG)
    except OSError as error:
        raise SettingsError(f"Cannot listen on {host}:{port}: {error.strerror or error}.") from None


def work(listener: socket.socket, share: Share) -> None:
    """Be a worker process, whose environment says everything."""
    leaving = Leaving()
    leaving.listen()
    end_with_supervisor()
    settings = load()
    logs.configure(settings.log_format)
    with deployed(settings) as deployment:
        _serve(settings, deployment, listener, leaving, share=share)


def _serve(settings: Settings, deployment: Deployment, listener: socket.socket, leaving: Leaving, *, share: Share | None = None) -> None:
    container = deployment.container(settings)
    app = make_app(settings, container)
    Server(config_of(app), container.readiness(), leaving, share=share).run(sockets=[listener])


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
