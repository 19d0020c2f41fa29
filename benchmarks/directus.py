"""What people pick instead: Directus, where `make setup-directus` has installed it.

It passes over tables whose key is not one column, as that of our resources is. So it has a schema of its own in the same database, with
the same rows under a key that it takes, and none of its tables lies among the service's.
"""

import json
import secrets
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

SETUP = "make setup-directus"
SCHEMA = "bench_directus"  # never the name of a role: "$user" comes first in the path by which the service finds its tables

FOLDER = Path(__file__).parents[1] / ".directus" / "node_modules"
_NODE, _MANIFEST = ".bin/node", "directus/package.json"
_PROGRAM = "@directus/api/dist/cli/run.js"  # `directus` itself asks at each start whether there is a newer one

# The indexes are those that its questions use: an edit has fewer to keep than the service's.
COPY = (
    f"CREATE SCHEMA {SCHEMA}",
    f"CREATE TABLE {SCHEMA}.projects AS SELECT id, slug FROM public.projects",
    f"ALTER TABLE {SCHEMA}.projects ADD PRIMARY KEY (id)",
    f"CREATE TABLE {SCHEMA}.users AS SELECT id, username FROM public.users",
    f"ALTER TABLE {SCHEMA}.users ADD PRIMARY KEY (id)",
    f"CREATE TABLE {SCHEMA}.resources (LIKE public.resources)",
    f"INSERT INTO {SCHEMA}.resources SELECT * FROM public.resources ORDER BY id",
    f"ALTER TABLE {SCHEMA}.resources ADD PRIMARY KEY (id)",
    f"ALTER TABLE {SCHEMA}.resources ADD FOREIGN KEY (project_id) REFERENCES {SCHEMA}.projects",
    f"ALTER TABLE {SCHEMA}.resources ADD FOREIGN KEY (created_by) REFERENCES {SCHEMA}.users",
    f"CREATE INDEX ON {SCHEMA}.resources (project_id, id)",
    f"CREATE INDEX ON {SCHEMA}.resources (project_id, status, id)",
    f"VACUUM ANALYZE {SCHEMA}.projects, {SCHEMA}.users, {SCHEMA}.resources",
)


def version() -> str | None:
    """Of the Directus that is installed, with a Node to run it; None where none is."""
    if not ((FOLDER / _NODE).exists() and (FOLDER / _MANIFEST).exists()):
        return None
    found: str = json.loads((FOLDER / _MANIFEST).read_text())["version"]
    return found


def command(name: str) -> list[str]:
    """How it is told to do this: `bootstrap` makes its tables, `start` serves."""
    return [str(FOLDER / _NODE), str(FOLDER / _PROGRAM), name]


def environment(url: str, *, token: str, port: int) -> Mapping[str, str]:
    """Its settings: what is not named here is as Directus ships it, the cache and the pool among it. Its secrets are made for this run."""
    there = make_url(url)
    socket = there.query.get("host", "localhost")
    return {
        "DB_CLIENT": "pg",
        "DB_HOST": there.host or (socket if isinstance(socket, str) else socket[0]),
        "DB_PORT": str(there.port or 5432),
        "DB_DATABASE": there.database or "",
        "DB_USER": there.username or "",
        "DB_PASSWORD": str(there.password or ""),
        "DB_SEARCH_PATH": SCHEMA,
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "NODE_ENV": "production",
        "SECRET": secrets.token_hex(32),
        "ADMIN_EMAIL": "bench@example.com",
        "ADMIN_PASSWORD": secrets.token_hex(16),
        "ADMIN_TOKEN": token,
        "TELEMETRY": "false",
        "LOG_LEVEL": "warn",  # no line for each request
        "RATE_LIMITER_ENABLED": "false",
        "PRESSURE_LIMITER_ENABLED": "false",  # it would refuse requests because its one process is busy
    }


def open_to_readers(port: int, token: str) -> None:
    """Anybody may read the rows, and each edit has its activity and its revision, as with a table that Directus made itself."""
    _ask(port, token, "PATCH", "/collections/resources", {"meta": {}})
    (public,) = _ask(port, token, "GET", "/access?filter[role][_null]=true&filter[user][_null]=true")
    for collection in ("resources", "projects", "users"):
        reading = {"policy": public["policy"], "collection": collection, "action": "read", "fields": ["*"]}
        _ask(port, token, "POST", "/permissions", reading | {"permissions": {}, "validation": {}})


def _ask(port: int, token: str, method: str, path: str, content: object = None) -> Any:
    """Raises `OSError`, also where the answer is a refusal."""
    body = None if content is None else json.dumps(content).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["data"]
