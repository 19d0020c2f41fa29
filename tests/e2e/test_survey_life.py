"""A survey's life over HTTP: several answers at once, versions, closing, erasure, and what researchers take away."""

import csv
import hashlib
import io
import json
import secrets
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest

from tests.e2e.client import Service, at_once, next_address, problem, run, unique, until

CONSENT: dict[str, Any] = {
    "field": "consent",
    "type": "choice",
    "choices": [{"value": "accepted", "code": 1}, {"value": "declined", "code": 0}],
}
AGE: dict[str, Any] = {"field": "age", "type": "integer", "min": 0, "max": 130}
TRUST: dict[str, Any] = {"field": "trust", "type": "scale", "min": 1, "max": 7}
NOTE: dict[str, Any] = {"field": "note", "type": "text"}
GATE = {"field": "consent", "accept": "accepted"}


def publish(admin: httpx.Client, project: str, *questions: dict[str, Any], **rest: Any) -> httpx.Response:
    return admin.put(
        f"/admin/{project}/survey",
        json={"title": "Trust", "identity": "fingerprint", "questions": list(questions or (CONSENT, AGE, TRUST, NOTE))} | rest,
    )


def published(admin: httpx.Client, project: str, *questions: dict[str, Any], **rest: Any) -> dict[str, Any]:
    response = publish(admin, project, *questions, **rest)
    assert response.status_code in (200, 201), response.text
    survey: dict[str, Any] = response.json()
    return survey


def save(reader: httpx.Client, project: str, answers: dict[str, Any], **rest: Any) -> httpx.Response:
    """A save with the reader's token: one that goes with the fingerprint, unless another is given."""
    body = {"fingerprint": "reader-0001", "answers": answers} | rest
    token = body.pop("token", hashlib.sha256(body["fingerprint"].encode()).hexdigest()[:43])
    return reader.post(f"/{project}/survey/answers", json=body, headers={"x-respondent-token": token})


def own(reader: httpx.Client, project: str, token: str) -> dict[str, Any]:
    response = reader.get(f"/{project}/survey/response", headers={"x-respondent-token": token})
    assert response.status_code == 200, response.text
    answers: dict[str, Any] = response.json()["answers"]
    return answers


def test_consent_and_answers_may_come_together(anonymous: httpx.Client, admin: httpx.Client, project: str) -> None:
    published(admin, project, consent=GATE)
    refused = save(anonymous, project, {"age": 42})
    problem(refused, 409, "consent-required")
    made = save(anonymous, project, {"age": "42", "consent": 1, "trust": 7})
    assert (made.status_code, made.json()["message"], made.json()["revision"], made.json()["stale"]) == (201, "Created", 1, [])
    assert made.json()["answers"] == {"age": 42, "consent": "accepted", "trust": 7}
    assert own(anonymous, project, made.json()["respondent_token"]) == {"age": 42, "consent": "accepted", "trust": 7}


def test_one_refused_answer_refuses_all(anonymous: httpx.Client, admin: httpx.Client, project: str) -> None:
    published(admin, project)
    told = problem(save(anonymous, project, {"age": 42, "trust": 8}), 400, "invalid-answer")
    assert told["detail"] == "trust takes a whole number from 1 to 7."
    assert save(anonymous, project, {"note": "first"}).status_code == 201


def test_a_number_for_all_leaves_what_is_newer(anonymous: httpx.Client, admin: httpx.Client, project: str) -> None:
    published(admin, project)
    save(anonymous, project, {"age": 1}, seq=5)
    mixed = save(anonymous, project, {"age": 2, "trust": 3}, seq=4).json()
    assert (mixed["message"], mixed["stale"], mixed["answers"]) == ("Updated", ["age"], {"age": 1, "trust": 3})
    stale = save(anonymous, project, {"age": 2, "trust": 3}, seq=4).json()
    assert (stale["message"], stale["revision"]) == ("Stale", mixed["revision"])


