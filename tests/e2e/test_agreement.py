"""How far annotators agree, over HTTP."""

from typing import Any

import httpx
import pytest

from tests.contracts.test_agreement import OBSERVERS, PUBLISHED
from tests.e2e.client import Service, client, make_resource, make_user, pointers, problem, unique

FIELDS = {"label_set", "items", "annotators", "annotations", "raw", "alpha", "pairs", "disputed"}


def declare(admin: httpx.Client, project: str, **declared: Any) -> None:
    made = admin.put(f"/admin/{project}/label-sets/topic", json={"title": "Topic", "type": "scale", "min": 1, "max": 5} | declared)
    assert made.status_code in (200, 201), made.text


def say(person: httpx.Client, project: str, resource: int, value: Any) -> None:
    said = person.put(f"/admin/{project}/resources/{resource}/annotations/topic", json={"value": value})
    assert said.status_code in (200, 201), said.text


def agreement(person: httpx.Client, project: str, **query: Any) -> dict[str, Any]:
    found = person.get(f"/admin/{project}/annotations/agreement", params={"label_set": "topic"} | query)
    assert found.status_code == 200, found.text
    assert found.headers["cache-control"] == "no-store"
    document: dict[str, Any] = found.json()
    return document


@pytest.fixture(scope="module")
def observers(service: Service, admin: httpx.Client) -> Any:
    people = [client(service.url, make_user(admin, unique(f"observer-{number}"), "annotator")) for number in range(4)]
    yield people
    for person in people:
        person.close()


def test_published_data_give_published_figures(admin: httpx.Client, observers: list[httpx.Client], project: str) -> None:
    declare(admin, project, level="nominal")
    units = [make_resource(admin, project)["id"] for _ in range(12)]
    for person, values in zip(observers, OBSERVERS, strict=True):
        for unit, value in zip(units, values, strict=True):
            if value is not None:
                say(person, project, unit, value)
    for level, alpha in PUBLISHED.items():
        declare(admin, project, level=level)
        found = agreement(admin, project, seed=7)
        assert set(found) == FIELDS
        assert (round(found["alpha"]["value"], 3), found["alpha"]["level"]) == (alpha, level)
        assert found["alpha"]["low"] < alpha < found["alpha"]["high"]
        assert agreement(admin, project, seed=7) == found
        assert agreement(admin, project, seed=8)["alpha"]["low"] != found["alpha"]["low"]
    assert (found["label_set"], found["items"], found["annotators"], found["annotations"]) == ("topic", 12, 4, 41)
    assert found["raw"] == 0.781818
    assert len(found["pairs"]) == 6
    assert set(found["pairs"][0]) == {"a", "b", "items", "kappa"}
    names = [(pair["a"], pair["b"]) for pair in found["pairs"]]
    assert names == sorted(names)
    assert found["disputed"] == [
        {"resource_id": units[5], "values": [1, 2, 3, 4]},
        {"resource_id": units[1], "values": [2, 2, 2, 3]},
        {"resource_id": units[7], "values": [1, 1, 1, 2]},
    ]


def test_a_change_is_told_at_once(admin: httpx.Client, observers: list[httpx.Client], project: str) -> None:
    declare(admin, project)
    resource = make_resource(admin, project)["id"]
    nothing = {"value": None, "low": None, "high": None, "level": "ordinal"}
    assert agreement(admin, project) == {
        "label_set": "topic",
        "items": 0,
        "annotators": 0,
        "annotations": 0,
        "raw": None,
        "alpha": nothing,
        "pairs": [],
        "disputed": [],
    }
    for number, person in enumerate(observers, start=1):
        say(person, project, resource, number)
        assert agreement(admin, project)["annotations"] == number
    assert [each["values"] for each in agreement(observers[0], project)["disputed"]] == [[1, 2, 3, 4]]
    observers[3].delete(f"/admin/{project}/resources/{resource}/annotations/topic")
    assert agreement(observers[3], project)["disputed"] == []
    assert [each["values"] for each in agreement(admin, project)["disputed"]] == [[1, 2, 3]]


def test_texts_and_yes_or_no_agree_where_they_are_the_same(admin: httpx.Client, observers: list[httpx.Client], project: str) -> None:
    one, two = (make_resource(admin, project)["id"] for _ in range(2))
    kinds: list[tuple[str, Any, Any]] = [("text", "b", "a"), ("boolean", True, False)]
    for kind, first, second in kinds:
        name = f"set-{kind}"
        assert admin.put(f"/admin/{project}/label-sets/{name}", json={"title": kind, "type": kind}).status_code == 201
        for person, (at_one, at_two) in zip(observers, [(first, first), (first, second)], strict=False):
            for resource, value in ((one, at_one), (two, at_two)):
                person.put(f"/admin/{project}/resources/{resource}/annotations/{name}", json={"value": value})
        found = agreement(admin, project, label_set=name)
        assert (found["raw"], found["alpha"]["value"], found["alpha"]["level"]) == (0.5, 0.0, "nominal")
        assert found["disputed"] == [{"resource_id": two, "values": sorted([first, second])}]


def test_bad_questions_are_refused(admin: httpx.Client, annotator: httpx.Client, member: httpx.Client, project: str) -> None:
    declare(admin, project)
    address = f"/admin/{project}/annotations/agreement"
    assert pointers(annotator.get(address)) == {"/label_set"}
    for seed in ("-1", "1.5", "x", str(2**63)):
        assert pointers(annotator.get(address, params={"label_set": "topic", "seed": seed})) == {"/seed"}
    assert annotator.get(address, params={"label_set": "topic", "seed": 2**63 - 1}).status_code == 200
    assert annotator.get(f"{address}?label_set=topic&more=1").status_code == 422
    problem(annotator.get(address, params={"label_set": "nothing"}), 404)
    problem(annotator.get("/admin/no-such-story/annotations/agreement?label_set=topic"), 404)
    problem(member.get(address, params={"label_set": "topic"}), 403, "not-allowed")
    problem(httpx.get(f"{admin.base_url}{address}?label_set=topic".replace("//admin", "/admin")), 401)
