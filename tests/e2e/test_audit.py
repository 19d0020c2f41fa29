"""What an admin is told of what happened, over HTTP and at the command line."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.e2e.client import (
    PASSWORD,
    Service,
    client,
    log_in,
    make_project,
    make_resource,
    make_user,
    pointers,
    problem,
    run,
    unique,
    until,
    walk,
)
from tests.pictures import png

ENTRY = {"id", "at", "actor", "action", "project", "target", "changes", "request_id"}
SURVEY = {"title": "Dark data", "identity": "fingerprint", "questions": [{"field": "trust", "type": "scale", "min": 1, "max": 7}]}
LABEL_SET = {"title": "Sound", "type": "boolean", "level": "nominal"}
CHAINED_WITHIN = 5.0


def entries(admin: httpx.Client, **where: Any) -> list[dict[str, Any]]:
    answer = admin.get("/admin/audit", params=where)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


def of_request(admin: httpx.Client, request_id: str) -> list[dict[str, Any]]:
    """What a request left in the trail, oldest first."""
    return [each for each in reversed(entries(admin, limit=50)) if each["request_id"] == request_id]


# --- every route that changes something ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A person of this scene's own, signed in, an admin, and the headers of the request that is looked at."""

    url: str
    admin: httpx.Client
    person: httpx.Client
    tokens: dict[str, Any]
    headers: dict[str, str]

    def send(self, method: str, path: str, body: Any = None, *, by: httpx.Client | None = None, **rest: Any) -> httpx.Response:
        return (by or self.admin).request(method, path, json=body, headers=self.headers | rest.pop("headers", {}), **rest)

    def user(self) -> dict[str, Any]:
        name = unique("somebody")
        made: dict[str, Any] = self.admin.post("/admin/users", json={"username": name, "email": "s@example.org"}).json()
        return made

    def survey(self) -> str:
        project = make_project(self.admin)
        assert self.admin.put(f"/admin/{project}/survey", json=SURVEY).status_code == 201
        return project

    def resource(self) -> str:
        project = make_project(self.admin)
        return f"/admin/{project}/resources/{make_resource(self.admin, project)['id']}"

    def upload(self, project: str, *, headers: dict[str, str] | None = None) -> httpx.Response:
        given = self.headers if headers is None else headers
        return self.admin.post(f"/admin/{project}/upload", files={"file": ("a.png", png(), "image/png")}, headers=given)

    def annotation(self, *, given: bool = False) -> str:
        """The address of an annotation of the admin's own, which is there already when `given`."""
        resource = self.resource()
        self.admin.put(f"/admin/{resource.split('/')[2]}/label-sets/sound", json=LABEL_SET)
        if given:
            self.admin.put(f"{resource}/annotations/sound", json={"value": True})
        return f"{resource}/annotations/sound"

    def export(self) -> str:
        """The address of a stored export that is done."""
        asked = self.admin.post(f"/admin/{make_project(self.admin)}/exports", json={"what": "resources", "format": "csv"})
        address: str = asked.headers["location"]
        until(lambda: self.admin.get(address).json()["status"] == "done", f"{address} is done")
        return address

    def another_session(self) -> str:
        """The id of a session that another sign-in of the person began."""
        log_in(self.url, self.tokens["user"]["username"], PASSWORD)
        sessions = self.person.get("/auth/sessions").json()
        return str(next(session["id"] for session in sessions if not session["current"]))

    def key(self) -> int:
        body = {"name": "key", "scopes": ["read"], "expires_in_days": 1}
        return int(self.person.post("/auth/api-keys", json=body).json()["id"])


def answered(scene: Scene, **more: Any) -> str:
    """A project with a response, which the admin may erase."""
    project = scene.survey()
    body = {"fingerprint": "a-reader-of-stories", "field": "trust", "value": 4} | more
    saved = scene.admin.post(f"/{project}/survey/upsert", json=body, headers={"x-respondent-token": "t" * 43})
    assert saved.status_code == 201, saved.text
    return project


def erase_one(scene: Scene) -> httpx.Response:
    address = f"/admin/{answered(scene)}/survey/responses"
    (row,) = scene.admin.get(address).json()
    return scene.send("DELETE", f"{address}/{row['respondent']}")


