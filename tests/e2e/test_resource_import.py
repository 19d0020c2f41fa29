"""Tables of resources over HTTP and at the command line."""

import io
import json
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.bombs import hidden_dictionary, one_large_page
from tests.e2e.client import (
    ADMIN_PASSWORD,
    Service,
    at_once,
    client,
    data_folder,
    log_in,
    make_project,
    make_resource,
    run,
    serving,
    token_of,
    unique,
    until,
    walk,
)
from tests.e2e.client import problem as problem_of

CSV, NDJSON, PARQUET = "text/csv", "application/x-ndjson", "application/vnd.apache.parquet"
HEADER = "name,description,status,attributes\n"


def send(
    person: httpx.Client,
    project: str,
    table: str | bytes,
    media_type: str | None = CSV,
    headers: dict[str, str] | None = None,
    **query: Any,
) -> httpx.Response:
    typed = {} if media_type is None else {"content-type": media_type}
    return person.post(f"/admin/{project}/resources/import", content=table, headers=typed | (headers or {}), params=query, timeout=60)


def refused(response: httpx.Response) -> tuple[list[tuple[int, str, str]], int]:
    """The faults of a table by row, field and code, and how many rows are at fault."""
    assert response.status_code == 422, response.text
    told = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert told["code"] == "invalid-rows"
    assert told["type"] == "/problems/invalid-rows"
    for fault in told["errors"]:
        assert set(fault) == {"row", "field", "code", "detail"}
    return [(fault["row"], fault["field"], fault["code"]) for fault in told["errors"]], told["rows_failed"]


def counts(response: httpx.Response) -> tuple[int, int, int, int, int]:
    assert response.status_code == 200, response.text
    told = response.json()
    assert set(told) == {"mode", "dry_run", "rows", "inserted", "updated", "deleted", "unchanged", "plan"}
    return told["rows"], told["inserted"], told["updated"], told["deleted"], told["unchanged"]


def living(person: httpx.Client, project: str) -> list[tuple[str, str | None, str, dict[str, Any]]]:
    found = walk(person, f"/{project}/resources?limit=1000")
    return [(each["name"], each["description"], each["status"], each["attributes"]) for each in found]


