"""Projects over HTTP."""

import httpx
import pytest

from tests.e2e.client import make_project, make_resource, next_address, pointers, problem, unique, walk

FIELDS = {"slug", "title", "description", "is_active", "created_at", "updated_at", "version"}


def test_a_project_is_created_shown_and_listed(admin: httpx.Client, anonymous: httpx.Client) -> None:
    slug = unique("new")
    made = admin.post("/admin/projects", json={"slug": slug, "title": "T", "description": "D"})
    assert made.status_code == 201
    assert set(made.json()) == FIELDS
    assert made.json()["created_at"].endswith("Z")
    assert (made.json()["updated_at"], made.json()["version"], made.json()["is_active"]) == (None, 1, True)
    shown = anonymous.get(made.headers["location"])
    assert shown.status_code == 200
    assert set(shown.json()) == FIELDS | {"counts", "survey_open"}
    assert shown.json()["counts"] == {"resources": 0, "files": 0}
    assert shown.json()["survey_open"] is False
    assert made.json() in list(walk(anonymous, "/projects?limit=3"))


def test_projects_are_listed_by_slug_without_loss_or_repetition(admin: httpx.Client, anonymous: httpx.Client) -> None:
    made = {make_project(admin) for _ in range(7)}
    slugs = [entry["slug"] for entry in walk(anonymous, "/projects?limit=2")]
    assert slugs == sorted(set(slugs))
    assert made <= set(slugs)


def test_the_overview_counts_live_resources_only(admin: httpx.Client, anonymous: httpx.Client, project: str) -> None:
    make_resource(admin, project)
    gone = make_resource(admin, project)
    before = anonymous.get(f"/{project}")
    admin.delete(f"/admin/{project}/resources/{gone['id']}")
    after = anonymous.get(f"/{project}")
    assert before.json()["counts"]["resources"] == 2
    assert after.json()["counts"]["resources"] == 1
    assert before.headers["etag"] != after.headers["etag"]


@pytest.mark.parametrize(
    "slug", ["admin", "audit", "auth", "docs", "health", "metrics", "problems", "projects", "redoc", "static", "users"]
)
def test_a_reserved_slug_is_refused(admin: httpx.Client, slug: str) -> None:
    problem(admin.post("/admin/projects", json={"slug": slug, "title": "T"}), 409, "slug-reserved")


@pytest.mark.parametrize(
    "slug", ["", "A", "Admin", "-a", "a-", "a_b", "a.b", "a/b", "a" * 65, "ａｄｍｉｎ", "dar\u212a", "é", "a\n", "..", "a b"]
)
def test_a_slug_outside_the_grammar_is_refused(admin: httpx.Client, slug: str) -> None:
    assert pointers(admin.post("/admin/projects", json={"slug": slug, "title": "T"})) == {"/slug"}


def test_the_shortest_and_the_longest_slug_are_good(admin: httpx.Client, anonymous: httpx.Client) -> None:
    longest = unique("l").ljust(64, "x")
    assert admin.post("/admin/projects", json={"slug": longest, "title": "T"}).status_code == 201
    assert anonymous.get(f"/{longest}").status_code == 200
    problem(anonymous.get(f"/{longest}x"), 404)


def test_a_slug_is_taken_until_its_project_is_deleted(admin: httpx.Client, anonymous: httpx.Client, project: str) -> None:
    first = anonymous.get(f"/{project}").headers["etag"]
    problem(admin.post("/admin/projects", json={"slug": project, "title": "Again"}), 409, "slug-taken")
    assert admin.delete(f"/admin/projects/{project}").status_code == 204
    problem(anonymous.get(f"/{project}"), 404)
    problem(admin.delete(f"/admin/projects/{project}"), 404)
    problem(admin.patch(f"/admin/projects/{project}", json={"title": "Back?"}), 404)
    assert project not in [entry["slug"] for entry in walk(anonymous, "/projects")]
    assert admin.post("/admin/projects", json={"slug": project, "title": "Again"}).status_code == 201
    assert anonymous.get(f"/{project}").headers["etag"] != first