def test_withdrawing_consent_leaves_nothing_else(anonymous: httpx.Client, admin: httpx.Client, project: str) -> None:
    published(admin, project, consent=GATE)
    token = save(anonymous, project, {"consent": "accepted", "age": 42, "note": "mine"}).json()["respondent_token"]
    problem(save(anonymous, project, {"consent": "declined", "trust": 1}), 409, "consent-required")
    assert save(anonymous, project, {"consent": "declined", "note": None}).status_code == 200
    assert own(anonymous, project, token) == {"consent": "declined"}


@pytest.mark.parametrize("body", [{}, {"fingerprint": "reader-0001", "answers": {}}, {"fingerprint": "reader-0001", "answers": [1]}])
def test_malformed_answers_are_422_before_the_project_is_looked_for(anonymous: httpx.Client, body: dict[str, Any]) -> None:
    problem(anonymous.post("/no-such-story/survey/answers", json=body), 422)


def test_concurrent_saves_of_several_answers_lose_none(anonymous: httpx.Client, admin: httpx.Client, project: str) -> None:
    fields = [f"q{number}" for number in range(32)]
    published(admin, project, *({"field": field, "type": "integer"} for field in fields))
    token = secrets.token_urlsafe(32)
    saves = at_once(lambda n: save(anonymous, project, {fields[2 * n]: n, fields[2 * n + 1]: n}, token=token), 16)
    assert sorted(each.status_code for each in saves) == [200] * 15 + [201]
    assert set(own(anonymous, project, token)) == set(fields)


def test_erasure_is_for_good_and_one_may_start_anew(anonymous: httpx.Client, admin: httpx.Client, project: str) -> None:
    published(admin, project)
    token = secrets.token_urlsafe(32)
    headers = {"x-respondent-token": token}
    save(anonymous, project, {"age": 42}, seq=9, token=token)
    problem(anonymous.delete(f"/{project}/survey/response"), 401)
    erased = anonymous.delete(f"/{project}/survey/response", headers=headers)
    assert (erased.status_code, erased.content) == (204, b"")
    problem(anonymous.delete(f"/{project}/survey/response", headers=headers), 401)
    problem(anonymous.get(f"/{project}/survey/response", headers=headers), 401)
    again = save(anonymous, project, {"age": 7}, seq=0, token=token)
    assert (again.status_code, again.json()["revision"]) == (201, 1)


def test_a_closed_survey_takes_no_answers_until_it_is_opened(anonymous: httpx.Client, admin: httpx.Client, project: str) -> None:
    published(admin, project)
    before = anonymous.get(f"/{project}/survey").headers["etag"]
    closed = admin.post(f"/admin/{project}/survey/close")
    assert (closed.status_code, closed.json()["open"]) == (200, False)
    assert closed.headers["etag"] == anonymous.get(f"/{project}/survey").headers["etag"] != before
    assert anonymous.get(f"/{project}").json()["survey_open"] is False
    problem(save(anonymous, project, {"age": 42}), 409, "survey-closed")
    problem(save(anonymous, project, {"age": 420}), 409, "survey-closed")
    assert admin.post(f"/admin/{project}/survey/close").status_code == 200
    assert admin.post(f"/admin/{project}/survey/open").json()["open"] is True
    assert save(anonymous, project, {"age": 42}).status_code == 201


def test_a_breaking_change_is_told_with_its_counts_and_made_only_by_name(
    anonymous: httpx.Client, admin: httpx.Client, project: str
) -> None:
    published(admin, project)
    token = save(anonymous, project, {"age": 42, "trust": 7}).json()["respondent_token"]
    narrower = TRUST | {"max": 5}
    told = problem(publish(admin, project, CONSENT, narrower, NOTE), 409, "breaking-change")
    assert told["changes"] == [
        {"field": "trust", "change": "narrowed", "touched": 1},
        {"field": "age", "change": "removed", "touched": 1},
    ]
    problem(publish(admin, project, CONSENT, narrower, NOTE, accept_breaking=["trust"]), 409, "breaking-change")
    problem(publish(admin, project, CONSENT, AGE | {"type": "scale"}, TRUST, NOTE, accept_breaking=["age"]), 409, "breaking-change")
    made = published(admin, project, CONSENT, narrower, NOTE, accept_breaking=["trust", "age"])
    assert (made["version"], made["changes"]) == (2, told["changes"])
    assert own(anonymous, project, token) == {"age": 42, "trust": 7}
    problem(save(anonymous, project, {"age": 43}), 400, "invalid-answer")


