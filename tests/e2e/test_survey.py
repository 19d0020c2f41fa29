"""Publishing surveys over HTTP."""

import copy
from typing import Any

import httpx
import pytest

from tests.e2e.client import at_once, client, pointers, problem

DEFINITION: dict[str, Any] = {
    "title": "Dark data",
    "consent": {"field": "consent", "accept": "accepted"},
    "identity": "fingerprint",
    "questions": [
        {"field": "consent", "type": "choice", "choices": [{"value": "accepted", "code": 1}, {"value": "declined", "code": 0}]},
        {"field": "trust", "type": "scale", "min": 1, "max": 7},
        {"field": "platforms", "type": "multi_choice", "choices": [{"value": "Twitter"}, {"value": "Other"}]},
        {"field": "age", "type": "integer", "min": 0, "max": 130},
        {"field": "weight", "type": "number", "min": 0.5},
        {"field": "adult", "type": "boolean"},
        {"field": "words", "type": "text", "max_length": 20},
        {"field": "born", "type": "date"},
    ],
}


def changed(**changes: Any) -> dict[str, Any]:
    return copy.deepcopy(DEFINITION) | changes


def with_question(**question: Any) -> dict[str, Any]:
    return changed(questions=[*copy.deepcopy(DEFINITION["questions"]), question])


def test_a_survey_is_published_and_shown(admin: httpx.Client, anonymous: httpx.Client, project: str) -> None:
    problem(anonymous.get(f"/{project}/survey"), 404)
    published = admin.put(f"/admin/{project}/survey", json=DEFINITION)
    assert published.status_code == 201
    assert [(c["field"], c["change"], c["touched"]) for c in published.json()["changes"]] == [
        (question["field"], "added", 0) for question in DEFINITION["questions"]
    ]
    shown = anonymous.get(f"/{project}/survey")
    assert set(shown.json()) == {
        "project",
        "version",
        "open",
        "published_at",
        "title",
        "identity",
        "consent",
        "results",
        "questions",
    }
    assert (shown.json()["project"], shown.json()["version"], shown.json()["open"]) == (project, 1, True)
    assert (shown.json()["identity"], shown.json()["results"]) == (
        "fingerprint",
        {"public": False, "minimum_cell": 5, "protection": "noise", "by": []},
    )
    assert shown.json()["questions"] == DEFINITION["questions"]
    assert shown.json()["published_at"].endswith("Z")
    only_published = {"changes", "forecast", "forecast_before", "warnings"}
    assert {name: value for name, value in published.json().items() if name not in only_published} == shown.json()
    assert only_published < published.json().keys()
    assert shown.headers["etag"] == published.headers["etag"]
    assert anonymous.get(f"/{project}").json()["survey_open"] is True


def test_the_same_again_changes_nothing(admin: httpx.Client, project: str) -> None:
    first = admin.put(f"/admin/{project}/survey", json=DEFINITION)
    same = admin.put(f"/admin/{project}/survey", json=changed(identity="fingerprint", results={"public": False, "minimum_cell": 5}))
    assert same.status_code == 200
    assert same.json() == first.json() | {"changes": [], "forecast_before": first.json()["forecast"]}
    assert same.headers["etag"] == first.headers["etag"]


def test_an_addition_makes_a_version(admin: httpx.Client, anonymous: httpx.Client, project: str) -> None:
    first = admin.put(f"/admin/{project}/survey", json=DEFINITION)
    wider = with_question(field="extra", type="text")
    wider["questions"][1] |= {"max": 9, "label": "Trust"}
    second = admin.put(f"/admin/{project}/survey", json=wider)
    assert second.status_code == 201
    assert second.json()["version"] == 2
    assert second.headers["etag"] != first.headers["etag"]
    kinds = {(change["field"], change["change"]) for change in second.json()["changes"]}
    assert {("extra", "added"), ("trust", "widened")} <= kinds
    assert anonymous.get(f"/{project}/survey").json()["version"] == 2


