"""What admins erase of responses, and where tests are seen, over a real socket."""

import secrets

import httpx
import pytest

from tests.e2e.client import pointers, problem

SURVEY = {"title": "A survey", "questions": [{"field": "age", "type": "integer"}]}


@pytest.fixture
def rows(admin: httpx.Client, project: str) -> str:
    """The address of the rows of a survey."""
    assert admin.put(f"/admin/{project}/survey", json=SURVEY).status_code == 201
    return f"/admin/{project}/survey/responses"


def answer(reader: httpx.Client, project: str, age: int, **more: object) -> str:
    token = secrets.token_urlsafe(32)
    saved = reader.post(f"/{project}/survey/upsert", json={"field": "age", "value": age, "respondent_token": token} | more)
    assert saved.status_code == 201, saved.text
    return token


def test_one_response_is_erased_by_its_pseudonym(
    anonymous: httpx.Client, admin: httpx.Client, annotator: httpx.Client, project: str, rows: str
) -> None:
    mine, other = answer(anonymous, project, 41), answer(anonymous, project, 42)
    found = {row["age"]: row["respondent"] for row in admin.get(rows).json()}
    problem(anonymous.delete(f"{rows}/{found[41]}"), 401)
    problem(annotator.delete(f"{rows}/{found[41]}"), 403, "not-allowed")
    for nobody in ("0" * 32, "x", found[41].upper() + "0", found[41][:-1]):
        problem(admin.delete(f"{rows}/{nobody}"), 404)
    assert admin.delete(f"{rows}/{found[41]}").status_code == 204
    problem(admin.delete(f"{rows}/{found[41]}"), 404)
    own = f"/{project}/survey/response"
    problem(anonymous.get(own, headers={"x-respondent-token": mine}), 401)
    assert anonymous.get(own, headers={"x-respondent-token": other}).json()["answers"] == {"age": 42}
    entry = admin.get("/admin/audit", params={"project": project, "action": "response.erase"}).json()[0]
    assert entry["changes"] == [{"field": "responses", "from": 1, "to": 0}]
    assert found[41] not in str(entry)


def test_tests_are_seen_where_they_are_asked_for_and_erased_together(
    anonymous: httpx.Client, admin: httpx.Client, project: str, rows: str
) -> None:
    answer(anonymous, project, 1)
    for age in (2, 3):
        answer(anonymous, project, age, test=True)
    for asked, seen in ((None, [1]), ("exclude", [1]), ("only", [2, 3]), ("include", [1, 2, 3])):
        query = {} if asked is None else {"test": asked}
        for address in (rows, f"{rows}/export"):
            assert [row["age"] for row in admin.get(address, params=query).json()] == seen
    assert pointers(admin.get(rows, params={"test": "yes"})) == {"/test"}
    for query in ({}, {"test": "include"}, {"test": "exclude"}):
        assert pointers(admin.delete(rows, params=query)) == {"/test"}
    assert admin.get(rows, params={"test": "include"}).json() != []
    assert admin.delete(rows, params={"test": "only"}).json() == {"erased": 2}
    assert admin.delete(rows, params={"test": "only"}).json() == {"erased": 0}
    assert [row["age"] for row in admin.get(rows, params={"test": "include"}).json()] == [1]
    problem(admin.delete(f"/admin/{project}-is-not-there/survey/responses", params={"test": "only"}), 404)