def delete_file(scene: Scene) -> httpx.Response:
    project = make_project(scene.admin)
    made = scene.upload(project, headers={}).json()
    return scene.send("DELETE", f"/admin/{project}/files/{made['id']}")


def restore(scene: Scene) -> httpx.Response:
    resource = scene.resource()
    scene.admin.delete(resource)
    return scene.send("POST", f"{resource}/restore")


def restore_version(scene: Scene) -> httpx.Response:
    resource = scene.resource()
    scene.admin.patch(resource, json={"name": "Another"})
    return scene.send("POST", f"{resource}/versions/1/restore")


def end_others(scene: Scene) -> httpx.Response:
    scene.another_session()
    return scene.send("DELETE", "/auth/sessions", by=scene.person)


def open_again(scene: Scene) -> httpx.Response:
    project = scene.survey()
    scene.admin.post(f"/admin/{project}/survey/close")
    return scene.send("POST", f"/admin/{project}/survey/open")


def account(stem: str = "newcomer") -> dict[str, str]:
    return {"username": unique(stem), "email": "n@example.org"}


# What a successful request leaves, by the route: all that are signed in and do not only read.
LEAVES: dict[str, tuple[list[str], Callable[[Scene], httpx.Response]]] = {
    "POST /auth/register": (
        ["user.register", "session.start"],
        lambda s: s.send("POST", "/auth/register", account() | {"password": PASSWORD}),
    ),
    "POST /auth/login": (
        ["session.start"],
        lambda s: s.send("POST", "/auth/login", {"username": s.tokens["user"]["username"], "password": PASSWORD}),
    ),
    "POST /auth/logout": (["session.end"], lambda s: s.send("POST", "/auth/logout", by=s.person)),
    "DELETE /auth/sessions": (["session.end"], end_others),
    "DELETE /auth/sessions/{session_id}": (
        ["session.end"],
        lambda s: s.send("DELETE", f"/auth/sessions/{s.another_session()}", by=s.person),
    ),
    "POST /auth/api-keys": (
        ["api-key.create"],
        lambda s: s.send("POST", "/auth/api-keys", {"name": "key", "scopes": ["read"], "expires_in_days": 1}, by=s.person),
    ),
    "DELETE /auth/api-keys/{key_id}": (["api-key.revoke"], lambda s: s.send("DELETE", f"/auth/api-keys/{s.key()}", by=s.person)),
    "POST /auth/set-password": (
        ["password.set"],
        lambda s: s.send("POST", "/auth/set-password", {"token": s.user()["setup_token"], "new_password": PASSWORD}),
    ),
    "PUT /auth/change-password": (
        ["password.change"],
        lambda s: s.send("PUT", "/auth/change-password", {"current_password": PASSWORD, "new_password": PASSWORD[::-1]}, by=s.person),
    ),
    "PUT /auth/profile": (["user.update"], lambda s: s.send("PUT", "/auth/profile", {"email": "new@example.org"}, by=s.person)),
    "POST /admin/users": (["user.create"], lambda s: s.send("POST", "/admin/users", account())),
    "PATCH /admin/users/{user_id}": (
        ["user.role", "user.deactivate"],
        lambda s: s.send("PATCH", f"/admin/users/{s.user()['id']}", {"role": "annotator", "is_active": False}),
    ),
    "POST /admin/users/{user_id}/reset": (["user.reset"], lambda s: s.send("POST", f"/admin/users/{s.user()['id']}/reset")),
    "POST /admin/users/import": (
        ["user.import", "user.import"],
        lambda s: s.admin.post(
            "/admin/users/import",
            content=f"username,email,role\n{unique('one')},a@b.c,\n{unique('two')},a@b.c,annotator\n",
            headers=s.headers | {"content-type": "text/csv"},
        ),
    ),
    "POST /admin/projects": (["project.create"], lambda s: s.send("POST", "/admin/projects", {"slug": unique("s"), "title": "T"})),
    "PATCH /admin/projects/{project}": (
        ["project.update"],
        lambda s: s.send("PATCH", f"/admin/projects/{make_project(s.admin)}", {"title": "New"}),
    ),
    "DELETE /admin/projects/{project}": (["project.delete"], lambda s: s.send("DELETE", f"/admin/projects/{make_project(s.admin)}")),
    "POST /admin/{project}/resources": (
        ["resource.create"],
        lambda s: s.send("POST", f"/admin/{make_project(s.admin)}/resources", {"name": "One"}, by=s.person),
    ),
    "PUT /admin/{project}/resources/{resource_id}": (["resource.update"], lambda s: s.send("PUT", s.resource(), {"name": "New"})),
    "PUT /admin/{project}/resources/{resource_id}/owner": (
        ["resource.give"],
        lambda s: s.send("PUT", f"{s.resource()}/owner", {"username": s.tokens["user"]["username"]}),
    ),
    "POST /admin/{project}/resources/{resource_id}/versions/{number}/restore": (["resource.update"], restore_version),
    "PATCH /admin/{project}/resources/{resource_id}": (["resource.update"], lambda s: s.send("PATCH", s.resource(), {"name": "New"})),
    "DELETE /admin/{project}/resources/{resource_id}": (["resource.delete"], lambda s: s.send("DELETE", s.resource())),
    "POST /admin/{project}/resources/{resource_id}/restore": (["resource.restore"], restore),
    "POST /admin/{project}/resources/import": (
        ["resource.create", "resource.import"],
        lambda s: s.admin.post(
            f"/admin/{make_project(s.admin)}/resources/import",
            content="name\nFigure 9\n",
            headers=s.headers | {"content-type": "text/csv"},
        ),
    ),
    "POST /admin/{project}/upload": (["file.upload"], lambda s: s.upload(make_project(s.admin))),
    "DELETE /admin/{project}/exports/{export_id}": (["export.delete"], lambda s: s.send("DELETE", s.export())),
    "POST /admin/{project}/exports": (
        ["export.create"],
        lambda s: s.send("POST", f"/admin/{make_project(s.admin)}/exports", {"what": "resources", "format": "csv"}),
    ),
    "DELETE /admin/{project}/files/{file_id}": (["file.delete"], delete_file),
    "PUT /admin/{project}/survey": (["survey.publish"], lambda s: s.send("PUT", f"/admin/{make_project(s.admin)}/survey", SURVEY)),
    "DELETE /admin/{project}/survey/responses/{respondent}": (["response.erase"], erase_one),
    "DELETE /admin/{project}/survey/responses": (
        ["response.erase"],
        lambda s: s.send("DELETE", f"/admin/{answered(s, test=True)}/survey/responses", params={"test": "only"}),
    ),
    "POST /admin/{project}/survey/close": (["survey.close"], lambda s: s.send("POST", f"/admin/{s.survey()}/survey/close")),
    "POST /admin/{project}/survey/open": (["survey.open"], open_again),
    "PUT /admin/{project}/label-sets/{label_set}": (
        ["label-set.create"],
        lambda s: s.send("PUT", f"/admin/{make_project(s.admin)}/label-sets/sound", LABEL_SET),
    ),
    "PUT /admin/{project}/resources/{resource_id}/annotations/{label_set}": (
        ["annotation.create"],
        lambda s: s.send("PUT", s.annotation(), {"value": True}),
    ),
    "DELETE /admin/{project}/resources/{resource_id}/annotations/{label_set}": (
        ["annotation.delete"],
        lambda s: s.send("DELETE", s.annotation(given=True)),
    ),
    "POST /admin/{project}/annotations/import": (
        ["annotation.import"],
        lambda s: s.admin.post(
            f"/admin/{make_project(s.admin)}/annotations/import",
            content="resource_id,label_set,annotator,value\n",
            headers=s.headers | {"content-type": "text/csv"},
        ),
    ),
}
# Routes that read and yet leave an entry: what leaves the house is an export.
EXPORTS: dict[str, tuple[list[str], Callable[[Scene], httpx.Response]]] = {
    "GET /admin/{project}/survey/responses/export": (
        ["response.export"],
        lambda s: s.send("GET", f"/admin/{s.survey()}/survey/responses/export", params={"format": "csv"}),
    ),
    "GET /admin/{project}/annotations/export": (
        ["annotation.export"],
        lambda s: s.send("GET", f"/admin/{make_project(s.admin)}/annotations/export", params={"format": "csv"}),
    ),
    "GET /admin/{project}/exports/{export_id}/content": (["export.read"], lambda s: s.send("GET", f"{s.export()}/content")),
}
EXPORTS_UNTOLD = {  # what they tell of an export is not what it holds
    "GET /admin/{project}/exports",
    "GET /admin/{project}/exports/{export_id}",
    "GET /admin/{project}/exports/{export_id}/datapackage.json",
}
LEAVES_NOTHING = {"POST /auth/refresh": "goes on with a session that began before; only a replay is told"}


