"""Exports over HTTP: whole or visibly not, never in anybody's way; and stored exports that survive whoever makes them."""

import asyncio
import base64
import hashlib
import io
import json
import signal
import socket
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest
from frictionless import Package, system

from adapters.postgres.snapshots import SNAPSHOTS_AT_ONCE
from domain.export import Column, ColumnType
from domain.resource import COLUMNS
from tests.e2e.client import (
    ADMIN_PASSWORD,
    Service,
    client,
    data_folder,
    log_in,
    make_project,
    make_resource,
    problem,
    run,
    serving,
    token_of,
    unique,
    until,
    walk,
)
from tests.e2e.conftest import People
from tests.e2e.test_survey import DEFINITION
from tests.postgres import connected, drop_database, make_database
from tests.tabular import csv_records, read_csv

FORMATS = ["csv", "json", "ndjson", "parquet"]
ROWS, LETTERS = 20_000, 6_000
MANY = """
INSERT INTO resources (project_id, name, name_key, search_text, description, status, attributes, created_by, owner_id, created_at, version)
SELECT projects.id, 'r' || n, 'r' || n, 'r' || n, repeat('x', $1), 'active', '{}', users.id, users.id, now(), 1
FROM projects, users, generate_series(1, $2) AS n WHERE projects.slug = 'dark-data' AND users.username = 'admin'
"""
COPYING = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'COPY%' AND state <> 'idle'"
CUT_OFF = (httpx.RemoteProtocolError, httpx.ReadError)


def done(reader: httpx.Client, address: str) -> dict[str, Any]:
    """The export at this address, once it is made."""

    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = reader.get(address).json()
        assert found["status"] != "failed"
        return found if found["status"] == "done" else None

    found = until(look, f"{address} is done")
    assert found is not None
    return found


def day_of(export: dict[str, Any]) -> str:
    """The day, in UTC, on which it was asked for."""
    return str(export["created_at"])[:10]


def store(reader: httpx.Client, project: str, what: str = "resources", format: str = "csv", **filters: Any) -> str:
    """The address of an export that was asked for."""
    asked = reader.post(f"/admin/{project}/exports", json={"what": what, "format": format, "filters": filters})
    assert asked.status_code == 202, asked.text
    return asked.headers["location"]


@pytest.fixture
def filled(admin: httpx.Client, anonymous: httpx.Client, project: str) -> Iterator[str]:
    """A project with resources and responses that are not easily written. Its stored exports are deleted in the end."""
    resources = []
    for name, description in (("=1+1", None), ('quote " and , and\nline', ""), ("emoji \U0001f600", "-5\ttab"), ("plain", "plain")):
        attributes = {"a": [1, None, "é", {"b": '"'}]}
        resources.append(make_resource(admin, project, name=name, description=description, attributes=attributes, status="pending")["id"])
    question = {"field": "note", "type": "text", "max_length": 5}
    choice = {"field": "level", "type": "choice", "choices": [{"value": "-1", "code": -1}, {"value": "+1", "label": "More"}]}
    definition = DEFINITION | {"questions": [*DEFINITION["questions"], question, choice]}
    assert admin.put(f"/admin/{project}/survey", json=definition).status_code == 201
    for number, answers in enumerate(({"note": "=abcd", "level": "-1"}, {"note": ""}, {"level": "+1"})):
        body = {"fingerprint": f"reader-number-{number}", "answers": {"consent": "accepted"} | answers}
        assert anonymous.post(f"/{project}/survey/answers", json=body).status_code == 201
    labels = {"title": "Sign", "type": "choice", "choices": [{"value": "-1"}, {"value": "+1"}], "blind": True}
    assert admin.put(f"/admin/{project}/label-sets/sign", json=labels).status_code == 201
    for resource, label in zip(resources, ({"value": "-1", "note": "=so\n"}, {"value": "+1", "confidence": 5}), strict=False):
        assert admin.put(f"/admin/{project}/resources/{resource}/annotations/sign", json=label).status_code == 201
    yield project
    for export in admin.get(f"/admin/{project}/exports", params={"limit": 1000}).json():
        assert admin.delete(f"/admin/{project}/exports/{export['id']}").status_code == 204


# --- direct exports ----------------------------------------------------------------------------------------------------------