def test_a_deleted_projects_resources_and_survey_are_gone_with_it(admin: httpx.Client, anonymous: httpx.Client, project: str) -> None:
    made = make_resource(admin, project)
    admin.delete(f"/admin/projects/{project}")
    for path in (f"/resources/{made['id']}", "/resources", "/resources/count", "/resources/paginated", "/survey"):
        problem(anonymous.get(f"/{project}{path}"), 404)
    problem(admin.patch(f"/admin/{project}/resources/{made['id']}", json={}), 404)
    admin.post("/admin/projects", json={"slug": project, "title": "Another"})
    problem(anonymous.get(f"/{project}/resources/{made['id']}"), 404)
    assert anonymous.get(f"/{project}/resources/count").json() == {"count": 0}


def test_only_the_fields_sent_change(admin: httpx.Client, anonymous: httpx.Client, project: str) -> None:
    changed = admin.patch(f"/admin/projects/{project}", json={"description": "New"})
    assert (changed.json()["title"], changed.json()["description"], changed.json()["version"]) == ("A story", "New", 2)
    same = admin.patch(f"/admin/projects/{project}", json={})
    assert same.json() == changed.json()
    emptied = admin.patch(f"/admin/projects/{project}", json={"description": None})
    assert emptied.json()["description"] is None
    assert anonymous.get(f"/{project}").json()["version"] == 3


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"title": None}, "/title"),
        ({"title": ""}, "/title"),
        ({"title": " \t"}, "/title"),
        ({"title": "x" * 256}, "/title"),
        ({"title": 1}, "/title"),
        ({"description": "x" * 10_001}, "/description"),
        ({"slug": "other"}, ""),
        ({"is_active": False}, ""),
        ({"version": 9}, ""),
        ({"created_at": "2020-01-01T00:00:00Z"}, ""),
    ],
)
def test_a_bad_change_is_refused_whole(
    admin: httpx.Client, anonymous: httpx.Client, project: str, changes: dict[str, object], pointer: str
) -> None:
    before = anonymous.get(f"/{project}").json()
    assert pointers(admin.patch(f"/admin/projects/{project}", json={"description": "Sneaked in"} | changes)) == {pointer}
    assert anonymous.get(f"/{project}").json() == before


def test_lengths_count_code_points(admin: httpx.Client, project: str) -> None:
    longest = {"title": "🦆" * 255, "description": "🦆" * 10_000}
    assert admin.patch(f"/admin/projects/{project}", json=longest).status_code == 200
    assert pointers(admin.patch(f"/admin/projects/{project}", json={"title": "🦆" * 256})) == {"/title"}


def test_the_etag_of_a_project_serves_for_changing_it(admin: httpx.Client, anonymous: httpx.Client, project: str) -> None:
    tag = anonymous.get(f"/{project}").headers["etag"]
    address = f"/admin/projects/{project}"
    assert admin.patch(address, json={"title": "Second"}, headers={"if-match": tag}).status_code == 200
    stale = admin.patch(address, json={"title": "Third"}, headers={"if-match": tag})
    problem(stale, 412, "stale-version")
    assert admin.patch(address, json={"title": "Third"}, headers={"if-match": stale.headers["etag"]}).status_code == 200
    problem(admin.delete(address, headers={"if-match": tag}), 412)


def test_the_etag_of_an_answered_change_is_the_one_that_get_gives(admin: httpx.Client, anonymous: httpx.Client, project: str) -> None:
    changed = admin.patch(f"/admin/projects/{project}", json={"title": "Second"})
    assert changed.headers["etag"] == anonymous.get(f"/{project}").headers["etag"]


@pytest.mark.parametrize("who", ["member", "annotator"])
def test_only_admins_make_and_change_projects(request: pytest.FixtureRequest, project: str, who: str) -> None:
    person: httpx.Client = request.getfixturevalue(who)
    problem(person.post("/admin/projects", json={"slug": unique("x"), "title": "T"}), 403, "not-allowed")
    problem(person.patch(f"/admin/projects/{project}", json={"title": "T"}), 403, "not-allowed")
    problem(person.delete(f"/admin/projects/{project}"), 403, "not-allowed")


def test_the_first_page_ends_where_the_next_begins(admin: httpx.Client, anonymous: httpx.Client) -> None:
    make_project(admin)
    make_project(admin)
    first = anonymous.get("/projects", params={"limit": 1})
    address = next_address(first)
    assert address is not None
    assert "limit=1" in address
    assert anonymous.get(address).json()[0]["slug"] > first.json()[0]["slug"]
    assert next_address(anonymous.get("/projects?limit=1000")) is None
