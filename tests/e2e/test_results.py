"""Published results over HTTP: caching, refusals, and that they advance in steps."""

from typing import Any

import httpx
import pytest

from tests.e2e.client import pointers, problem, unique, until

SIDE = {"field": "side", "type": "choice", "choices": [{"value": "left", "code": 1}, {"value": "right", "code": 2}]}
TRUST = {"field": "trust", "type": "scale", "min": 1, "max": 3}
MINIMUM = 3
SUPPRESSION: dict[str, Any] = {"public": True, "minimum_cell": MINIMUM, "protection": "suppression", "by": ["side"]}
NOISE: dict[str, Any] = {"public": True, "by": ["side"], "budget": 4, "start": 20}
SURVEY: dict[str, Any] = {"title": "Sides", "identity": "fingerprint", "results": SUPPRESSION, "questions": [SIDE, TRUST]}
ADVANCED_SECONDS = 5.0


def publish(admin: httpx.Client, project: str, **changes: Any) -> None:
    answer = admin.put(f"/admin/{project}/survey", json=SURVEY | changes)
    assert answer.status_code in (200, 201), answer.text


def answer(reader: httpx.Client, project: str, times: int = 1, **answers: Any) -> None:
    for _ in range(times):
        saved = reader.post(f"/{project}/survey/answers", json={"fingerprint": unique("reader-of-results"), "answers": answers})
        assert saved.status_code == 201, saved.text


def results(reader: httpx.Client, project: str, **query: str) -> dict[str, Any]:
    found = reader.get(f"/{project}/survey/results", params=query)
    assert found.status_code == 200, found.text
    document: dict[str, Any] = found.json()
    return document


@pytest.fixture
def asked(admin: httpx.Client, project: str) -> str:
    """The slug of a project whose survey publishes results."""
    publish(admin, project)
    return project


def test_below_the_minimum_there_is_nothing(anonymous: httpx.Client, asked: str) -> None:
    answer(anonymous, asked, MINIMUM - 1, side="left")
    assert results(anonymous, asked) == {
        "project": asked,
        "survey_version": 1,
        "published_at": None,
        "protection": "suppression",
        "n": None,
        "minimum_cell": MINIMUM,
        "accuracy": {"count": None, "group": None},
        "questions": [],
    }


def test_results_advance_in_steps_and_soon(anonymous: httpx.Client, asked: str) -> None:
    answer(anonymous, asked, 4, side="left", trust=2)
    answer(anonymous, asked, 4, side="right", trust=3)
    until(lambda: results(anonymous, asked)["n"] == 8, "results are there", seconds=ADVANCED_SECONDS)
    first, by = anonymous.get(f"/{asked}/survey/results"), results(anonymous, asked, by="side")
    assert by["by"]["groups"] == [{"value": "left", "code": 1, "n": 4}, {"value": "right", "code": 2, "n": 4}]
    answer(anonymous, asked, MINIMUM - 1, side="left")
    with pytest.raises(AssertionError, match="changes"):
        until(lambda: anonymous.get(f"/{asked}/survey/results").content != first.content, "nothing changes", seconds=2)
    answer(anonymous, asked, side="right", trust=1)
    until(lambda: results(anonymous, asked)["n"] == 8 + MINIMUM, "results advance", seconds=ADVANCED_SECONDS)
    until(lambda: results(anonymous, asked, by="side")["n"] == 8 + MINIMUM, "groups advance", seconds=ADVANCED_SECONDS)