def test_versions_are_listed_newest_first(admin: httpx.Client, project: str) -> None:
    for number in range(3):
        published(admin, project, *({"field": f"q{n}", "type": "integer"} for n in range(number + 1)))
    first = admin.get(f"/admin/{project}/survey/versions?limit=2")
    assert [each["version"] for each in first.json()] == [3, 2]
    assert first.json()[0]["published_by"] == "admin"
    assert first.json()[0]["changes"] == [{"field": "q2", "change": "added", "touched": 0}]
    rest = admin.get(next_address(first) or "")
    assert [each["version"] for each in rest.json()] == [1]
    assert next_address(rest) is None


@pytest.mark.parametrize("path", ["survey/versions", "survey/responses", "survey/responses/export?format=csv"])
def test_what_is_for_the_team_is_not_for_members(path: str, anonymous: httpx.Client, member: httpx.Client, project: str) -> None:
    problem(anonymous.get(f"/admin/{project}/{path}"), 401)
    problem(member.get(f"/admin/{project}/{path}"), 403)
    problem(member.get(f"/admin/no-such-story/{path}"), 403)


def test_researchers_page_and_filter_responses(anonymous: httpx.Client, admin: httpx.Client, project: str) -> None:
    published(admin, project)
    for number in range(5):
        save(anonymous, project, {"age": number, "consent": "accepted"}, fingerprint=f"reader-{number:04}")
    published(admin, project, CONSENT, AGE, TRUST, NOTE, {"field": "later", "type": "boolean"})
    save(anonymous, project, {"later": True}, fingerprint="reader-0000")
    address = f"/admin/{project}/survey/responses"
    first = admin.get(f"{address}?limit=2")
    rest = admin.get((next_address(first) or "").replace("limit=2", "limit=9"))
    assert [row["age"] for row in first.json() + rest.json()] == [0, 1, 2, 3, 4]
    assert list(first.json()[0]) == ["respondent", "created_at", "updated_at", "revision", "consent", "age", "trust", "note", "later"]
    assert "fingerprint" not in first.text
    assert "reader-" not in first.text
    assert [row["age"] for row in admin.get(f"{address}?field=age&value=3").json()] == [3]
    under_the_second = admin.get(f"{address}?version=2").json()
    assert [(row["age"], row["later"]) for row in under_the_second] == [(None, True)]
    assert admin.get(f"{address}?until=2001-01-01T00:00:00Z").json() == []
    for query, pointer in [
        ("version=3", "/version"),
        ("field=age", "/value"),
        ("field=nope&value=1", "/field"),
        ("since=yesterday", "/since"),
        ("since=0001-01-01T00:00:00%2B00:01", "/since"),
        ("until=9999-12-31T23:59:59-14:00", "/until"),
    ]:
        told = problem(admin.get(f"{address}?{query}"), 422)
        assert [fault["pointer"] for fault in told["errors"]] == [pointer]


def test_all_formats_say_the_same(anonymous: httpx.Client, admin: httpx.Client, project: str) -> None:
    published(admin, project)
    for number, note in enumerate(["=1+1", "", 'say "so", twice', None]):
        save(anonymous, project, {"consent": "accepted", "note": note, "trust": number + 1}, fingerprint=f"reader-{number:04}")
    address = f"/admin/{project}/survey/responses/export"
    files = {kind: admin.get(f"{address}?format={kind}") for kind in ("json", "ndjson", "csv", "parquet")}
    for kind, response in files.items():
        assert response.status_code == 200
        assert response.headers["content-disposition"] == f'attachment; filename="{project}-responses.{kind}"'
    rows = files["json"].json()
    assert [row["note"] for row in rows] == ["=1+1", "", 'say "so", twice', None]
    assert [json.loads(line) for line in files["ndjson"].text.splitlines()] == rows
    table = list(csv.DictReader(io.StringIO(files["csv"].text, newline="")))
    assert [row["note"] for row in table] == ["'=1+1", "", 'say "so", twice', ""]
    assert [int(row["trust"]) for row in table] == [1, 2, 3, 4]
    raw = admin.get(f"{address}?format=csv&raw=true").text
    assert ",=1+1" in raw
    parquet = pq.read_table(io.BytesIO(files["parquet"].content))
    assert parquet["note"].to_pylist() == [row["note"] for row in rows]
    assert parquet["consent_code"].to_pylist() == [1, 1, 1, 1]
    codebook = json.loads(parquet.schema.metadata[b"codebook"])
    assert codebook == anonymous.get(f"/{project}/survey/codebook").json()


