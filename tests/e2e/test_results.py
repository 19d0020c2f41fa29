"""Published results over HTTP: caching, refusals, and that they advance in steps."""

from typing import Any

import httpx
import pytest

from tests.e2e.client import pointers, problem, unique, until

SIDE = {"field": "side", "type": "choice", "choices": [{"value": "left", "code": 1}, {"value": "right", "code": 2}]}
TRUST = {"field": "trust", "type": "scale", "min": 1, "max": 3}
MINIMUM = 3
SURVEY: dict[str, Any] = {"title": "Sides", "results": {"public": True, "minimum_cell": MINIMUM}, "questions": [SIDE, TRUST]}
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
        "n": None,
        "minimum_cell": MINIMUM,
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
def test_only_a_choice_question_makes_groups(anonymous: httpx.Client, asked: str, query: str) -> None:
    assert pointers(anonymous.get(f"/{asked}/survey/results?{query}")) == {"/by"}


def test_unknown_and_repeated_parameters_are_refused(anonymous: httpx.Client, asked: str) -> None:
    for query in ("of=side", "by=side&by=side"):
        problem(anonymous.get(f"/{asked}/survey/results?{query}"), 422)


def test_what_is_not_public_is_gone_at_once(anonymous: httpx.Client, admin: httpx.Client, asked: str) -> None:
    assert results(anonymous, asked)["n"] is None
    publish(admin, asked, results={"public": False, "minimum_cell": MINIMUM})
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
    publish(admin, project, results={"public": True, "minimum_cell": 1_000_000})
    answer(anonymous, project, side="left")
    assert results(anonymous, project)["n"] is None
