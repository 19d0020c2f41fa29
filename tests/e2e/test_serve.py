"""Starting, stopping and killing the service, and the other commands of the program."""

import json
import os
import re
import signal
import stat
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest

from tests.e2e.client import ADMIN_PASSWORD, PASSWORD, Service, client, data_folder, exchange, log_in, register, run, serving, token_of

ADMIN_LINE = re.compile(r"First start: sign in as admin with the password (\S+)")


@pytest.fixture
def folder() -> Iterator[Path]:
    with data_folder() as path:
        yield path


def one_line(done: subprocess.CompletedProcess[str], status: int) -> str:
    """The one line with which a command ended."""
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert done.stderr.startswith("complex-stories: ")
    return done.stderr


def postmaster(folder: Path) -> Path:
    return folder / "postgres" / "postmaster.pid"


def test_a_first_start_draws_a_password_that_enters_and_shows_it_once(folder: Path) -> None:
    with serving("--demo", folder=folder, RATE_LIMITS="off") as service:
        drawn = ADMIN_LINE.findall(service.out)
        assert len(drawn) == 1
        assert len(drawn[0]) >= 20
        assert drawn[0] not in service.err
        assert log_in(service.url, "admin", drawn[0]).status_code == 200
        for guess in ("admin", "password", "changeme", "", "complex-stories"):
            assert log_in(service.url, "admin", guess).status_code == 401
        assert "curl" in service.out
        assert stat.S_IMODE((folder / "secrets.json").stat().st_mode) == 0o600
        secrets = json.loads((folder / "secrets.json").read_text())
        assert len(set(secrets.values())) == len(secrets) >= 2
        assert all(len(secret) == 64 for secret in secrets.values())
        assert drawn[0] not in (folder / "secrets.json").read_text()
    with serving("--demo", folder=folder, RATE_LIMITS="off") as service:
        assert ADMIN_LINE.findall(service.out) == drawn
        assert log_in(service.url, "admin", drawn[0]).status_code == 200
    with data_folder() as other, serving(folder=other) as service:
        assert ADMIN_LINE.findall(service.out) != drawn
        assert json.loads((other / "secrets.json").read_text()) != secrets


def test_a_demo_that_was_edited_stays_edited(folder: Path) -> None:
    settings = {"ADMIN_PASSWORD": ADMIN_PASSWORD, "RATE_LIMITS": "off"}
    with serving("--demo", folder=folder, **settings) as service:
        assert "password" not in service.out.lower().replace("documentation", "")
        token = token_of(log_in(service.url, "admin", ADMIN_PASSWORD))
        with client(service.url, token) as admin:
            admin.patch("/admin/projects/dark-data", json={"title": "Edited"})
            admin.delete("/admin/dark-data/resources/1")
        assert service.stop() == 0
        assert not postmaster(folder).exists()
    with serving("--demo", folder=folder, **settings) as service:
        assert httpx.get(f"{service.url}/dark-data").json()["title"] == "Edited"
        assert httpx.get(f"{service.url}/dark-data/resources/count").json() == {"count": 3}
        assert httpx.get(f"{service.url}/auth/me", headers={"authorization": f"Bearer {token}"}).status_code == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_ends_well_and_stops_the_database(folder: Path, number: signal.Signals) -> None:
    with serving(folder=folder) as service:
        assert postmaster(folder).exists()
        assert service.stop(number) == 0
    assert not postmaster(folder).exists()
    assert "Traceback" not in service.err


def test_after_a_kill_the_next_start_takes_over_with_everything_saved(folder: Path) -> None:
    settings = {"ADMIN_PASSWORD": ADMIN_PASSWORD, "RATE_LIMITS": "off"}
    saved = {"fingerprint": "reader-0001", "field": "consent", "value": "accepted"}
    with serving("--demo", folder=folder, **settings) as service:
        token = httpx.post(f"{service.url}/dark-data/survey/upsert", json=saved).json()["respondent_token"]
        assert service.stop(signal.SIGKILL) == -signal.SIGKILL
    assert postmaster(folder).exists()
    with serving("--demo", folder=folder, **settings) as service:
        own = httpx.get(f"{service.url}/dark-data/survey/response", headers={"x-respondent-token": token})
        assert own.json()["answers"] == {"consent": "accepted"}
        assert httpx.post(f"{service.url}/dark-data/survey/upsert", json=saved).json()["message"] == "Updated"
        assert service.stop() == 0
    assert not postmaster(folder).exists()


def test_a_second_start_on_a_folder_in_use_is_refused_in_one_line(folder: Path) -> None:
    with serving(folder=folder) as service:
        assert "in use" in one_line(run("serve", folder=folder), 2)
        assert run("migrate", folder=folder).stdout == "Nothing to migrate.\n"  # what is done beside a service is done
        assert httpx.get(f"{service.url}/health").status_code == 200