def parquet(rows: list[dict[str, Any]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


def test_a_table_of_each_format_comes_to_the_same(admin: httpx.Client) -> None:
    rows: list[dict[str, Any]] = [
        {
            "name": "Trust circles",
            "description": 'Who "trusts"\nwhom',
            "status": "pending",
            "attributes": {"year": 2024, "tags": ["ä", None]},
        },
        {"name": "b", "description": "", "status": "active", "attributes": {}},
        {"name": "c", "description": None, "status": "active", "attributes": {}},
    ]
    table = HEADER + (
        'Trust circles,"Who ""trusts""\nwhom",pending,"{""year"": 2024, ""tags"": [""ä"", null]}"\r\n' + 'b,"",active,{}\r\nc,,,\r\n'
    )
    spelled = [row | {"attributes": json.dumps(row["attributes"])} for row in rows]
    tables: dict[str, bytes] = {
        CSV: table.encode(),
        NDJSON: b"\n".join(json.dumps(row).encode() for row in rows),
        PARQUET: parquet(spelled),
    }
    for media_type, content in tables.items():
        project = make_project(admin)
        done = send(admin, project, content, media_type, mode="insert")
        assert counts(done) == (3, 3, 0, 0, 0)
        assert (done.json()["mode"], done.json()["dry_run"], done.headers["cache-control"]) == ("insert", False, "no-store")
        assert living(admin, project) == [tuple(row.values()) for row in rows]
        assert {each["created_by"] for each in walk(admin, f"/{project}/resources")} == {"admin"}
        for other in tables.values():
            if other is content:
                assert counts(send(admin, project, other, media_type, mode="replace")) == (3, 0, 0, 0, 3)


def test_a_plan_does_what_the_dry_run_said_or_nothing(admin: httpx.Client, project: str) -> None:
    kept = make_resource(admin, project, name="kept")
    make_resource(admin, project, name="gone")
    table = "name,description\nKEPT,new\nmore,\n"
    planned = send(admin, project, table, mode="replace", dry_run="true")
    assert counts(planned) == (2, 1, 1, 1, 0)
    assert len(living(admin, project)) == 2
    admin.patch(f"/admin/{project}/resources/{kept['id']}", json={"status": "pending"})
    plan = planned.json()["plan"]
    assert problem_of(send(admin, project, table, mode="replace", plan=plan), 409)["code"] == "plan-outdated"
    plan = send(admin, project, table, mode="replace", dry_run="true").json()["plan"]
    assert counts(send(admin, project, table, mode="replace", plan=plan)) == (2, 1, 1, 1, 0)
    assert living(admin, project) == [("KEPT", "new", "pending", {}), ("more", None, "active", {})]
    changed = admin.get(f"/{project}/resources/{kept['id']}").json()
    assert (changed["version"], changed["created_at"]) == (3, kept["created_at"])
    assert changed["updated_at"]


@pytest.mark.parametrize(
    ("table", "faults", "failed"),
    [
        ("", [(0, "name", "missing-column")], 0),
        ("name,colour\na,b", [(0, "", "unknown-column")], 0),
        (HEADER + "a\nb,,,\n,,,\n", [(1, "", "bad-row"), (3, "name", "missing")], 2),
        (
            HEADER + f'a,{"x" * 10_001},lost,[1]\nA,\x00,,"{{"\n"",,,\n',
            [
                (1, "description", "too-long"),
                (1, "status", "bad-status"),
                (1, "attributes", "bad-type"),
                (2, "description", "control-character"),
                (2, "attributes", "bad-json"),
                (2, "name", "name-repeated"),
                (3, "name", "too-short"),
            ],
            3,
        ),
        (
            HEADER + 'a,,,"{""a"": 1, ""a"": 2}"\nb,,,"{""a"": 1e999}"\n',
            [(1, "attributes", "bad-json"), (2, "attributes", "number-out-of-range")],
            2,
        ),
        (
            HEADER + f'a,,,{"[" * 20}\nb,,,"{{""a"":{"[" * 17}{"]" * 17}}}"\n',
            [(1, "attributes", "bad-json"), (2, "attributes", "too-deep")],
            2,
        ),
    ],
)
def test_every_fault_is_told_and_nothing_is_stored(
    admin: httpx.Client, project: str, table: str, faults: list[tuple[int, str, str]], failed: int
) -> None:
    assert refused(send(admin, project, table, mode="upsert")) == (faults, failed)
    assert living(admin, project) == []


def test_names_that_live_are_faults_of_their_rows(admin: httpx.Client, project: str) -> None:
    make_resource(admin, project, name="Straße")
    assert refused(send(admin, project, "name\na\n STRASSE\nb", mode="insert")) == ([(2, "name", "name-taken")], 1)
    assert len(living(admin, project)) == 1


def test_the_first_thousand_faults_are_told(admin: httpx.Client, project: str) -> None:
    faults, failed = refused(send(admin, project, "name\n" + '""\n' * 1500, mode="insert"))
    assert (len(faults), faults[-1], failed) == (1000, (1000, "name", "too-short"), 1500)


@pytest.mark.parametrize(
    ("table", "media_type"),
    [(b'name\n"a', CSV), (b"name\n\xff", CSV), (b'{"name": "a"', NDJSON), (b'{"name": "a", "name": "b"}', NDJSON), (b"PAR1", PARQUET)],
)
def test_what_cannot_be_read_is_malformed(admin: httpx.Client, project: str, table: bytes, media_type: str) -> None:
    problem_of(send(admin, project, table, media_type, mode="insert"), 400, "unreadable-table")


@pytest.mark.parametrize("media_type", [None, "application/json", "text/csv; charset=latin-1", "multipart/form-data"])
def test_other_media_types_are_not_taken(admin: httpx.Client, project: str, media_type: str | None) -> None:
    assert CSV in problem_of(send(admin, project, "name\na", media_type, mode="insert"), 415)["detail"]


def test_another_media_type_is_told_before_bad_parameters_and_after_an_unknown_project(admin: httpx.Client, project: str) -> None:
    problem_of(send(admin, project, b"{}", "application/json", mode="merge"), 415, "unsupported-media-type")
    problem_of(send(admin, "no-such-project", b"{}", "application/json", mode="merge"), 404)


def test_a_compressed_table_is_not_taken_for_a_table(admin: httpx.Client, project: str) -> None:
    for coding, status in (("gzip", 415), ("x-gzip", 415), ("br", 415), ("identity", 200)):
        headers = {"content-type": CSV, "content-encoding": coding}
        told = admin.post(f"/admin/{project}/resources/import", content="name\na\n", headers=headers, params={"dry_run": "true"})
        assert told.status_code == status, coding


def test_bad_parameters_are_told_before_the_body_is_read(admin: httpx.Client, project: str) -> None:
    queries: list[dict[str, Any]] = [{"mode": "merge"}, {"mode": "insert", "dry_run": "1"}, {"mode": "insert", "colour": "x"}]
    for query in queries:
        problem_of(send(admin, project, b"\xff", **query), 422, "invalid")


def test_only_admins_import_and_into_what_is_there(people: Any, admin: httpx.Client, project: str) -> None:
    problem_of(send(people.anonymous, project, b"\xff"), 401)
    for person in (people.member, people.annotator):
        problem_of(send(person, project, b"\xff"), 403, "not-allowed")
    for media_type in (CSV, "text/plain"):
        problem_of(send(admin, "nowhere", b"\xff", media_type), 404)


def test_an_import_that_is_sent_again_is_done_once(admin: httpx.Client, project: str) -> None:
    key = {"idempotency-key": unique("import")}
    first = send(admin, project, "name\na", headers=key, mode="insert")
    again = send(admin, project, "name\na", headers=key, mode="insert")
    assert (again.status_code, again.content, again.headers["idempotency-replayed"]) == (200, first.content, "true")
    assert problem_of(send(admin, project, "name\nb", headers=key, mode="insert"), 422)["code"] == "idempotency-key-reused"
    assert problem_of(send(admin, project, "name\na", NDJSON, headers=key, mode="insert"), 422)["code"] == "idempotency-key-reused"
    assert len(living(admin, project)) == 1


def test_at_once_each_import_is_whole_or_told_to_wait(admin: httpx.Client, project: str) -> None:
    tables = ["name,description\n" + "".join(f"n{number},import {one}\n" for number in range(300)) for one in range(6)]
    answers = at_once(lambda one: send(admin, project, tables[one], mode="upsert"), 6)
    done = [answer for answer in answers if answer.status_code == 200]
    assert done
    for answer in answers:
        if answer.status_code != 200:
            problem_of(answer, 503, "unavailable")
            assert answer.headers["retry-after"]
    found = living(admin, project)
    assert len(found) == 300
    assert len({description for _, description, _, _ in found}) == 1


def test_a_table_is_bounded_and_a_killed_service_leaves_nothing_of_one() -> None:
    with data_folder() as folder, ThreadPoolExecutor(1) as threads:
        settings = {"ADMIN_PASSWORD": ADMIN_PASSWORD, "RATE_LIMITS": "off", "MAX_IMPORT_BYTES": "20000000"}
        with serving(folder=folder, **settings) as service:
            with client(service.url, token_of(log_in(service.url, "admin", ADMIN_PASSWORD))) as admin:
                project = make_project(admin)
                problem_of(send(admin, project, b"x" * 20_000_001), 413, "too-large")
                make_resource(admin, project, name="before")
                big = HEADER + "".join(f"name {number},some text,active,{{}}\n" for number in range(400_000))
                sent = threads.submit(lambda: send(admin, project, big, mode="replace"))
                until(lambda: _is_importing(service), "the import has begun")
                service.process.send_signal(signal.SIGKILL)
                service.process.wait(30)
                with suppress(httpx.HTTPError):
                    assert sent.result().status_code == 0, "the import was over too early for this test"
        with serving(folder=folder, **settings) as service, client(service.url) as anonymous:
            assert [name for name, *_ in living(anonymous, project)] == ["before"]
            with client(service.url, token_of(log_in(service.url, "admin", ADMIN_PASSWORD))) as admin:
                done = until(lambda: _unless_busy(send(admin, project, "name\nafter", mode="replace")), "the turn is free")
                assert done is not None
                assert counts(done)[1] == 1


@pytest.mark.parametrize("bomb", [one_large_page(80), hidden_dictionary(4000)], ids=["large page", "hidden dictionary"])
def test_a_small_table_that_unfolds_to_much_neither_fills_nor_holds_up_the_service(bomb: bytes) -> None:
    with serving(ADMIN_PASSWORD=ADMIN_PASSWORD, RATE_LIMITS="off") as service, ThreadPoolExecutor(1) as threads:
        person = client(service.url, token_of(log_in(service.url, "admin", ADMIN_PASSWORD)))
        project = make_project(person)
        counts(send(person, project, parquet([{"name": "a"}]), PARQUET))  # all that an import needs is there from here on
        before = _peak_bytes(service, anew=True)
        answered, sent = 0, threads.submit(send, person, project, bomb, PARQUET)
        while not sent.done():
            assert httpx.get(f"{service.url}/health/live", timeout=5).status_code == 200
            answered += not sent.done()
        assert answered > 0
        faults, _ = refused(sent.result())
        assert [(row, field) for row, field, _ in faults] == [(0, "")]
        assert _peak_bytes(service) - before < 32 * 2**20
        assert not _children(service)
        assert [name for name, *_ in living(person, project)] == ["a"]


def _peak_bytes(service: Service, *, anew: bool = False) -> int:
    """The most memory that the process of the service had so far, or from here on."""
    if anew:
        Path(f"/proc/{service.process.pid}/clear_refs").write_text("5")
    lines = Path(f"/proc/{service.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def _children(service: Service) -> list[str]:
    """The readers of Parquet that the service has."""
    pids = {pid for task in Path(f"/proc/{service.process.pid}/task").iterdir() for pid in (task / "children").read_text().split()}
    return [pid for pid in pids if b"parquet_worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def _is_importing(service: Service) -> bool:
    """Whether the service has a temporary file of some size open: the table that it was sent."""
    for link in Path(f"/proc/{service.process.pid}/fd").iterdir():
        with suppress(OSError):
            if "(deleted)" in str(link.readlink()) and link.stat().st_size > 5_000_000:
                return True
    return False


def _unless_busy(response: httpx.Response) -> httpx.Response | None:
    return None if response.status_code == 503 else response


def test_the_command_line_imports_files_and_pipes(service: Service, admin: httpx.Client, project: str) -> None:
    settings = {"DATABASE_URL": service.database_url} if service.database_url else {}

    def call(*arguments: str, given: str | None = None) -> tuple[int, str, str]:
        done = run("import", project, *arguments, folder=service.folder, given=given, **settings)
        return done.returncode, done.stdout, done.stderr

    file = service.folder / f"{unique('table')}.csv"
    file.write_text("name,description\na,one\nb,two\n")
    status, out, err = call(str(file), "--mode", "insert")
    assert (status, err) == (0, "")
    assert [line.split() for line in out.splitlines()[:5]] == [
        ["rows", "2"],
        ["inserted", "2"],
        ["updated", "0"],
        ["deleted", "0"],
        ["unchanged", "0"],
    ]
    status, out, _ = call("-", "--format", "ndjson", "--mode", "replace", "--dry-run", "--json", given='{"name": "b"}\n{"name": "c"}\n')
    planned = json.loads(out)
    assert (status, planned["inserted"], planned["deleted"], planned["unchanged"], planned["dry_run"]) == (0, 1, 1, 1, True)
    assert len(living(admin, project)) == 2
    make_resource(admin, project, name="c")
    status, _, err = call("-", "--format", "ndjson", "--mode", "replace", "--plan", planned["plan"], given='{"name": "b"}\n{"name": "c"}\n')
    assert (status, err.count("\n")) == (1, 1)
    status, out, err = call("-", "--format", "csv", given="name,status\nx,lost\na,\n")
    assert (status, out) == (1, "")
    assert [line.split(maxsplit=2)[:2] for line in err.splitlines()[:3]] == [["row", "field"], ["1", "status"], ["2", "name"]]
    assert call("-", given="name\n")[0] == 2
    assert call(str(file), "--as", "nobody-here")[0] == 2
    assert len(living(admin, project)) == 3
