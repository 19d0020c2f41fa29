"""The audit fails on a weakness, passes on an excepted one, and says so when there is nobody to ask."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.supply.audit import ROOT, audit, exceptions, judge

PINNED = f"idna==3.6 --hash=sha256:{'0' * 64}\nsniffio==1.3.1 --hash=sha256:{'1' * 64}\n"
REASON = "the function that is weak is never called"


def package(name: str, *ids: str, aliases: list[str] | None = None) -> dict[str, Any]:
    return {"name": name, "version": "1.0", "vulns": [{"id": one, "aliases": aliases or [], "fix_versions": ["1.1"]} for one in ids]}


def unknown(name: str) -> dict[str, Any]:
    return {"name": name, "skip_reason": f"Dependency not found on PyPI and could not be audited: {name} (1.0)"}


def report(*packages: dict[str, Any]) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.txt"
    path.write_text(PINNED)
    return path


@contextmanager
def database(weak: str | None, *, status: int = 200) -> Iterator[str]:
    """The address of a database that knows one weakness, of the package `weak`; or answers every question with this status."""

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))["package"]["name"]
            affected = [{"package": {"name": asked, "ecosystem": "PyPI"}, "ranges": [], "versions": ["3.6"]}]
            known = {"id": "GHSA-aaaa-bbbb-cccc", "aliases": ["CVE-2026-0001"], "affected": affected}
            body = json.dumps({"vulns": [known]} if asked == weak else {}).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_without_a_weakness_it_passes() -> None:
    verdict = judge(report(package("a"), package("b")), {})
    assert verdict.passes
    assert verdict.lines == ["2 packages looked up: 0 weaknesses, 0 excepted"]


def test_a_weakness_fails_and_is_told_with_its_remedy() -> None:
    verdict = judge(report(package("a"), package("b", "GHSA-1", aliases=["CVE-1"])), {})
    assert not verdict.passes
    assert verdict.lines[0] == "WEAK  b 1.0: GHSA-1 (CVE-1), fixed in 1.1"


@pytest.mark.parametrize("name", ["GHSA-1", "CVE-1"])
def test_an_excepted_weakness_passes_under_any_of_its_names(name: str) -> None:
    verdict = judge(report(package("b", "GHSA-1", aliases=["CVE-1"])), {name: REASON})
    assert verdict.passes
    assert verdict.lines == ["1 packages looked up: 0 weaknesses, 1 excepted"]


def test_an_exception_covers_no_other_weakness() -> None:
    assert not judge(report(package("b", "GHSA-1", "GHSA-2")), {"GHSA-1": REASON}).passes


def test_an_exception_that_is_no_longer_needed_is_told() -> None:
    verdict = judge(report(package("a")), {"GHSA-1": REASON})
    assert verdict.passes
    assert verdict.lines[0] == "no longer needed, take it out of pyproject.toml: GHSA-1"


@pytest.mark.parametrize("said", [None, report(unknown("a"), unknown("b"))])
def test_without_its_database_it_passes_and_says_so_in_one_line(said: str | None) -> None:
    verdict = judge(said, {"GHSA-1": REASON})
    assert verdict.passes
    assert verdict.lines == ["weaknesses not looked up: the database of pip-audit cannot be reached from here"]


def test_a_package_that_the_database_does_not_know_is_told_and_hides_no_other() -> None:
    verdict = judge(report(unknown("a"), package("b", "GHSA-1")), {"GHSA-2": REASON})
    assert not verdict.passes
    assert verdict.lines[1:] == [
        "not looked up, since the database does not know them: a",
        "1 packages looked up: 1 weaknesses, 0 excepted",
    ]


def test_a_weakness_in_a_database_is_found_by_the_real_auditor(requirements: Path) -> None:
    with database("idna") as address:
        said = audit(requirements, "--vulnerability-service", "osv", "--osv-url", address)
    assert not judge(said, {}).passes
    assert judge(said, {}).lines[0].startswith("WEAK  idna 3.6: ")
    assert judge(said, {"CVE-2026-0001": REASON}).passes


@pytest.mark.parametrize("status", [403, 503])
def test_a_database_that_refuses_counts_as_away(requirements: Path, status: int) -> None:
    with database("idna", status=status) as address:
        assert audit(requirements, "--vulnerability-service", "osv", "--osv-url", address) is None


def test_a_database_where_nobody_answers_counts_as_away(requirements: Path) -> None:
    assert audit(requirements, "--vulnerability-service", "osv", "--osv-url", "http://127.0.0.1:1/") is None


def test_requirements_without_hashes_are_a_fault_whether_the_database_answers_or_not(requirements: Path) -> None:
    requirements.write_text("idna==3.6\n")
    with pytest.raises(ValueError, match="does not contain a hash"):
        audit(requirements, "--vulnerability-service", "osv", "--osv-url", "http://127.0.0.1:1/")


@pytest.mark.parametrize("reason", ['""', '"known"', "true"])
def test_an_exception_needs_a_reason(reason: str) -> None:
    with pytest.raises(ValueError, match="without a reason"):
        exceptions(f'[tool.audit.exceptions]\n"GHSA-1" = {reason}\n')


def test_every_exception_of_ours_has_a_reason() -> None:
    assert exceptions((ROOT / "pyproject.toml").read_text())