def test_a_port_in_use_is_told_in_one_line(folder: Path) -> None:
    with serving() as service:
        line = one_line(run("serve", "--port", str(service.port), folder=folder), 2)
        assert str(service.port) in line
    assert not postmaster(folder).exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET_KEY", "tooshort"),
        ("SECRET_KEY", "please-CHANGE-me-in-production-0123456789"),
        ("SECRET_KEY", f"{'0123456789abcdef' * 2},weakling"),
        ("PEPPER", "salt-and-pepper"),
        ("DATABASE_URL", "postgresql://zebra:zebra@localhost/zebra"),
        ("DATABASE_URL", "postgresql+asyncpg://zebra:zebra@localhost:zebra/zebra"),
        ("REDIS_URL", "http://zebra:6379"),
        ("REDIS_URL", "redis://:6379zebra"),
        ("REDIS_URL", "redis://:zebra@localhost:zebra"),
        ("REDIS_URL", "redis://localhost/zebra"),
        ("REDIS_URL", "redis://localhost?zebra=1"),
        ("REGISTRATION", "zebra"),
        ("RATE_LIMITS", "zebra"),
        ("RATE_LIMITS", "login=7"),
        ("TRUSTED_PROXIES", "zebra"),
        ("ACCESS_TOKEN_MINUTES", "0"),
        ("ALLOWED_ORIGINS", "*"),
        ("ALLOWED_ORIGINS", "null"),
        ("ALLOWED_ORIGINS", "https://*.zebra.example"),
        ("ALLOWED_ORIGINS", "zebra.example"),
        ("ALLOWED_ORIGINS", "https://zebra.example/"),
        ("ALLOWED_ORIGINS", "https://zebra.example/path"),
        ("ALLOWED_ORIGINS", "https://Zebra.example"),
        ("ALLOWED_ORIGINS", "https://zebra.example:443"),
        ("ALLOWED_ORIGINS", "https://zebra.example:99999"),
        ("ALLOWED_ORIGINS", "https://user@zebra.example"),
        ("ALLOWED_ORIGINS", "ftp://zebra.example"),
        ("ALLOWED_ORIGINS", "https://good.example,zebra"),
    ],
)
def test_a_bad_or_weak_setting_stops_the_start_in_one_line_without_its_value(folder: Path, name: str, value: str) -> None:
    line = one_line(run("serve", folder=folder, **{name: value}), 2)
    assert f"COMPLEX_STORIES_{name}" in line
    assert value not in line
    assert "zebra" not in line


def test_a_bad_setting_stops_every_command_in_one_line(folder: Path) -> None:
    for command in (["migrate"], ["doctor"], ["openapi"], ["create-admin", "ada", "ada@example.org"]):
        one_line(run(*command, folder=folder, given="", RATE_LIMITS="zebra"), 2)


@pytest.mark.parametrize(
    ("password", "told"),
    [
        ("password1234", "This is one of the most used passwords, or one repeated."),
        ("too short", "12 to 128 characters: a few random words do well."),
        ("the-admin-of-all", "A password may not contain the username."),
    ],
)
def test_a_weak_first_password_stops_the_start_in_one_line(folder: Path, password: str, told: str) -> None:
    line = one_line(run("serve", folder=folder, ADMIN_PASSWORD=password), 2)
    assert f"COMPLEX_STORIES_ADMIN_PASSWORD: {told}" in line
    assert password not in line
    assert list(folder.iterdir()) == []


def test_a_weak_first_password_stops_a_later_start_as_well(folder: Path) -> None:
    with serving(folder=folder, RATE_LIMITS="off"):
        pass
    assert "ADMIN_PASSWORD" in one_line(run("serve", folder=folder, ADMIN_PASSWORD="password1234"), 2)


def test_a_database_that_is_away_is_told_in_one_line(folder: Path) -> None:
    done = run("migrate", folder=folder, DATABASE_URL="postgresql+asyncpg://zebra:zebra@127.0.0.1:9/zebra")
    line = one_line(done, 1)
    assert "zebra" not in line


def test_several_workers_need_a_place_to_count_together_or_limits_off(folder: Path) -> None:
    line = one_line(run("serve", "--workers", "2", folder=folder), 2)
    assert "REDIS_URL" in line
    assert "RATE_LIMITS=off" in line
    assert not postmaster(folder).exists()


def test_several_workers_serve_and_stop_together(folder: Path) -> None:
    with serving("--demo", "--workers", "2", folder=folder, RATE_LIMITS="off") as service:
        assert {httpx.get(f"{service.url}/dark-data").status_code for _ in range(20)} == {200}
        assert service.stop() == 0
    assert not postmaster(folder).exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the database as somebody else")