def scene_at(url: str, admin: httpx.Client) -> Scene:
    registered = httpx.post(f"{url}/auth/register", json=account("person") | {"password": PASSWORD}, timeout=30)
    assert registered.status_code == 201, registered.text
    tokens = registered.json()
    person = client(url, tokens["access_token"])
    return Scene(url=url, admin=admin, person=person, tokens=tokens, headers={"x-request-id": unique("request")})


@pytest.fixture
def scene(service: Service, admin: httpx.Client) -> Scene:
    return scene_at(service.url, admin)


@pytest.mark.parametrize("route", [*LEAVES, *EXPORTS])
def test_a_request_that_succeeds_leaves_its_entries(scene: Scene, route: str) -> None:
    actions, act = (LEAVES | EXPORTS)[route]
    answer = act(scene)
    assert answer.is_success, answer.text
    left = of_request(scene.admin, scene.headers["x-request-id"])
    assert [each["action"] for each in left] == actions
    for each in left:
        assert set(each) == ENTRY
        assert each["actor"] is not None
        assert each["target"]["id"]
    told = json.dumps(left)
    for secret in (PASSWORD, PASSWORD[::-1], "argon2", "cs_secret", "setup_token"):
        assert secret not in told


def test_every_route_that_does_not_only_read_is_looked_at(admin: httpx.Client) -> None:
    document = admin.get("/admin/openapi.json").json()
    changing = {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item if method != "get"}
    assert changing == set(LEAVES) | set(LEAVES_NOTHING)
    reading = {f"GET {path}" for path, item in document["paths"].items() if "get" in item}
    assert {path for path in reading if "export" in path} == set(EXPORTS) | EXPORTS_UNTOLD


