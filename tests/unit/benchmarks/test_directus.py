"""The comparison with Directus, as far as it needs none."""

import json
from argparse import Namespace
from itertools import islice
from pathlib import Path
from random import Random
from urllib.parse import parse_qs, urlsplit

import pytest
from benchmarks import directus
from benchmarks.__main__ import PROGRAMS, _compared
from benchmarks.agreement import _ids
from benchmarks.load import Result
from benchmarks.plot import plot_hot_paths
from benchmarks.report import Measured, markdown, rows
from benchmarks.workloads import STATUSES, WORKLOADS, Project, Request, Target

TARGET = Target(
    small=Project(slug="small", first_id=5, last_id=1004),
    large=Project(slug="large", first_id=1005, last_id=101_004),
    access_token="ours",
    directus_token="theirs",
)
COMPARED = [name for name, workload in WORKLOADS.items() if any(rival.program == "directus" for rival in workload.rivals)]


def asked(name: str, program: str) -> list[Request]:
    return list(islice(WORKLOADS[name].asked_of(program)(TARGET, Random(7)), 50))


def address(request: Request) -> str:
    return request.raw.split()[1].decode()


def result(per_second: float) -> Result:
    return Result(requests=1, per_second=per_second, cpu_us=1, load_us=1, p50_ms=1, p99_ms=2, errors=0, first_error=None)


def document(version: str | None) -> dict[str, object]:
    """A round of one resource, a thousand times a second, and fifty of Directus where it is there."""
    theirs = {"directus": (result(50),)} if version else {}
    measured = Measured(workload=WORKLOADS["read-one"], service=(result(1000),), rivals={"bare": (result(2000),), **theirs})
    return {
        "measured_at": "2026-11-30",
        "machine": {"cores": 2},
        "settings": {"rounds": 1},
        "directus": version,
        "workloads": [measured.document()],
    }


def test_it_is_compared_where_it_does_the_same() -> None:
    assert COMPARED == ["read-one", "list", "deep-page", "edit"]


@pytest.mark.parametrize("name", COMPARED)
def test_it_alone_has_addresses_of_its_own(name: str) -> None:
    assert all(address(request).startswith("/items/resources") for request in asked(name, "directus"))
    assert asked(name, "naive") == asked(name, "bare") == asked(name, "service")


@pytest.mark.parametrize("name", ["read-one", "edit"])
def test_it_is_asked_for_the_same_resource(name: str) -> None:
    ours, theirs = (
        [urlsplit(address(each)).path.rpartition("/")[2] for each in asked(name, program)] for program in ("service", "directus")
    )
    assert ours == theirs


def test_it_is_asked_for_the_same_list() -> None:
    theirs = [parse_qs(urlsplit(address(each)).query) for each in asked("list", "directus")]
    ours = [parse_qs(urlsplit(address(each)).query) for each in asked("list", "service")]
    assert [each["filter[status][_eq]"] for each in theirs] == [each["status"] for each in ours]
    assert {each["filter[status][_eq]"][0] for each in theirs} == set(STATUSES)
    assert all(each["filter[project_id][slug][_eq]"] == ["small"] and each["limit"] == ["100"] for each in theirs)


def test_it_skips_nine_tenths_of_the_large_project_for_the_deep_page() -> None:
    skipped = [int(parse_qs(urlsplit(address(each)).query)["offset"][0]) for each in asked("deep-page", "directus")]
    assert all(89_000 < each < 91_000 for each in skipped)
    assert len(set(skipped)) > 1


def test_only_an_edit_is_signed_in_and_by_its_own_token() -> None:
    assert all(b"Authorization: Bearer theirs\r\n" in each.raw for each in asked("edit", "directus"))
    assert not any(b"Authorization" in each.raw for name in COMPARED if name != "edit" for each in asked(name, "directus"))


def test_ids_are_compared_however_they_are_written() -> None:
    assert _ids([{"id": 1}, {"id": 2}]) == _ids({"data": [{"id": "1"}, {"id": "2"}]})
    assert _ids({"id": 1}) == _ids({"data": {"id": "1"}}) != _ids({"data": {"id": "2"}})


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("postgresql+asyncpg://me:word@/base?host=%2Fplace%2Fpostgres", "/place/postgres", "5432"),
        ("postgresql+asyncpg://me:word@elsewhere:5433/base", "elsewhere", "5433"),
    ],
)
def test_it_finds_the_database(url: str, host: str, port: str) -> None:
    found = directus.environment(url, token="theirs", port=1)
    names = ("DB_HOST", "DB_PORT", "DB_DATABASE", "DB_USER", "DB_PASSWORD", "DB_SEARCH_PATH")
    assert [found[name] for name in names] == [host, port, "base", "me", "word", directus.SCHEMA]


def test_it_listens_to_this_machine_alone_tells_nobody_and_has_secrets_of_this_run() -> None:
    one, other = (directus.environment("postgresql+asyncpg://me:word@elsewhere/base", token="theirs", port=1) for _ in range(2))
    assert (one["HOST"], one["TELEMETRY"]) == ("127.0.0.1", "false")
    assert {name for name in one if one[name] != other[name]} == {"SECRET", "ADMIN_PASSWORD"}


def test_it_is_there_with_a_node_to_run_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directus, "FOLDER", tmp_path)
    assert directus.version() is None
    (tmp_path / "directus").mkdir()
    (tmp_path / "directus" / "package.json").write_text('{"version": "11.17.4"}')
    assert directus.version() is None
    (tmp_path / ".bin").mkdir()
    (tmp_path / ".bin" / "node").touch()
    assert directus.version() == "11.17.4"


def test_what_is_installed_is_pinned() -> None:
    wanted = json.loads((Path(directus.__file__).parent / "directus.json").read_text())
    versions = [version for of in ("dependencies", "optionalDependencies", "overrides") for version in wanted[of].values()]
    assert all(version.replace(".", "").isdigit() for version in versions)


def test_the_table_and_the_page_tell_what_was_measured(tmp_path: Path) -> None:
    measured = document("11.17.4")
    head, line = rows(measured)
    assert dict(zip(head, line, strict=True))["times Directus"] == "20.00"  # and nothing that it needs
    assert "Directus 11.17.4, which people pick instead" in markdown(measured)
    plot_hot_paths(measured, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 0


def test_the_table_and_the_page_tell_that_it_was_left_out() -> None:
    left_out = document(None)
    head, line = rows(left_out)
    assert dict(zip(head, line, strict=True))["times Directus"] == "–"
    assert "Directus is left out: it was not installed (`make setup-directus`" in markdown(left_out)


def test_where_it_is_not_installed_one_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(directus, "FOLDER", tmp_path)
    assert _compared(Namespace(programs=PROGRAMS, only=["read-one"])) == ["bare", "naive"]
    assert capsys.readouterr().err == "Directus is not installed (make setup-directus): it is left out.\n"


def test_only_what_a_workload_is_compared_with_is_started(capsys: pytest.CaptureFixture[str]) -> None:
    assert _compared(Namespace(programs=PROGRAMS, only=["results"])) == ["naive"]
    assert _compared(Namespace(programs=["bare"], only=["read-one"])) == ["bare"]
    assert capsys.readouterr().err == ""