def test_resources_are_exported_as_the_contract_says(anonymous: httpx.Client, filled: str) -> None:
    listed = list(walk(anonymous, f"/{filled}/resources"))
    for format in FORMATS:
        answer = anonymous.get(f"/{filled}/export", params={"format": format})
        assert answer.status_code == 200
        assert answer.headers["content-disposition"] == f'attachment; filename="{filled}-resources.{format}"'
        if format == "json":
            assert answer.json() == listed
        elif format == "ndjson":
            assert [json.loads(line) for line in answer.text.split("\n")[:-1]] == listed
        elif format == "parquet":
            rows = pq.read_table(io.BytesIO(answer.content)).to_pylist()
            assert [row | {"attributes": json.loads(row["attributes"])} for row in rows] == [
                row | {"created_at": rows[number]["created_at"], "updated_at": None} for number, row in enumerate(listed)
            ]
        else:
            header, *records = csv_records(answer.text)
            assert header == [column.name for column in COLUMNS]
            assert [record[2] for record in records] == ["'=1+1", 'quote " and , and\nline', "emoji \U0001f600", "plain"]
            assert [record[3] for record in records] == [None, "", "'-5\ttab", "plain"]
    raw = anonymous.get(f"/{filled}/export?format=csv&raw=true")
    assert [row[3] for row in read_csv(raw.content, COLUMNS)] == [row["description"] for row in listed]


@pytest.mark.parametrize("format", FORMATS)
def test_filters_and_nothing_at_all(admin: httpx.Client, anonymous: httpx.Client, project: str, format: str) -> None:
    empty = anonymous.get(f"/{project}/export", params={"format": format})
    expected = {"csv": b",".join(c.name.encode() for c in COLUMNS) + b"\r\n", "json": b"[]", "ndjson": b""}
    assert empty.status_code == 200
    assert pq.read_table(io.BytesIO(empty.content)).num_rows == 0 if format == "parquet" else empty.content == expected[format]
    for name, status in (("One 100%", "active"), ("two", "pending"), ("three", "active")):
        make_resource(admin, project, name=name, status=status)
    gone = make_resource(admin, project, name="one, gone")
    assert admin.delete(f"/admin/{project}/resources/{gone['id']}").status_code == 200
    for filters, wanted in (("status=active", 2), ("search=ONE", 1), ("search=%25", 1), ("status=pending&search=one", 0)):
        content = anonymous.get(f"/{project}/export?format={format}&{filters}").content
        counts: dict[str, Callable[[], int]] = {
            "csv": lambda content=content: len(read_csv(content, COLUMNS)),  # type: ignore[misc]
            "json": lambda content=content: len(json.loads(content)),  # type: ignore[misc]
            "ndjson": lambda content=content: content.count(b"\n"),  # type: ignore[misc]
            "parquet": lambda content=content: pq.read_table(io.BytesIO(content)).num_rows,  # type: ignore[misc]
        }
        assert counts[format]() == wanted, filters


def test_without_a_format_it_is_json(admin: httpx.Client, filled: str) -> None:
    for address in (f"/{filled}/export", f"/admin/{filled}/annotations/export"):
        assert admin.get(address).content == admin.get(address, params={"format": "json"}).content


def test_what_is_wrong_is_told_before_anything_is_sent(anonymous: httpx.Client, project: str) -> None:
    problem(anonymous.get("/unknown-story/export?format=csv"), 404)
    for query in ("format=", "format=xls", "format=csv&status=odd", "format=csv&raw=yes", "format=csv&limit=1", "format=csv&format=json"):
        problem(anonymous.get(f"/{project}/export?{query}"), 422)
    problem(anonymous.get("/unknown-story/export?format=xls"), 404)
    problem(anonymous.post(f"/{project}/export?format=csv"), 405)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("accepted", "zipped"),
    [("gzip", True), ("br, gzip;q=0.5", True), ("*", True), ("x-gzip", True), ("", False), ("br", False), ("gzip;q=0", False),
     ("gzip;q=0, *", False), ("gzip;q=0.5, identity", False), ("identity;q=0.5, gzip;q=0.500", True), ("gzip;q=2", False)],
)  # fmt: skip
def test_texts_are_zipped_for_who_takes_it(service: Service, filled: str, format: str, accepted: str, *, zipped: bool) -> None:
    address = f"{service.url}/{filled}/export?format={format}"
    plain = httpx.get(address, headers={"accept-encoding": "identity"})
    with httpx.stream("GET", address, headers={"accept-encoding": accepted}) as answer:
        content = b"".join(answer.iter_raw())
    zipped = zipped and format != "parquet"
    assert answer.headers.get("content-encoding") == ("gzip" if zipped else None)
    assert answer.headers.get("vary") == (None if format == "parquet" else "Accept-Encoding")
    if format != "parquet":
        assert (zlib.decompress(content, 31) if zipped else content) == plain.content