def test_a_download_of_a_stored_export_is_told_once_however_it_is_resumed(scene: Scene) -> None:
    address, other = scene.export(), client(scene.url, make_user(scene.admin, unique("reader"), "annotator"))
    project = address.split("/")[2]

    def ask(person: httpx.Client, status: int, method: str = "GET", **headers: str) -> httpx.Response:
        answer = person.request(method, f"{address}/content", headers=headers)
        assert answer.status_code == status, answer.text
        return answer

    def told() -> list[str]:
        entries = scene.admin.get("/admin/audit", params={"project": project, "action": "export.read"}).json()
        assert {each["target"]["id"] for each in entries} <= {address.rpartition("/")[2]}
        return [each["actor"]["username"] for each in reversed(entries)]

    tag = ask(scene.admin, 200, "HEAD").headers["etag"]
    ask(scene.admin, 304, **{"if-none-match": tag})
    ask(scene.admin, 416, range="bytes=100000-")
    assert told() == []
    for first in ("bytes=5-", "bytes=-3", "bytes=7-9"):  # nobody gets a part of it untold
        ask(other, 206, range=first)
    once = told()
    assert len(once) == 1
    ask(scene.admin, 206, range="bytes=0-4")
    for start in range(1, 20):
        ask(scene.admin, 206, **{"range": f"bytes={start}-", "if-range": tag})
    assert told() == [*once, "admin"]
    ask(other, 200)
    ask(other, 206, range="bytes=0-0")
    assert told() == [*once, "admin", *once * 2]


UNCHANGED: dict[str, Callable[[Scene], httpx.Response]] = {
    "a resource": lambda s: s.send("PATCH", s.resource(), {}),
    "a project": lambda s: s.send("PATCH", f"/admin/projects/{make_project(s.admin)}", {"title": "A story"}),
    "a user": lambda s: s.send("PATCH", f"/admin/users/{s.user()['id']}", {"role": "member"}),
    "a profile": lambda s: s.send("PUT", "/auth/profile", {"email": s.tokens["user"]["email"]}, by=s.person),
    "a survey": lambda s: s.send("PUT", f"/admin/{s.survey()}/survey", SURVEY),
    "an open survey": lambda s: s.send("POST", f"/admin/{s.survey()}/survey/open"),
    "a live resource": lambda s: s.send("POST", f"{s.resource()}/restore"),
    "no other session": lambda s: s.send("DELETE", "/auth/sessions", by=s.person),
}