def test_a_taken_away_question_is_refused_with_the_changes(admin: httpx.Client, anonymous: httpx.Client, project: str) -> None:
    admin.put(f"/admin/{project}/survey", json=DEFINITION)
    admin_answers = {"fingerprint": "reader-0001", "field": "consent", "value": "accepted"}
    anonymous.post(f"/{project}/survey/upsert", json=admin_answers)
    anonymous.post(f"/{project}/survey/upsert", json=admin_answers | {"field": "trust", "value": 3})
    fewer = changed(questions=[question for question in DEFINITION["questions"] if question["field"] != "trust"])
    told = problem(admin.put(f"/admin/{project}/survey", json=fewer), 409, "breaking-change")
    assert [(change["field"], change["change"]) for change in told["changes"]] == [("trust", "removed")]
    assert anonymous.get(f"/{project}/survey").json()["version"] == 1


@pytest.mark.parametrize(
    ("definition", "pointer"),
    [
        (changed(title=""), "/title"),
        (changed(title=None), "/title"),
        (changed(questions=[]), "/questions"),
        (changed(identity="email"), "/identity"),
        (changed(extra=1), ""),
        (changed(consent={"field": "nobody", "accept": "x"}), "/consent/field"),
        (changed(consent={"field": "consent", "accept": "maybe"}), "/consent/accept"),
        (changed(results={"public": "yes"}), "/results/public"),
        (changed(results={"public": True, "minimum_cell": 0}), "/results/minimum_cell"),
        (changed(results={"budget": 0.09}), "/results/budget"),
        (changed(results={"budget": 10**400}), "/results/budget"),
        (changed(results={"budget": "1"}), "/results/budget"),
        (changed(results={"start": 19}), "/results/start"),
        (changed(results={"start": 10**300}), "/results/start"),
        (changed(results={"start": 100.5}), "/results/start"),
        (changed(results={"protection": "none"}), "/results/protection"),
        (changed(results={"by": ["trust"]}), "/results/by/0"),
        (changed(results={"by": "consent"}), "/results/by"),
        (changed(results={"epsilon": 1}), "/results"),
        (with_question(field="x", type="choice", public=0, choices=[{"value": "a"}]), "/questions/8/public"),
        (with_question(field="x", type="integer", bins=[0, 18, 18]), "/questions/8/bins/2"),
        (with_question(field="x", type="integer", bins=[0, 0.5]), "/questions/8/bins/1"),
        (with_question(field="x", type="number", bins=[0, 10**400]), "/questions/8/bins/1"),
        (with_question(field="x", type="text", bins=[0, 1]), "/questions/8"),
        (with_question(field="trust", type="text"), "/questions/8/field"),
        (with_question(field="trust_code", type="choice", choices=[]), "/questions/8/choices"),
        (with_question(field="consent_code", type="text"), "/questions/8/field"),
        (with_question(field="1st", type="text"), "/questions/8/field"),
        (with_question(field="a" * 64, type="text"), "/questions/8/field"),
        (with_question(field="é", type="text"), "/questions/8/field"),
        (with_question(field="x\n", type="text"), "/questions/8/field"),
        (with_question(field="respondent", type="text"), "/questions/8/field"),
        (with_question(field="x", type="slider"), "/questions/8/type"),
        (with_question(field="x"), "/questions/8"),
        (with_question(field="x", type="scale", min=1), "/questions/8/max"),
        (with_question(field="x", type="scale", min=7, max=1), "/questions/8/max"),
        (with_question(field="x", type="scale", min=1, max=2**63), "/questions/8/max"),
        (with_question(field="x", type="scale", min=True, max=7), "/questions/8/min"),
        (with_question(field="x", type="scale", min="1", max=7), "/questions/8/min"),
        (with_question(field="x", type="number", min=10**400), "/questions/8/min"),
        (with_question(field="x", type="text", max_length=0), "/questions/8/max_length"),
        (with_question(field="x", type="text", max_length=10**300), "/questions/8/max_length"),
        (with_question(field="x", type="choice", choices=[{"value": "a|b"}]), "/questions/8/choices/0/value"),
        (with_question(field="x", type="choice", choices=[{"value": "a"}, {"value": "a"}]), "/questions/8/choices/1/value"),
        (
            with_question(field="x", type="choice", choices=[{"value": "a", "code": 1}, {"value": "b", "code": 1}]),
            "/questions/8/choices/1/code",
        ),
        (with_question(field="x", type="boolean", choices=[]), "/questions/8"),
    ],
)
def test_a_bad_definition_is_pointed_at(
    admin: httpx.Client, anonymous: httpx.Client, project: str, definition: dict[str, Any], pointer: str
) -> None:
    assert pointer in pointers(admin.put(f"/admin/{project}/survey", json=definition))
    problem(anonymous.get(f"/{project}/survey"), 404)


