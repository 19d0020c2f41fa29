"""Served as a role that may do nothing but use the tables, as docs/operations.md grants it: all works, and the trail is out of reach."""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

import asyncpg
import httpx
import pytest
from sqlalchemy import make_url

from tests.e2e.client import ADMIN_PASSWORD, Service, client, data_folder, log_in, run, serving, token_of
from tests.e2e.test_audit import EXPORTS, LEAVES, scene_at
from tests.postgres import connected, drop_database, make_database

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A service, an admin of it, and the database as its owner and as the role that the service has."""

    service: Service
    admin: httpx.Client
    owner_url: str
    role_url: str


def grants(database: str, role: str) -> str:
    """The statements of the documentation, for this database and this role."""
    found = re.findall(r"```sql\n((?:GRANT CONNECT|ALTER ROLE).*?)```", PAGE, re.DOTALL)
    assert len(found) == 2
    return "".join(found).replace("complex_stories_api", role).replace("DATABASE complex_stories ", f"DATABASE {database} ")


@pytest.fixture(scope="module")
def served(server: str) -> Iterator[Served]:
    owner_url = asyncio.run(make_database(server))
    address, role, password = make_url(owner_url), f"api_{token_hex(6)}", token_hex(6)
    role_url = address.set(username=role, password=password).render_as_string(hide_password=False)
    settings = {"ADMIN_PASSWORD": ADMIN_PASSWORD, "REGISTRATION": "open", "RATE_LIMITS": "off", "DATABASE_URL": role_url}
    with data_folder() as folder:
        assert run("migrate", folder=folder, DATABASE_URL=owner_url).returncode == 0
        made = f"CREATE ROLE {role} LOGIN PASSWORD '{password}'; REVOKE ALL ON DATABASE {address.database} FROM PUBLIC;"
        asyncio.run(execute(owner_url, made + grants(str(address.database), role)))
        with serving("--no-migrate", "--demo", folder=folder, **settings) as service:
            admin = client(service.url, token_of(log_in(service.url, "admin", ADMIN_PASSWORD)))
            yield Served(service=service, admin=admin, owner_url=owner_url, role_url=role_url)
            assert not re.search("chore failed|Traceback|permission denied", service.err), service.err[-3000:]
    asyncio.run(drop_database(owner_url, server=server))
    asyncio.run(execute(server, f"DROP ROLE {role}"))


async def execute(url: str, statements: str) -> None:
    async with connected(url) as connection:
        await connection.execute(statements)


@pytest.mark.parametrize("route", [*LEAVES, *EXPORTS])
def test_everything_that_is_told_works(served: Served, route: str) -> None:
    answer = (LEAVES | EXPORTS)[route][1](scene_at(served.service.url, served.admin))
    assert answer.is_success, answer.text


def test_readers_answer_see_and_erase(served: Served) -> None:
    reader = client(served.service.url)
    saved = reader.post("/dark-data/survey/upsert", json={"fingerprint": "reader-0001", "field": "consent", "value": "accepted"})
    assert saved.status_code == 201, saved.text
    own = {"x-respondent-token": saved.json()["respondent_token"]}
    assert reader.get("/dark-data/survey/response", headers=own).json()["answers"] == {"consent": "accepted"}
    assert reader.get("/dark-data/survey/results").status_code == 200
    assert reader.delete("/dark-data/survey/response", headers=own).is_success
    assert reader.get("/dark-data/resources", params={"search": "trust"}).status_code == 200


@pytest.mark.parametrize("command", [["retention", "--older-than-days", "1", "--apply"], ["audit", "verify"], ["verify-files"], ["doctor"]])
def test_what_operators_run_beside_it_works(served: Served, command: list[str]) -> None:
    done = run(*command, folder=served.service.folder, DATABASE_URL=served.role_url)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE audit_entries DISABLE TRIGGER ALL",
        "DROP TRIGGER refuse_change ON audit_entries",
        "TRUNCATE audit_entries",
        "CREATE TABLE mine (id integer)",
        "DROP TABLE responses",
        "SET session_replication_role = replica",
    ],
)
async def test_the_role_changes_no_schema_and_cannot_get_around_the_trail(served: Served, statement: str) -> None:
    async with connected(served.role_url) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