@pytest.mark.parametrize("what", UNCHANGED)
def test_what_changes_nothing_leaves_nothing(scene: Scene, what: str) -> None:
    assert UNCHANGED[what](scene).is_success
    assert of_request(scene.admin, scene.headers["x-request-id"]) == []


def test_what_is_refused_leaves_nothing(scene: Scene) -> None:
    project = make_project(scene.admin)
    taken = make_resource(scene.admin, project)
    problem(scene.send("POST", f"/admin/{project}/resources", {"name": taken["name"]}), 409)
    problem(scene.send("PATCH", f"/admin/{project}/resources/{taken['id']}", {"name": "X"}, by=scene.person), 403)
    problem(scene.send("POST", "/auth/login", {"username": scene.tokens["user"]["username"], "password": "wrong"}), 401)
    problem(scene.send("GET", f"/admin/{project}/survey/responses/export", params={"format": "csv"}), 404)
    assert of_request(scene.admin, scene.headers["x-request-id"]) == []


# --- what is told -------------------------------------------------------------------------------------------------------------


def test_an_entry_tells_who_did_what_and_what_it_changed(scene: Scene) -> None:
    project = make_project(scene.admin)
    resource = make_resource(scene.person, project, name="Figure", attributes={"a": 1})
    changes = {"name": "Figure 1", "description": "Circles", "attributes": {"a": True}, "status": "active"}
    scene.send("PATCH", f"/admin/{project}/resources/{resource['id']}", changes, by=scene.person)
    (told,) = of_request(scene.admin, scene.headers["x-request-id"])
    at = told.pop("at")
    assert at.endswith("Z")
    assert told.pop("id") > 0
    person = scene.tokens["user"]
    assert told == {
        "actor": {"id": person["id"], "username": person["username"]},
        "action": "resource.update",
        "project": project,
        "target": {"type": "resource", "id": resource["id"]},
        "changes": [
            {"field": "name", "from": "Figure", "to": "Figure 1"},
            {"field": "description", "from": None, "to": "Circles"},
            {"field": "attributes", "from": {"a": 1}, "to": {"a": True}},
        ],
        "request_id": scene.headers["x-request-id"],
    }


def test_filters_and_pages(scene: Scene) -> None:
    project = make_project(scene.admin)
    made = [make_resource(scene.person, project) for _ in range(5)]
    username = scene.tokens["user"]["username"]
    where = {"project": project, "actor": username.upper(), "action": "resource.create"}
    assert [each["target"]["id"] for each in entries(scene.admin, **where)] == [each["id"] for each in reversed(made)]
    assert [each["action"] for each in entries(scene.admin, project=project)] == ["resource.create"] * 5 + ["project.create"]
    assert {each["actor"]["username"] for each in entries(scene.admin, actor=username)} == {username}
    assert entries(scene.admin, actor="nobody-of-this-name") == []
    pages = list(walk(scene.admin, f"/admin/audit?{httpx.QueryParams(where)}&limit=2"))
    assert [each["target"]["id"] for each in pages] == [each["id"] for each in reversed(made)]


@pytest.mark.parametrize("query", ["actions=x", "limit=0", "cursor=WyJhIl0", "action=a&action=b", "actor=%00"])
def test_a_bad_query_is_refused(admin: httpx.Client, query: str) -> None:
    pointers(admin.get(f"/admin/audit?{query}"))


@pytest.mark.parametrize("who", ["member", "annotator"])
def test_only_admins_read_the_trail(request: pytest.FixtureRequest, anonymous: httpx.Client, who: str) -> None:
    problem(request.getfixturevalue(who).get("/admin/audit"), 403, "not-allowed")
    problem(anonymous.get("/admin/audit"), 401)


def test_a_replayed_refresh_token_is_told(scene: Scene) -> None:
    first = scene.tokens["refresh_token"]
    second = httpx.post(f"{scene.url}/auth/refresh", json={"refresh_token": first}).json()["refresh_token"]
    assert httpx.post(f"{scene.url}/auth/refresh", json={"refresh_token": second}).status_code == 200
    problem(scene.send("POST", "/auth/refresh", {"refresh_token": first}), 401)
    (told,) = of_request(scene.admin, scene.headers["x-request-id"])
    assert (told["action"], told["actor"]["id"]) == ("session.replay", scene.tokens["user"]["id"])


