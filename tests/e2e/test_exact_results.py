"""The team's exact results over HTTP."""

import httpx

from tests.e2e.client import pointers, problem, unique

SIDE = {
    "field": "side",
    "type": "choice",
    "label": "Which side?",
    "choices": [{"value": "left", "code": 1, "label": "Left"}, {"value": "right"}],
}
TRUST = {"field": "trust", "type": "scale", "min": 1, "max": 3}
WHY = {"field": "why", "type": "choice", "public": False, "choices": [{"value": "a"}, {"value": "b"}]}
SURVEY = {"title": "Sides", "identity": "fingerprint", "questions": [SIDE, TRUST, WHY]}


def tell(reader: httpx.Client, project: str, *, test: bool = False, **answers: object) -> None:
    body = {"fingerprint": unique("reader-of-results"), "answers": answers} | ({"test": True} if test else {})
    assert reader.post(f"/{project}/survey/answers", json=body).status_code == 201


def test_the_team_sees_every_count_as_it_is(admin: httpx.Client, anonymous: httpx.Client, project: str) -> None:
    assert admin.put(f"/admin/{project}/survey", json=SURVEY).status_code == 201
    tell(anonymous, project, side="left", trust=1, why="a")
    tell(anonymous, project, side="right", trust=2)
    tell(anonymous, project, side="right", trust=3, test=True)
    found = admin.get(f"/admin/{project}/survey/results", params={"by": "side"})
    assert (found.status_code, found.headers["Cache-Control"]) == (200, "no-store")
    document = found.json()
    assert document.pop("counted_at").endswith("Z")
    left, right = {"value": "left", "code": 1, "label": "Left"}, {"value": "right"}
    steps = [{"value": 1}, {"value": 2}, {"value": 3}]
    assert document == {
        "project": project,
        "survey_version": 1,
        "protection": "none",
        "n": 2,
        "by": {"field": "side", "groups": [left | {"n": 1}, right | {"n": 1}]},
        "questions": [
            {"field": "side", "type": "choice", "label": "Which side?", "n": 2, "counts": [left | {"count": 1}, right | {"count": 1}]},
            {
                "field": "trust",
                "type": "scale",
                "n": 2,
                "counts": [step | {"count": count} for step, count in zip(steps, (1, 1, 0), strict=True)],
                "mean": 1.5,
                "quartiles": [1.25, 1.5, 1.75],
                "groups": [
                    left | {"counts": [step | {"count": count} for step, count in zip(steps, (1, 0, 0), strict=True)]},
                    right | {"counts": [step | {"count": count} for step, count in zip(steps, (0, 1, 0), strict=True)]},
                ],
            },
            {
                "field": "why",
                "type": "choice",
                "n": 1,
                "counts": [{"value": "a", "count": 1}, {"value": "b", "count": 0}],
                "groups": [
                    left | {"counts": [{"value": "a", "count": 1}, {"value": "b", "count": 0}]},
                    right | {"counts": [{"value": "a", "count": 0}, {"value": "b", "count": 0}]},
                ],
            },
        ],
    }


def test_every_choice_question_makes_groups_and_no_other(admin: httpx.Client, project: str) -> None:
    assert admin.put(f"/admin/{project}/survey", json=SURVEY).status_code == 201
    assert admin.get(f"/admin/{project}/survey/results", params={"by": "why"}).json()["by"]["field"] == "why"
    for field in ("trust", "nothing"):
        refused = admin.get(f"/admin/{project}/survey/results", params={"by": field})
        assert pointers(refused) == {"/by"}


def test_only_admins_see_them_and_that_they_do_is_told_once_an_hour(admin: httpx.Client, annotator: httpx.Client, project: str) -> None:
    assert admin.put(f"/admin/{project}/survey", json=SURVEY).status_code == 201
    problem(annotator.get(f"/admin/{project}/survey/results"), 403, "not-allowed")
    for _ in range(3):
        assert admin.get(f"/admin/{project}/survey/results").status_code == 200
    entries = admin.get("/admin/audit", params={"project": project, "action": "results.read"}).json()
    assert [entry["target"] for entry in entries] == [{"type": "survey", "id": project}]


def test_without_a_survey_there_are_none(admin: httpx.Client, project: str) -> None:
    problem(admin.get(f"/admin/{project}/survey/results"), 404)