def test_a_folder_that_the_databases_user_cannot_reach_is_told_in_one_line(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    line = one_line(run("serve", folder=closed / "data"), 2)
    assert str(closed) in line
    assert "nobody" in line


def test_a_folder_that_is_a_file_is_told_in_one_line(folder: Path) -> None:
    (folder / "file").touch()
    one_line(run("serve", folder=folder / "file"), 2)


def test_migrate_doctor_and_create_admin_do_what_they_say(folder: Path) -> None:
    first, again = run("migrate", folder=folder), run("migrate", folder=folder)
    assert (first.returncode, again.returncode) == (0, 0)
    assert first.stdout.startswith("Migrated: ")
    assert again.stdout == "Nothing to migrate.\n"
    looked = run("doctor", "--json", folder=folder)
    assert looked.returncode == 0
    findings = json.loads(looked.stdout)
    assert all(set(finding) == {"what", "is_good", "detail"} and finding["is_good"] for finding in findings)
    assert {"database", "schema"} <= {finding["what"] for finding in findings}
    assert run("doctor", folder=folder).stdout.count("ok ") == len(findings)

    made = run("create-admin", "Ada", "ada@example.org", folder=folder, given=f"{PASSWORD}\n")
    assert (made.returncode, made.stdout) == (0, "ada is an admin now.\n")
    assert "taken" in one_line(run("create-admin", "ADA", "ada@example.org", folder=folder, given=f"{PASSWORD}\n"), 1)
    assert "password" in one_line(run("create-admin", "eve", "eve@example.org", folder=folder, given="password1234\n"), 2)
    assert "email" in one_line(run("create-admin", "eve", "nobody", folder=folder, given=f"{PASSWORD}\n"), 2)
    assert not postmaster(folder).exists()
    with serving(folder=folder, RATE_LIMITS="off") as service:
        assert log_in(service.url, "ada", PASSWORD).json()["user"]["role"] == "admin"


def test_doctor_fails_where_the_schema_lacks_something(folder: Path) -> None:
    looked = run("doctor", "--json", folder=folder)
    assert looked.returncode == 1
    assert [finding["what"] for finding in json.loads(looked.stdout) if not finding["is_good"]] == ["schema"]


def test_the_documents_can_be_had_without_a_service(folder: Path, service: Service, admin: httpx.Client) -> None:
    public, team = (run("openapi", *more, folder=folder, REGISTRATION="open") for more in ([], ["--admin"]))
    assert (public.returncode, team.returncode) == (0, 0)
    assert json.loads(public.stdout) == admin.get("/openapi.json").json()
    assert json.loads(team.stdout) == admin.get("/admin/openapi.json").json()
    assert not (folder / "postgres").exists()


@pytest.mark.parametrize("arguments", [["nonsense"], ["serve", "--port", "0"], ["serve", "--port", "x"], ["create-admin"]])  # fmt: skip
def test_bad_use_has_status_two(folder: Path, arguments: list[str]) -> None:
    assert run(*arguments, folder=folder).returncode == 2


def test_the_log_tells_no_secret(folder: Path) -> None:
    with serving("--demo", folder=folder, ADMIN_PASSWORD=ADMIN_PASSWORD, LOG_FORMAT="json") as service:
        token = token_of(log_in(service.url, "admin", ADMIN_PASSWORD))
        body = {"fingerprint": "a-very-private-fingerprint", "field": "consent", "value": "accepted"}
        told = httpx.post(f"{service.url}/dark-data/survey/upsert", json=body).json()["respondent_token"]
        httpx.get(f"{service.url}/dark-data/resources?search=private-search", headers={"authorization": f"Bearer {token}"})
        assert service.stop() == 0
        lines = [json.loads(line) for line in service.err.splitlines()]
        assert [line["route"] for line in lines if line.get("event") == "request" and line["route"] != "/health"] == [
            "/auth/login",
            "/{project}/survey/upsert",
            "/{project}/resources",
        ]
        for secret in (ADMIN_PASSWORD, token, told, "a-very-private-fingerprint", "private-search"):
            assert secret not in service.err
            assert secret not in service.out


def test_the_log_tells_who_was_refused_what_and_when(folder: Path) -> None:
    injected = "line\\nbreak"
    with serving("--demo", folder=folder, ADMIN_PASSWORD=ADMIN_PASSWORD, REGISTRATION="open", LOG_FORMAT="json") as service:
        log_in(service.url, "admin", "a wrong password indeed")
        with client(service.url, register(service.url, "ada")) as member:
            who = member.get("/auth/me").json()["id"]
            refused = member.get("/admin/users", headers={"x-request-id": "asked-for-users"})
            assert refused.status_code == 403
            member.get("/%22%7D%20forged", headers={"x-request-id": injected, "user-agent": injected})
        broken = b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\ng\r\n"
        for sent in (broken, b"\x00garbage\r\n\r\n"):
            exchange(service.port, sent)
        assert service.stop() == 0
        lines = [json.loads(line) for line in service.err.splitlines()]
    requests = [line for line in lines if line["event"] == "request" and line["route"] != "/health"]
    assert [(line["route"], line["status"]) for line in requests] == [
        ("/auth/login", 401),
        ("/auth/register", 201),
        ("/auth/me", 200),
        ("/admin/users", 403),
        (None, 404),
        ("/auth/login", 400),
        (None, 400),
    ]
    told = requests[3]
    assert (told["method"], told["user"], told["request_id"]) == ("GET", who, "asked-for-users")
    assert datetime.fromisoformat(told["timestamp"]).utcoffset() == timedelta(0)
    assert told["ms"] >= 0
    assert "forged" not in service.err
    assert "break" not in service.err