def test_more_groups_than_there_is_room_for_are_refused(admin: httpx.Client, anonymous: httpx.Client, project: str) -> None:
    many = {"type": "choice", "choices": [{"value": str(value)} for value in range(51)]}
    questions = [*DEFINITION["questions"], {"field": "a", **many}, {"field": "b", **many}]
    refused = admin.put(f"/admin/{project}/survey", json=changed(questions=questions, results={"by": ["consent", "a"]}))
    assert pointers(refused) == {"/results/by/1"}
    problem(anonymous.get(f"/{project}/survey"), 404)


def test_publishing_tells_how_exact_results_will_be_and_what_a_change_does_to_that(admin: httpx.Client, project: str) -> None:
    first = admin.put(f"/admin/{project}/survey", json=changed(results={"public": True}, identity="token")).json()
    assert [each["responses"] for each in first["forecast"]] == [100, 1000, 10_000]
    assert all(each["count"] > 0 and each["group"] is None for each in first["forecast"])
    assert (first["forecast_before"], first["warnings"]) == (None, [])
    second = admin.put(f"/admin/{project}/survey", json=changed(results={"public": True, "by": ["consent"], "budget": 4})).json()
    assert second["forecast_before"] == first["forecast"]
    assert all(after["count"] < before["count"] for after, before in zip(second["forecast"], first["forecast"], strict=True))


def test_suppression_has_a_price_that_is_told(admin: httpx.Client, project: str) -> None:
    published = admin.put(
        f"/admin/{project}/survey", json=changed(identity="token", results={"public": True, "protection": "suppression"})
    ).json()
    assert [warning["code"] for warning in published["warnings"]] == ["invented-readers"]
    assert published["forecast"] == []


def test_a_huge_minimum_cell_does_no_harm(admin: httpx.Client, anonymous: httpx.Client, project: str) -> None:
    answer = admin.put(f"/admin/{project}/survey", json=changed(results={"public": True, "minimum_cell": 10**300}))
    assert answer.status_code in (201, 422)
    assert anonymous.get(f"/{project}/survey").status_code in (200, 404)


def test_if_match_guards_a_publication(admin: httpx.Client, anonymous: httpx.Client, project: str) -> None:
    address = f"/admin/{project}/survey"
    problem(admin.put(address, json=DEFINITION, headers={"if-match": '"1"'}), 412)
    problem(anonymous.get(f"/{project}/survey"), 404)
    tag = admin.put(address, json=DEFINITION).headers["etag"]
    wider = with_question(field="extra", type="text")
    assert admin.put(address, json=wider, headers={"if-match": tag}).status_code == 201
    stale = admin.put(address, json=with_question(field="other", type="text"), headers={"if-match": tag})
    problem(stale, 412, "stale-version")
    current = anonymous.get(f"/{project}/survey").headers["etag"]
    assert stale.headers["etag"] == current


def test_if_match_of_any_version_needs_one(admin: httpx.Client, anonymous: httpx.Client, project: str) -> None:
    """RFC 9110, section 13.1.1: `*` is false when there is no current representation."""
    problem(admin.put(f"/admin/{project}/survey", json=DEFINITION, headers={"if-match": "*"}), 412)


def test_of_many_first_publications_one_makes_a_version(admin: httpx.Client, anonymous: httpx.Client, project: str) -> None:
    url, token = str(admin.base_url), admin.headers["authorization"].removeprefix("Bearer ")

    def publish(_: int) -> int:
        with client(url, token) as own:
            return own.put(f"/admin/{project}/survey", json=DEFINITION).status_code

    assert sorted(at_once(publish, 12)) == [200] * 11 + [201]
    assert anonymous.get(f"/{project}/survey").json()["version"] == 1


@pytest.mark.parametrize("who", ["member", "annotator"])
def test_only_admins_publish(request: pytest.FixtureRequest, project: str, who: str) -> None:
    person: httpx.Client = request.getfixturevalue(who)
    problem(person.put(f"/admin/{project}/survey", json=DEFINITION), 403, "not-allowed")