def test_results_are_cached_under_a_strong_tag(anonymous: httpx.Client, asked: str) -> None:
    answer(anonymous, asked, 5, side="left")
    until(lambda: results(anonymous, asked)["n"] == 5, "results are there", seconds=ADVANCED_SECONDS)
    found = anonymous.get(f"/{asked}/survey/results")
    tag = found.headers["etag"]
    assert tag.startswith('"')
    assert found.headers["cache-control"] == "public, max-age=2"
    again = anonymous.get(f"/{asked}/survey/results", headers={"if-none-match": tag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert anonymous.head(f"/{asked}/survey/results").headers["etag"] == tag
    assert anonymous.get(f"/{asked}/survey/results?by=side").headers["etag"] != tag


@pytest.mark.parametrize("query", ["by=trust", "by=nothing", "by=", "by=%F0%9F%98%80"])
def test_only_declared_fields_make_groups(anonymous: httpx.Client, asked: str, query: str) -> None:
    assert pointers(anonymous.get(f"/{asked}/survey/results?{query}")) == {"/by"}


def test_unknown_and_repeated_parameters_are_refused(anonymous: httpx.Client, asked: str) -> None:
    for query in ("of=side", "by=side&by=side"):
        problem(anonymous.get(f"/{asked}/survey/results?{query}"), 422)


def test_what_is_not_public_is_gone_at_once(anonymous: httpx.Client, admin: httpx.Client, asked: str) -> None:
    assert results(anonymous, asked)["n"] is None
    publish(admin, asked, results=SUPPRESSION | {"public": False})
    for query in ("", "?by=side", "?by=nothing", "?of=side"):
        hidden = anonymous.get(f"/{asked}/survey/results{query}", headers={"x-request-id": "one"})
        absent = anonymous.get("/nowhere/survey/results", headers={"x-request-id": "one"})
        problem(hidden, 404, "not-found")
        assert hidden.content == absent.content
    publish(admin, asked)
    assert results(anonymous, asked)["n"] is None


def test_without_a_survey_or_a_project_there_are_no_results(anonymous: httpx.Client, admin: httpx.Client, project: str) -> None:
    problem(anonymous.get(f"/{project}/survey/results"), 404, "not-found")
    publish(admin, project)
    assert results(anonymous, project)["n"] is None
    assert admin.delete(f"/admin/projects/{project}").status_code == 204
    problem(anonymous.get(f"/{project}/survey/results"), 404, "not-found")


def test_any_results_settings_leave_an_answer(anonymous: httpx.Client, admin: httpx.Client, project: str) -> None:
    publish(admin, project, results=SUPPRESSION | {"minimum_cell": 1_000_000})
    answer(anonymous, project, side="left")
    assert results(anonymous, project)["n"] is None


# --- noise -------------------------------------------------------------------------------------------------------------------


def test_under_noise_there_is_nothing_but_the_number_of_responses_before_the_start(
    anonymous: httpx.Client, admin: httpx.Client, project: str
) -> None:
    publish(admin, project, results=NOISE)
    answer(anonymous, project, 19, side="left")
    until(lambda: results(anonymous, project)["responses"] == 19, "the responses are told", seconds=ADVANCED_SECONDS)
    assert results(anonymous, project) == {
        "project": project,
        "survey_version": 1,
        "published_at": None,
        "protection": "noise",
        "responses": 19,
        "n": None,
        "minimum_cell": 5,
        "accuracy": {"count": None, "group": None},
        "questions": [],
    }
    assert results(anonymous, project, by="side")["by"] == {"field": "side", "groups": []}


def test_releases_come_by_the_number_of_responses_alone(anonymous: httpx.Client, admin: httpx.Client, project: str) -> None:
    publish(admin, project, results=NOISE)
    answer(anonymous, project, 20, side="left", trust=2)
    until(lambda: results(anonymous, project)["n"] is not None, "the first release is there", seconds=ADVANCED_SECONDS)
    first, by = results(anonymous, project), results(anonymous, project, by="side")
    assert (first["responses"], by["responses"], first["protection"]) == (20, 20, "noise")
    assert first["published_at"].endswith("Z")
    assert first["accuracy"]["count"] > 0
    assert first["accuracy"]["group"] > 0
    assert [sum(cell["count"] for cell in question["counts"]) for question in first["questions"]] == [q["n"] for q in first["questions"]]
    assert [question["field"] for question in by["questions"] if "groups" in question] == ["trust"]
    answer(anonymous, project, 4, side="right", trust=3)
    publish(admin, project, results=NOISE | {"budget": 3.5})
    publish(admin, project, results=NOISE | {"public": False})
    publish(admin, project, results=NOISE)
    stands = results(anonymous, project)
    assert (stands["responses"], stands["n"], stands["published_at"]) == (20, first["n"], first["published_at"])
    answer(anonymous, project, 1, side="right", trust=3)
    until(lambda: results(anonymous, project)["responses"] == 25, "the second release is there", seconds=ADVANCED_SECONDS)
    second = results(anonymous, project)
    assert admin.post(f"/admin/{project}/survey/close").status_code == 200
    until(lambda: results(anonymous, project)["published_at"] != second["published_at"], "the closing is told", seconds=ADVANCED_SECONDS)
    closing = results(anonymous, project)
    assert closing["responses"] == 25
    assert closing["accuracy"]["count"] < second["accuracy"]["count"]


def test_labels_are_those_of_the_newest_version(anonymous: httpx.Client, admin: httpx.Client, project: str) -> None:
    publish(admin, project, results=NOISE)
    answer(anonymous, project, 20, side="left", trust=2)
    until(lambda: results(anonymous, project)["n"] is not None, "the first release is there", seconds=ADVANCED_SECONDS)
    side = SIDE | {"label": "Your side", "choices": [{"value": "left", "code": 1, "label": "The left one"}, {"value": "right", "code": 2}]}
    publish(admin, project, results=NOISE, questions=[side, TRUST | {"public": False}])
    by = results(anonymous, project, by="side")
    assert [question["field"] for question in by["questions"]] == ["side"]
    assert by["questions"][0]["label"] == "Your side"
    assert [group.get("label") for group in by["by"]["groups"]] == ["The left one", None]
    assert [cell.get("label") for cell in by["questions"][0]["counts"]] == ["The left one", None]
