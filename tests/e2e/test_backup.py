"""Back-ups brought back: everything is as it was, but for what readers had erased since, and nothing else."""

import asyncio
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.postgres.embedded import EmbeddedPostgres
from tests.e2e.client import ADMIN_PASSWORD, client, data_folder, log_in, make_project, run, serving, token_of, until
from tests.e2e.test_file import address_of, uploaded
from tests.e2e.test_survey import DEFINITION
from tests.pictures import pdf
from tests.postgres import connected

PEPPER = "5d0c3b7f1a9e4826" * 3
SETTINGS = {"ADMIN_PASSWORD": ADMIN_PASSWORD, "RATE_LIMITS": "off"}
ERASED, WITHDREW, BEGAN_ANEW, WENT_ON, LEFT_ALONE = (f"reader-number-{number}" for number in range(5))


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What a service was told, the back-ups that were made of it in the meantime, and where its store was left."""

    project: str
    tokens: dict[str, str]
    kept: dict[str, Any]
    deleted: dict[str, Any]
    folder: Path
    session: str

    @property
    def first(self) -> Path:
        return self.folder / "first"

    @property
    def second(self) -> Path:
        return self.folder / "second.tar"


def save(web: httpx.Client, project: str, who: str, field: str, value: object, *, token: str | None = None) -> httpx.Response:
    body = {"fingerprint": who, "field": field, "value": value, "respondent_token": token}
    answer = web.post(f"/{project}/survey/upsert", json=body)
    assert answer.status_code in (200, 201), answer.text
    return answer


def read(web: httpx.Client, project: str, token: str) -> httpx.Response:
    return web.get(f"/{project}/survey/response", headers={"x-respondent-token": token})


def consenting(web: httpx.Client, project: str, who: str) -> str:
    token: str = save(web, project, who, "consent", "accepted").json()["respondent_token"]
    save(web, project, who, "age", 42)
    return token


@pytest.fixture(scope="module")
def story() -> Iterator[Story]:
    with data_folder() as folder, serving(folder=folder, PEPPER=PEPPER, **SETTINGS) as service:
        session = token_of(log_in(service.url, "admin", ADMIN_PASSWORD))
        admin, web = client(service.url, session), client(service.url)
        project = make_project(admin)
        assert admin.put(f"/admin/{project}/survey", json=DEFINITION).status_code == 201
        kept, deleted = uploaded(admin, project), uploaded(admin, project, pdf(), name="b.pdf", kind="application/pdf")
        tokens = {who: consenting(web, project, who) for who in (ERASED, WITHDREW, BEGAN_ANEW, WENT_ON, LEFT_ALONE)}
        made = run("backup", str(folder / "first"), "--json", folder=folder, PEPPER=PEPPER, **SETTINGS)
        assert made.returncode == 0, made.stderr
        assert json.loads(made.stdout)["parts"] == 3
        for who in (ERASED, BEGAN_ANEW):
            headers = {"x-respondent-token": tokens[who]}
            assert web.delete(f"/{project}/survey/response", headers=headers).status_code == 204
        save(web, project, WITHDREW, "consent", "declined", token=tokens[WITHDREW])
        tokens[BEGAN_ANEW] = consenting(web, project, BEGAN_ANEW)
        save(web, project, WENT_ON, "age", 43)
        assert admin.delete(f"/admin/{project}/files/{deleted['id']}").status_code == 204
        made = run("backup", str(folder / "second.tar"), "--with-pepper", folder=folder, PEPPER=PEPPER, **SETTINGS)
        assert made.returncode == 0, made.stderr
        yield Story(project=project, tokens=tokens, kept=kept, deleted=deleted, folder=folder, session=session)


def restored(source: Path, folder: Path, **settings: str) -> dict[str, Any]:
    done = run("restore", str(source), "--json", folder=folder, **settings)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


async def _left_of_the_old_cluster(folder: Path) -> list[int]:
    """How many tokens to set a password, and changes of later transactions than any there was."""
    password = json.loads((folder / "secrets.json").read_text())["database_password"]
    async with connected(EmbeddedPostgres(folder / "postgres", password=password).url) as connection:
        return [await connection.fetchval(f"SELECT count(*) FROM {what}") for what in ("setup_tokens", "answer_changes WHERE xid <> '3'")]


def test_what_readers_erased_after_a_backup_stays_erased_after_its_restore(story: Story) -> None:
    with data_folder() as folder:
        shutil.copytree(story.folder / "files", folder / "files")
        told = restored(story.first, folder, PEPPER=PEPPER)
        assert (told["responses_erased"], told["files_deleted"]) == (3, 0)
        with serving(folder=folder, PEPPER=PEPPER, **SETTINGS) as service, client(service.url) as web:
            ages = {who: read(web, story.project, token).json().get("answers", {}).get("age") for who, token in story.tokens.items()}
            assert ages == {ERASED: None, WITHDREW: None, BEGAN_ANEW: None, WENT_ON: 42, LEFT_ALONE: 42}
            assert save(web, story.project, ERASED, "consent", "accepted").status_code == 201
            assert save(web, story.project, LEFT_ALONE, "age", 44).status_code == 200


def test_everything_else_is_as_it_was_and_nobody_is_signed_in(story: Story) -> None:
    with data_folder() as folder:
        restored(story.first, folder, PEPPER=PEPPER)
        with serving(folder=folder, PEPPER=PEPPER, **SETTINGS) as service, client(service.url) as web:
            for file in (story.kept, story.deleted):
                assert web.get(address_of(story.project, file)).status_code == 200
            assert client(service.url, story.session).get("/auth/me").status_code == 401
            admin = client(service.url, token_of(log_in(service.url, "admin", ADMIN_PASSWORD)))
            newest = [entry["action"] for entry in admin.get("/admin/audit").json()]
            assert "archive.restore" in newest
            assert read(web, story.project, story.tokens[ERASED]).json()["answers"]["age"] == 42  # nobody's journal was there
            assert asyncio.run(_left_of_the_old_cluster(folder)) == [0, 0]
            for command in (("audit", "verify"), ("verify-files",)):
                checked = run(*command, folder=folder, PEPPER=PEPPER, **SETTINGS)
                assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_backup_with_its_pepper_brings_back_readers_on_a_machine_that_has_nothing(story: Story) -> None:
    with data_folder() as folder:
        assert restored(story.second, folder)["responses_erased"] == 0
        with serving(folder=folder, **SETTINGS) as service, client(service.url) as web:
            assert read(web, story.project, story.tokens[BEGAN_ANEW]).json()["answers"]["age"] == 42
            assert read(web, story.project, story.tokens[WENT_ON]).json()["answers"]["age"] == 43
            assert read(web, story.project, story.tokens[WITHDREW]).json()["answers"] == {"consent": "declined"}
            assert read(web, story.project, story.tokens[ERASED]).status_code == 401
            assert save(web, story.project, LEFT_ALONE, "age", 44).status_code == 200
            assert web.get(address_of(story.project, story.deleted)).status_code == 404


def test_the_journal_tells_nothing_of_whose_responses_were_erased(story: Story) -> None:
    entries = [path.read_bytes() for path in (story.folder / "files" / "erasures").iterdir()]
    assert [len(entry) for entry in entries] == [40] * 3


@pytest.mark.parametrize("part", ["database.dump", "files"])
def test_a_backup_that_is_damaged_restores_nothing(story: Story, part: str, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(story.first, damaged)
    file = next(path for path in sorted(damaged.rglob("*")) if path.is_file() and str(path.relative_to(damaged)).startswith(part))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with data_folder() as folder:
        refused = run("restore", str(damaged), folder=folder, PEPPER=PEPPER)
        assert refused.returncode == 1
        assert "is not what was backed up: nothing was restored." in refused.stderr
        assert list(folder.iterdir()) == []


def test_what_is_cut_off_is_no_backup_and_what_is_there_is_not_written_over(story: Story, tmp_path: Path) -> None:
    cut_off = tmp_path / "cut-off"
    shutil.copytree(story.first, cut_off)
    (cut_off / "manifest.json").unlink()
    with data_folder() as folder:
        assert "it has no manifest" in run("restore", str(cut_off), folder=folder).stderr
        other = run("restore", str(story.first), folder=folder, PEPPER="f" * 40 + "0123456789abcdef")
        assert other.returncode == 1
        assert "another PEPPER" in other.stderr
        restored(story.first, folder, PEPPER=PEPPER)
        again = run("restore", str(story.first), folder=folder, PEPPER=PEPPER)
        assert again.returncode == 1
        assert "The database is not empty" in again.stderr
        existing = run("backup", str(story.first), folder=folder, PEPPER=PEPPER)
        assert existing.returncode == 1
        assert "is there already" in existing.stderr
        assert (story.first / "manifest.json").exists()


def test_a_backup_is_for_its_owner_alone(story: Story) -> None:
    for path in (story.first, story.second, *story.first.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path
    assert PEPPER not in (story.first / "manifest.json").read_text()


# --- results under noise -----------------------------------------------------------------------------------------------------

YES_OR_NO: dict[str, Any] = {
    "title": "Yes or no",
    "identity": "fingerprint",
    "results": {"public": True, "start": 20},
    "questions": [{"field": "yes", "type": "boolean"}],
}


def results_of(web: httpx.Client, project: str) -> dict[str, Any]:
    found: dict[str, Any] = web.get(f"/{project}/survey/results").json()
    return found


def say_yes(web: httpx.Client, project: str, people: range) -> None:
    for who in people:
        save(web, project, f"reader-number-{who}", "yes", value=True)


async def _spendings(folder: Path) -> list[tuple[int, int]]:
    """The number of each release in the ledger, and the responses that it was made at."""
    password = json.loads((folder / "secrets.json").read_text())["database_password"]
    async with connected(EmbeddedPostgres(folder / "postgres", password=password).url) as connection:
        rows = await connection.fetch("SELECT number, responses FROM results_spendings ORDER BY number")
    return [(row["number"], row["responses"]) for row in rows]


def test_a_backup_that_is_brought_back_cannot_spend_again_what_was_spent_after_it() -> None:
    with data_folder() as folder, data_folder() as another:
        with serving(folder=folder, PEPPER=PEPPER, **SETTINGS) as service, client(service.url) as web:
            admin = client(service.url, token_of(log_in(service.url, "admin", ADMIN_PASSWORD)))
            project = make_project(admin)
            assert admin.put(f"/admin/{project}/survey", json=YES_OR_NO).status_code == 201
            say_yes(web, project, range(20))
            first = until(lambda: (found := results_of(web, project))["n"] is not None and found, "the first release")
            made = run("backup", str(folder / "backup"), folder=folder, PEPPER=PEPPER, **SETTINGS)
            assert made.returncode == 0, made.stderr
            say_yes(web, project, range(20, 25))
            until(lambda: results_of(web, project)["responses"] == 25, "the second release")
        shutil.copytree(folder / "files", another / "files")
        restored(folder / "backup", another, PEPPER=PEPPER)
        with serving(folder=another, PEPPER=PEPPER, **SETTINGS) as service, client(service.url) as web:
            assert asyncio.run(_spendings(another)) == [(1, 20), (2, 25)]
            assert results_of(web, project) == first  # nobody waits
            say_yes(web, project, range(20, 32))
            until(lambda: results_of(web, project)["responses"] == 32, "the third release")
            assert asyncio.run(_spendings(another)) == [(1, 20), (2, 25), (3, 32)]