# --- the history of a resource ------------------------------------------------------------------------------------------------


def test_a_history_is_told_to_its_creator_annotators_and_admins_also_when_deleted(
    scene: Scene, annotator: httpx.Client, stranger: httpx.Client, anonymous: httpx.Client
) -> None:
    project = make_project(scene.admin)
    resource = make_resource(scene.person, project, name="One")
    other = make_resource(scene.person, project)
    address = f"/admin/{project}/resources/{resource['id']}"
    scene.person.patch(address, json={"name": "Two"})
    scene.admin.delete(address)
    history = scene.person.get(f"{address}/history")
    assert history.status_code == 200, history.text
    assert [each["action"] for each in history.json()] == ["resource.delete", "resource.update", "resource.create"]
    assert history.json()[0]["changes"] == [{"field": "is_active", "from": True, "to": False}]
    assert history.json()[1]["changes"] == [{"field": "name", "from": "One", "to": "Two"}]
    assert history.json()[1]["actor"]["username"] == scene.tokens["user"]["username"]
    for person in (annotator, scene.admin):
        assert person.get(f"{address}/history").json() == history.json()
    problem(stranger.get(f"{address}/history"), 403, "not-the-owner")
    problem(anonymous.get(f"{address}/history"), 401)
    pointers(scene.person.get(f"{address}/history?limit=0"))
    problem(scene.admin.get(f"/admin/{make_project(scene.admin)}/resources/{resource['id']}/history"), 404)
    problem(scene.admin.get(f"/admin/{project}/resources/{other['id'] + 10**9}/history"), 404)
    assert len(list(walk(scene.person, f"{address}/history?limit=1"))) == 3


def test_who_loses_the_role_loses_the_sight(service: Service, admin: httpx.Client) -> None:
    username = unique("annotator")
    person = client(service.url, make_user(admin, username, "annotator"))
    project = make_project(admin)
    address = f"/admin/{project}/resources/{make_resource(admin, project)['id']}/history"
    assert person.get(address).status_code == 200
    admin.patch(f"/admin/users/{person.get('/auth/me').json()['id']}", json={"role": "member"})
    problem(person.get(address), 403, "not-the-owner")


# --- the chain ----------------------------------------------------------------------------------------------------------------


def verified(service: Service, *options: str) -> dict[str, Any]:
    settings = {} if service.database_url is None else {"DATABASE_URL": service.database_url}
    done = run("audit", "verify", "--json", *options, folder=service.folder, **settings)
    told: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if told["fault"] is None else 1)
    return told


def test_entries_are_chained_within_seconds_beside_a_service_that_runs(service: Service, admin: httpx.Client) -> None:
    before = verified(service)
    assert before["fault"] is None
    make_project(admin)
    until(lambda: verified(service)["waiting"] == 0, "the last entries are chained", seconds=4 * CHAINED_WITHIN)
    after = verified(service, "--expect", before["head"])
    assert after["fault"] is None
    assert int(after["head"].partition(":")[0]) == after["chained"] > before["chained"]
    assert verified(service, "--expect", f"{10**9}:{'0' * 64}")["fault"]["kind"] == "cut off"


def test_a_head_that_is_none_is_refused(service: Service) -> None:
    assert run("audit", "verify", "--expect", "the last one", folder=service.folder).returncode == 2


def test_what_the_operator_did_has_no_actor(service: Service, admin: httpx.Client) -> None:
    settings = {} if service.database_url is None else {"DATABASE_URL": service.database_url}
    username = unique("second")
    made = run("create-admin", username, "s@example.org", given=PASSWORD + "\n", folder=service.folder, **settings)
    assert made.returncode == 0, made.stderr
    told = next(
        each for each in entries(admin, action="user.create") if {"field": "username", "from": None, "to": username} in each["changes"]
    )
    assert (told["actor"], told["request_id"], told["project"]) == (None, None, None)
    admin.patch(f"/admin/users/{told['target']['id']}", json={"role": "member"})