def test_head_makes_nothing(anonymous: httpx.Client, filled: str) -> None:
    for format in FORMATS:
        answer = anonymous.head(f"/{filled}/export?format={format}")
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["content-disposition"].endswith(f'.{format}"')
    problem_less = anonymous.head("/unknown-story/export?format=csv")
    assert problem_less.status_code == 404


def test_exports_of_a_network_are_limited() -> None:
    with serving("--demo", RATE_LIMITS="export=2/min") as running, client(running.url) as reader:
        answers = [reader.get("/dark-data/export?format=csv") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[0].headers["ratelimit-policy"] == '"export";q=2;w=60'
        assert 1 <= int(answers[2].headers["retry-after"]) <= 60


# --- many rows ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Big:
    """A service whose demo project has many resources, in a database that can be asked beside it."""

    service: Service
    settings: dict[str, str]

    def ask(self, sql: str, *arguments: Any) -> list[Any]:
        async def fetch() -> list[Any]:
            async with connected(self.settings["DATABASE_URL"]) as connection:
                return [row[0] for row in await connection.fetch(sql, *arguments)]

        found: list[Any] = outside(fetch)
        return found

    @contextmanager
    def begun(self, format: str = "csv", **headers: str) -> Iterator[socket.socket]:
        """An export of which a little was read."""
        with socket.create_connection(("127.0.0.1", self.service.port), timeout=20) as connection:
            more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            connection.sendall(f"GET /dark-data/export?format={format} HTTP/1.1\r\nHost: x\r\n{more}\r\n".encode())
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
            yield connection


def outside(work: Callable[[], Any]) -> Any:
    """What a coroutine answers, run outside of the loop of the tests."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(work())).result()


@pytest.fixture(scope="module")
def big(server: str) -> Iterator[Big]:
    url = outside(lambda: make_database(server))
    settings = {"DATABASE_URL": url, "ADMIN_PASSWORD": ADMIN_PASSWORD, "RATE_LIMITS": "off"}
    with serving("--demo", **settings) as running:
        found = Big(service=running, settings=settings)
        found.ask(MANY, LETTERS, ROWS)
        yield found
    outside(lambda: drop_database(url, server=server))


def test_a_client_that_leaves_leaves_nothing_open(big: Big) -> None:
    for format in FORMATS * 3:
        with big.begun(format):
            until(lambda: big.ask(COPYING), "the server copies")
        until(lambda: not big.ask(COPYING), "nothing is being copied")
    idle = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND xact_start IS NOT NULL AND pid <> pg_backend_pid()"
    until(lambda: big.ask(idle) == [0], "no transaction is open")
    assert httpx.get(f"{big.service.url}/dark-data/export?format=csv&search=trust").status_code == 200


@pytest.mark.parametrize("format", [*FORMATS, "csv, zipped"])
def test_a_failure_midway_never_looks_whole(big: Big, format: str) -> None:
    headers = {"accept-encoding": "gzip" if "zipped" in format else "identity"}
    address = f"{big.service.url}/dark-data/export?format={format.partition(',')[0]}"
    with httpx.stream("GET", address, headers=headers, timeout=30) as answer:
        assert answer.status_code == 200
        parts = answer.iter_raw()
        next(parts)
        (copying,) = until(lambda: big.ask(COPYING), "the server copies")
        assert big.ask("SELECT pg_terminate_backend($1::int)", copying) == [True]
        with pytest.raises(CUT_OFF):
            for _ in parts:
                pass
    assert httpx.get(f"{big.service.url}/dark-data/export?format=csv&search=trust").status_code == 200


def test_more_exports_at_once_than_there_may_be_are_told_to_wait(big: Big) -> None:
    token = token_of(log_in(big.service.url, "admin", ADMIN_PASSWORD))
    with ExitStack() as stack, client(big.service.url, token) as admin:
        for _ in range(SNAPSHOTS_AT_ONCE // 2):
            stack.enter_context(big.begun())
        for authorization in ({}, {"authorization": "Bearer nobody's"}):
            for format in FORMATS:
                refused = httpx.get(f"{big.service.url}/dark-data/export?format={format}", headers=authorization)
                problem(refused, 503, "too-many-tables")
                assert 1 <= int(refused.headers["retry-after"]) <= 60
        for address in ("/dark-data/export", "/admin/dark-data/survey/responses/export", "/admin/dark-data/annotations/export"):
            with admin.stream("GET", f"{address}?format=csv") as answer:
                assert answer.status_code == 200, "the team always finds a place"
        for _ in range(SNAPSHOTS_AT_ONCE // 2):
            stack.enter_context(big.begun(authorization=f"Bearer {token}"))
        problem(admin.get("/admin/dark-data/survey/responses/export?format=csv"), 503, "too-many-tables")
        assert done(admin, store(admin, "dark-data", search="trust"))["rows"] == 1  # what is made in the background goes on
        assert httpx.get(f"{big.service.url}/dark-data/resources").status_code == 200
    until(lambda: httpx.get(f"{big.service.url}/dark-data/export?format=csv&search=trust").status_code == 200, "there is room again")


def test_a_network_has_two_exports_at_once(big: Big) -> None:
    with serving(folder=None, **big.settings | {"RATE_LIMITS": "export=100/min"}) as running, ExitStack() as stack:
        limited = Big(service=running, settings=big.settings)
        for _ in range(2):
            stack.enter_context(limited.begun())
        refused = httpx.get(f"{running.url}/dark-data/export?format=csv")
        problem(refused, 429, "too-many-downloads")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        admin = stack.enter_context(client(running.url, token_of(log_in(running.url, "admin", ADMIN_PASSWORD))))
        with admin.stream("GET", "/dark-data/export?format=csv") as answer:
            assert answer.status_code == 200, "who is signed in is of no network"
        other = httpx.HTTPTransport(local_address="127.0.0.2")
        with httpx.Client(transport=other) as elsewhere, elsewhere.stream("GET", f"{running.url}/dark-data/export") as answer:
            assert answer.status_code == 200
            stack.close()
            until(lambda: httpx.get(f"{running.url}/dark-data/export?search=trust").status_code == 200, "there is room again")


def test_a_stored_export_survives_those_who_make_it(big: Big) -> None:
    with data_folder() as folder:
        maker = Service(folder, **big.settings).wait_ready()
        token = token_of(log_in(maker.url, "admin", ADMIN_PASSWORD))
        with client(maker.url, token) as admin:
            address = store(admin, "dark-data", format="parquet")
            until(lambda: admin.get(address).json()["status"] == "running", "somebody makes it")
        maker.stop(signal.SIGKILL)
        big.service.process.send_signal(signal.SIGSTOP)  # nobody else makes it meanwhile
        try:
            another = Service(folder, **big.settings).wait_ready()
            with client(another.url, token_of(log_in(another.url, "admin", ADMIN_PASSWORD))) as admin:
                found = done(admin, address)
                content = admin.get(f"{address}/content").content
            another.stop()
        finally:
            big.service.process.send_signal(signal.SIGCONT)
        assert (found["rows"], found["bytes"], found["progress"]) == (ROWS + 4, len(content), 100)
        assert pq.read_table(io.BytesIO(content)).num_rows == ROWS + 4


def test_each_export_is_made_once_however_many_could_make_it(big: Big) -> None:
    big.service.process.send_signal(signal.SIGSTOP)
    try:
        with serving("--workers", "2", folder=None, **big.settings) as running, client(running.url) as nobody:
            admin = client(running.url, token_of(log_in(running.url, "admin", ADMIN_PASSWORD)))
            asked = [store(admin, "dark-data", format=format) for format in FORMATS * 2]
            hashes = {address: done(admin, address)["sha256"] for address in asked}
            for address, sha256 in hashes.items():
                assert hashlib.sha256(admin.get(f"{address}/content").content).hexdigest() == sha256
            assert len(list((running.folder / "files" / "exports").iterdir())) == len(asked)
            assert nobody.get(f"{asked[0]}/content").status_code == 401
            admin.close()
        attempts = big.ask("SELECT attempts FROM exports WHERE id = ANY($1::uuid[])", [address.rpartition("/")[2] for address in asked])
        assert attempts == [1] * len(asked)
    finally:
        big.service.process.send_signal(signal.SIGCONT)


# --- stored exports ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["resources", "responses", "annotations"])
@pytest.mark.parametrize("format", FORMATS)
def test_a_stored_export_is_the_direct_one_of_its_moment_and_never_changes(
    admin: httpx.Client, filled: str, what: str, format: str
) -> None:
    direct = {
        "resources": f"/{filled}/export",
        "responses": f"/admin/{filled}/survey/responses/export",
        "annotations": f"/admin/{filled}/annotations/export",
    }[what]
    before = admin.get(direct, params={"format": format}).content
    address = store(admin, filled, what, format)
    found = done(admin, address)
    make_resource(admin, filled)
    content = admin.get(f"{address}/content", headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in content.headers
    if format == "parquet":
        assert pq.read_table(io.BytesIO(content.content)).equals(pq.read_table(io.BytesIO(before)))
    else:
        assert content.content == before
    assert found["sha256"] == hashlib.sha256(content.content).hexdigest()
    assert (found["rows"], found["bytes"]) == ({"resources": 4, "responses": 3, "annotations": 2}[what], len(content.content))
    assert found["survey_version"] == {"resources": None, "responses": 1, "annotations": None}[what]
    assert (found["what"], found["format"], found["filters"], found["created_by"]) == (what, format, {}, "admin")
    assert [column["name"] for column in found["schema"]][:2] == {
        "resources": ["id", "project"],
        "responses": ["respondent", "created_at"],
        "annotations": ["resource_id", "resource_name"],
    }[what]


def test_content_in_parts(admin: httpx.Client, filled: str) -> None:
    address = store(admin, filled)
    found = done(admin, address)
    whole = admin.get(f"{address}/content")
    size, tag = found["bytes"], f'"{found["sha256"]}"'
    assert whole.headers["etag"] == tag
    assert whole.headers["content-length"] == str(size)
    assert whole.headers["repr-digest"] == f"sha-256=:{base64.b64encode(bytes.fromhex(found['sha256'])).decode()}:"
    assert whole.headers["content-disposition"] == f'attachment; filename="{filled}-resources-{day_of(found)}.csv"'
    assert "sandbox" in whole.headers["content-security-policy"]
    for asked, start, end in (
        ("0-9", 0, 10), ("5-5", 5, 6), ("10-", 10, size), ("-7", size - 7, size), (f"0-{size * 9}", 0, size), (f"-{size * 9}", 0, size),
    ):  # fmt: skip
        part = admin.get(f"{address}/content", headers={"range": f"bytes={asked}", "if-range": tag})
        assert part.status_code == 206, asked
        assert part.content == whole.content[start:end]
        assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{size}"
    for headers in (
        {"range": "bytes=0-9", "if-range": '"another"'},
        {"range": "bytes=0-9", "if-range": f"W/{tag}"},
        {"range": "bytes=9-0"},
        {"range": "bytes=0-1,3-4"},
        {"range": "lines=0-1"},
        {"range": "bytes=-"},
    ):
        answer = admin.get(f"{address}/content", headers=headers)
        assert (answer.status_code, answer.content) == (200, whole.content), headers
    for asked in (f"{size}-", f"{size}-{size + 1}", "-0"):
        refused = admin.get(f"{address}/content", headers={"range": f"bytes={asked}"})
        problem(refused, 416, "range-not-satisfiable")
        assert refused.headers["content-range"] == f"bytes */{size}"
    assert admin.get(f"{address}/content", headers={"if-none-match": tag}).status_code == 304
    head = admin.head(f"{address}/content")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(size))
    head = admin.head(f"{address}/content", headers={"range": "bytes=0-9"})
    assert (head.status_code, head.headers["content-length"]) == (200, str(size))  # ranges are for GET (RFC 9110, section 14.2)


@pytest.mark.parametrize("what", ["resources", "responses", "annotations"])
@pytest.mark.parametrize(("format", "raw"), [("csv", False), ("csv", True), ("json", False), ("ndjson", False)])
def test_frictionless_takes_the_package(admin: httpx.Client, filled: str, tmp_path: Path, what: str, format: str, *, raw: bool) -> None:
    address = store(admin, filled, what, format, **({"raw": True} if raw else {}))
    found = done(admin, address)
    told = admin.get(f"{address}/datapackage.json")
    (resource,) = told.json()["resources"]
    (tmp_path / "datapackage.json").write_bytes(told.content)
    (tmp_path / resource["path"]).write_bytes(admin.get(f"{address}/content").content)
    assert (resource["bytes"], resource["hash"]) == (found["bytes"], f"sha256:{found['sha256']}")
    if format == "json":  # which frictionless reads without counting or hashing its bytes, and then finds them wrong
        package = told.json()
        package["resources"][0] = {name: value for name, value in resource.items() if name not in ("bytes", "hash")}
        (tmp_path / "datapackage.json").write_text(json.dumps(package))
    with system.use_context(trusted=True):
        report = Package(str(tmp_path / "datapackage.json")).validate()
    assert report.valid, report.flatten(["rowNumber", "fieldName", "type", "message"])
    assert report.tasks[0].stats["rows"] == found["rows"]
    broken = b"," + (tmp_path / resource["path"]).read_bytes()
    (tmp_path / resource["path"]).write_bytes(broken)
    with system.use_context(trusted=True):
        assert not Package(str(tmp_path / "datapackage.json")).validate().valid


def test_what_is_not_done_has_no_content(big: Big) -> None:
    big.ask("UPDATE exports SET status = 'failed', content = NULL WHERE status <> 'done'")
    with client(big.service.url, token_of(log_in(big.service.url, "admin", ADMIN_PASSWORD))) as admin:
        address = store(admin, "dark-data", search="trust")
        done(admin, address)
        big.ask("UPDATE exports SET status = 'failed', content = NULL WHERE id = $1::uuid", address.rpartition("/")[2])
        for path in ("content", "datapackage.json"):
            problem(admin.get(f"{address}/{path}"), 409, "export-not-done")
        found = admin.get(address).json()
        assert (found["status"], found["rows"], found["schema"]) == ("failed", None, None)


def test_who_may_ask_for_exports(people: People, admin: httpx.Client, filled: str) -> None:
    address = store(people.annotator, filled)
    done(people.annotator, address)
    list_address = f"/admin/{filled}/exports"
    body = {"what": "resources", "format": "csv"}
    for path in (list_address, address, f"{address}/content", f"{address}/datapackage.json"):
        problem(people.anonymous.get(path), 401)
        problem(people.member.get(path), 403)
        assert people.annotator.get(path).status_code == people.admin.get(path).status_code == 200
        problem(people.admin.get(path.replace(filled, "unknown-story")), 404)
    problem(people.anonymous.post(list_address, json=body), 401)
    problem(people.member.post(list_address, json=body), 403)
    problem(people.admin.post("/admin/unknown-story/exports", json=body), 404)
    other = make_project(admin)
    problem(admin.get(address.replace(filled, other)), 404)
    problem(admin.post(f"/admin/{other}/exports", json=body | {"what": "responses"}), 404)


def test_a_stored_export_is_deleted_by_who_asked_for_it_or_an_admin(people: People, admin: httpx.Client, filled: str) -> None:
    mine, hers, another = [store(reader, filled) for reader in (people.annotator, admin, people.annotator)]
    done(admin, mine)
    problem(people.anonymous.delete(mine), 401)
    problem(people.member.delete(mine), 403, "not-allowed")
    problem(people.annotator.delete(hers), 403, "not-the-owner")
    problem(admin.delete(mine.replace(filled, "unknown-story")), 404)
    problem(admin.delete(mine, headers={"if-match": '"1"'}), 412, "stale-version")
    tag = admin.get(mine).headers["etag"]
    assert people.annotator.delete(mine, headers={"if-match": tag}).status_code == 204
    for address in (mine, f"{mine}/content", f"{mine}/datapackage.json"):
        problem(admin.get(address), 404)
    problem(admin.delete(mine), 404)
    assert admin.delete(another).status_code == admin.delete(hers).status_code == 204
    assert admin.get(f"/admin/{filled}/exports").json() == []


def test_one_person_has_twenty_stored_exports_at_most(people: People, filled: str) -> None:
    addresses = [store(people.annotator, filled) for _ in range(20)]
    body = {"what": "resources", "format": "csv"}
    problem(people.annotator.post(f"/admin/{filled}/exports", json=body), 409, "quota-exceeded")
    store(people.admin, filled)
    assert people.annotator.delete(addresses[0]).status_code == 204
    store(people.annotator, filled)
    problem(people.annotator.post(f"/admin/{filled}/exports", json=body), 409, "quota-exceeded")


def test_stored_responses_are_for_admins(people: People, admin: httpx.Client, filled: str) -> None:
    problem(people.annotator.post(f"/admin/{filled}/exports", json={"what": "responses", "format": "csv"}), 403, "not-allowed")
    address = store(admin, filled, "responses")
    done(admin, address)
    for path in (address, f"{address}/content", f"{address}/datapackage.json"):
        problem(people.annotator.get(path), 403, "not-allowed")
    assert people.annotator.get(f"/admin/{filled}/exports").json() == []


def test_stored_annotations_are_for_those_whom_nothing_is_hidden_from(people: People, admin: httpx.Client, filled: str) -> None:
    list_address, body = f"/admin/{filled}/exports", {"what": "annotations", "format": "json"}
    problem(people.annotator.post(list_address, json=body), 403, "not-allowed")
    address, open_to_all = store(admin, filled, "annotations", "json"), store(admin, filled)
    done(admin, address)
    for path in (address, f"{address}/content", f"{address}/datapackage.json"):
        problem(people.annotator.get(path), 403, "not-allowed")
    for reader, seen in ((people.annotator, [open_to_all]), (admin, [address, open_to_all])):
        assert [f"{list_address}/{each['id']}" for each in reader.get(list_address, params={"limit": 5}).json()] == seen
    rows = admin.get(f"{address}/content").json()
    assert [(row["label_set"], row["value"]) for row in rows] == [("sign", "-1"), ("sign", "+1")]
    assert not {row["annotator"] for row in rows} & {"admin"}
    problem(admin.post(list_address, json=body | {"filters": {"names": True}}), 422)


def test_bad_questions_are_refused(admin: httpx.Client, filled: str) -> None:
    good = {"what": "resources", "format": "csv"}
    for bad, pointer in (
        ({"what": "files"}, "/what"),
        ({"format": "xls"}, "/format"),
        ({"filters": {"status": "odd"}}, "/filters/status"),
        ({"filters": {"version": 1}}, "/filters/version"),
        ({"filters": {"colour": "red"}}, "/filters"),
        ({"filters": {"search": "x" * 201}}, "/filters/search"),
        ({"what": "responses", "filters": {"search": "x"}}, "/filters/search"),
        ({"what": "annotations", "filters": {"version": 1}}, "/filters/version"),
        ({"what": "responses", "filters": {"version": 2}}, "/filters/version"),
        ({"what": "responses", "filters": {"version": "1"}}, "/filters/version"),
        ({"filters": None}, "/filters"),
    ):
        told = problem(admin.post(f"/admin/{filled}/exports", json=good | bad), 422)
        assert [fault["pointer"] for fault in told["errors"]] == [pointer], bad
    assert admin.get(f"/admin/{filled}/exports").json() == []


def test_filters_hold_in_stored_exports(admin: httpx.Client, filled: str) -> None:
    found = done(admin, store(admin, filled, search="EMOJI", status="pending", raw=True))
    assert (found["rows"], found["filters"]) == (1, {"search": "EMOJI", "status": "pending", "raw": True})
    found = done(admin, store(admin, filled, "responses", "ndjson", version=1))
    assert (found["rows"], found["survey_version"]) == (3, 1)


def test_asked_for_again_under_the_same_key_it_is_one_export(admin: httpx.Client, filled: str) -> None:
    body, key = {"what": "resources", "format": "csv"}, {"idempotency-key": unique("key")}
    first, again = [admin.post(f"/admin/{filled}/exports", json=body, headers=key) for _ in range(2)]
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.content == first.content
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotency-replayed"] == "true"
    problem(admin.post(f"/admin/{filled}/exports", json=body | {"format": "json"}, headers=key), 422)
    assert len(admin.get(f"/admin/{filled}/exports").json()) == 1


def test_exports_are_listed_page_by_page(admin: httpx.Client, project: str) -> None:
    asked = [store(admin, project) for _ in range(5)]
    assert [f"/admin/{project}/exports/{each['id']}" for each in walk(admin, f"/admin/{project}/exports?limit=2")] == asked


# --- the command line --------------------------------------------------------------------------------------------------------


def command(service: Service, *arguments: str) -> Any:
    return run(*arguments, folder=service.folder, **({"DATABASE_URL": url} if (url := service.database_url) else {}))


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("what", "option", "path", "rows"),
    [
        ("resources", ["--search", "emoji"], "{}/export?search=emoji&", 1),
        ("responses", ["--version", "1"], "admin/{}/survey/responses/export?version=1&", 3),
        ("annotations", ["--names"], "admin/{}/annotations/export?names=true&", 2),
    ],
)
def test_the_command_writes_the_same_bytes(
    service: Service, admin: httpx.Client, filled: str, tmp_path: Path, what: str, option: list[str], path: str, rows: int, format: str
) -> None:
    target = tmp_path / "file"
    made = command(service, "export", filled, "--what", what, *option, "--format", format, "-o", str(target), "--json")
    assert (made.returncode, made.stderr) == (0, "")
    direct = admin.get(f"/{path.format(filled)}format={format}").content
    content = target.read_bytes()
    if format == "parquet":
        assert pq.read_table(target) == pq.read_table(io.BytesIO(direct))
    else:
        assert content == direct
    assert json.loads(made.stdout) == {"rows": rows, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(("what", "path", "rows"), [("responses", "survey/responses", 3), ("annotations", "annotations", 2)])
def test_the_command_writes_to_a_pipe(service: Service, admin: httpx.Client, filled: str, what: str, path: str, rows: int) -> None:
    made = command(service, "export", filled, "--what", what, "--format", "ndjson")
    assert made.returncode == 0
    assert made.stdout.encode() == admin.get(f"/admin/{filled}/{path}/export?format=ndjson").content
    assert made.stderr.startswith(f"{rows} rows, ")


def test_the_command_leaves_what_was_there_when_it_fails(service: Service, filled: str, tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("as it was")
    for arguments, status in (
        (["unknown-story"], 1),
        ([filled, "--what", "responses", "--version", "9"], 2),
        ([filled, "--what", "responses", "--search", "x"], 2),
        ([filled, "--version", "1"], 2),
        ([filled, "--what", "annotations", "--search", "x"], 2),
        ([filled, "--names"], 2),
        ([filled, "--format", "xls"], 2),
    ):
        made = command(service, "export", *arguments, "-o", str(target))
        assert made.returncode == status, made.stderr
        assert made.stderr
        assert (target.read_text(), [path.name for path in tmp_path.iterdir()]) == ("as it was", ["file"])
    assert command(service, "export", filled, "-o", str(tmp_path / "no" / "file")).returncode == 1


def test_retention_lets_go_of_old_exports_and_their_bytes(tmp_path: Path) -> None:
    with serving("--demo", ADMIN_PASSWORD=ADMIN_PASSWORD, RATE_LIMITS="off") as running:
        with client(running.url, token_of(log_in(running.url, "admin", ADMIN_PASSWORD))) as admin:
            address = store(admin, "dark-data")
            done(admin, address)
            (stored,) = (running.folder / "files" / "exports").iterdir()
            stray = stored.with_name("019aa000-0000-7000-8000-000000000001")
            stray.write_bytes(b"left by a crash")
            kept = run("retention", "--older-than-days", "1", "--apply", "--json", folder=running.folder)
            assert json.loads(kept.stdout)["exports"] == 0
            assert (stored.exists(), stray.exists()) == (True, False)
            assert admin.get(f"{address}/content").status_code == 200


def test_a_flipped_byte_is_found(server: str) -> None:
    url = outside(lambda: make_database(server))
    with serving(ADMIN_PASSWORD=ADMIN_PASSWORD, RATE_LIMITS="off", DATABASE_URL=url) as running:
        with client(running.url, token_of(log_in(running.url, "admin", ADMIN_PASSWORD))) as admin:
            project = make_project(admin)
            addresses = [store(admin, project, format=format) for format in ("csv", "json")]
            size = sum(done(admin, address)["bytes"] for address in addresses)
            filename = f"{project}-resources-{day_of(admin.get(addresses[0]).json())}.csv"

        def verified(*options: str) -> tuple[int, str]:
            told = run("verify-files", *options, folder=running.folder, DATABASE_URL=url)
            assert told.stdout, told.stderr
            return told.returncode, told.stdout

        assert json.loads(verified("--json")[1]) == {"files": 0, "exports": 2, "bytes": size, "findings": []}
        contents = {path.read_bytes()[:3]: path for path in (running.folder / "files" / "exports").iterdir()}
        damaged, whole = contents[b"id,"], contents[b"id,"].read_bytes()
        damaged.write_bytes(whole[:5] + bytes([whole[5] ^ 1]) + whole[6:])
        status, told = verified("--json")
        export, content = addresses[0].rpartition("/")[2], f"exports/{damaged.name}"
        finding = {"fault": "damaged", "content": content, "project": project, "filename": filename, "export": export}
        assert (status, json.loads(told)["findings"]) == (1, [finding])
        status, told = verified()
        assert (status, told.splitlines()) == (
            1,
            [f"damaged   {content}  {project}  {filename}  export {export}", f"0 files, 2 exports, {size} bytes: 1 wrong."],
        )

        async def make_due() -> None:
            async with connected(url) as connection:
                await connection.execute("UPDATE exports SET verified_at = verified_at - interval '2 days'")

        outside(make_due)
        until(lambda: "content of an export is not what was made" in running.out + running.err, "the service finds it")
    outside(lambda: drop_database(url, server=server))


def test_columns_are_told_with_their_types() -> None:
    assert Column(name="a", type=ColumnType.TIME).schema_type == "datetime"