def test_pseudonyms_differ_between_projects(anonymous: httpx.Client, admin: httpx.Client, project: str) -> None:
    other = unique("story")
    admin.post("/admin/projects", json={"slug": other, "title": "Another"}).raise_for_status()
    names = []
    for slug in (project, other):
        published(admin, slug)
        save(anonymous, slug, {"age": 1})
        names.append(admin.get(f"/admin/{slug}/survey/responses").json()[0]["respondent"])
    assert names[0] != names[1]


def test_a_story_is_applied_beside_the_running_service_and_twice_changes_nothing(service: Service, anonymous: httpx.Client) -> None:
    slug = unique("applied")
    story = json.dumps(
        {"slug": slug, "title": "Applied", "survey": {"title": "Trust", "questions": [TRUST]}, "resources": [{"name": "One"}]}
    )
    settings = {"DATABASE_URL": url} if (url := service.database_url) else {}
    dry = run("apply", "-", "--dry-run", folder=service.folder, given=story, **settings)
    assert (dry.returncode, "created" in dry.stdout) == (0, True)
    problem(anonymous.get(f"/{slug}"), 404)
    assert run("apply", "-", folder=service.folder, given=story, **settings).returncode == 0
    assert anonymous.get(f"/{slug}").json()["counts"]["resources"] == 1
    again = json.loads(run("apply", "-", "--json", folder=service.folder, given=story, **settings).stdout)
    assert (again["project"], again["survey"], again["resources"]) == ("unchanged", "unchanged", {"One": "unchanged"})
    save(anonymous, slug, {"trust": 7})
    narrower = story.replace('"max": 7', '"max": 5')
    refused = run("apply", "-", folder=service.folder, given=narrower, **settings)
    assert refused.returncode == 1
    assert "narrowed" in refused.stdout
    assert len(refused.stderr.splitlines()) == 1
    assert run("apply", "-", "--accept-breaking", "trust", folder=service.folder, given=narrower, **settings).returncode == 0


def test_retention_counts_before_it_removes(service: Service) -> None:
    settings = {"DATABASE_URL": url} if (url := service.database_url) else {}
    counted = run("retention", "--older-than-days", "365", "--json", folder=service.folder, **settings)
    assert json.loads(counted.stdout) == {"responses": 0, "resources": 0, "projects": 0, "exports": 0, "sessions": 0, "removed": False}


def test_no_fingerprint_token_or_answer_reaches_a_log_or_an_error(
    service: Service, anonymous: httpx.Client, admin: httpx.Client, project: str
) -> None:
    published(admin, project)
    token, note, fingerprint = secrets.token_urlsafe(32), "zebra crossing at noon", "fingerprint-of-a-zebra"
    save(anonymous, project, {"note": note}, token=token, fingerprint=fingerprint)
    refusals = [
        save(anonymous, project, {"trust": note}, token=token, fingerprint=fingerprint),
        save(anonymous, project, {"note": note}, token=token, fingerprint=f"{fingerprint}-2"),
        anonymous.post(f"/{project}/survey/upsert", json={"fingerprint": fingerprint, "field": note, "value": note}),
        anonymous.get(f"/{project}/survey/response?token={token}"),
    ]
    assert [each.status_code for each in refusals] == [400, 401, 400, 401]
    assert anonymous.get("/health").status_code == 200
    until(lambda: service.err.count("/survey/answers") >= 3, "the log tells of the saves")
    for secret in (token, note, fingerprint):
        assert all(secret not in each.text for each in refusals)
        assert secret not in service.err
        assert secret not in service.out
