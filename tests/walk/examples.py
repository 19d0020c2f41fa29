"""A request for every route that is answered well to whoever may ask: a new route needs one line here, and one for each new kind of
path parameter. Everything that a request is about is made for it alone, and belongs to `it.owner`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from domain.access import Role
from domain.api_key import Scope
from domain.user import User
from tests.examples import AGE, NOTE, SCALE
from tests.pictures import png
from tests.walk.scene import PASSWORD, Scene

TOKEN = "a" * 43
FINGERPRINT = "a-reader-of-stories"
PICTURE = {"file": ("a.png", png(), "image/png")}
SURVEY = {"title": "A survey", "identity": "fingerprint", "results": {"public": True}, "questions": [SCALE, AGE, NOTE]}
LABEL_SET = {"title": "Sound", "type": "boolean", "level": "nominal"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a request can be made from: who owns the things it is about, and what stands in its path."""

    scene: Scene
    owner: User
    path: dict[str, Any] = field(default_factory=dict)


Made = Callable[[Given], Any]  # or an awaitable of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """What is sent beside the method and the path; `before` prepares what the request is about."""

    json: Any | Made = None
    text: str | Made | None = None
    files: Mapping[str, Any] | None = None
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    before: Callable[[Given], Awaitable[Any]] | None = None


# --- what can stand in a path ---------------------------------------------------------------------------------------------------


async def _project(it: Given) -> str:
    slug = it.scene.unique("story")
    await it.scene.as_admin("POST", "/admin/projects", json={"slug": slug, "title": "A story"})
    await it.scene.as_admin("PUT", f"/admin/{slug}/survey", json=SURVEY)
    return slug


async def _resource(it: Given) -> int:
    made = await it.scene.as_user(it.owner, "POST", f"/admin/{it.path['project']}/resources", json={"name": "Figure 1"})
    return int(made["id"])


async def _version(it: Given) -> int:
    """Of a resource that has been changed since."""
    where = f"/admin/{it.path['project']}/resources/{it.path['resource_id']}"
    await it.scene.as_user(it.owner, "PATCH", where, json={"name": "Figure 2"})
    return 1


async def _file(it: Given) -> str:
    made = await it.scene.as_admin("POST", f"/admin/{it.path['project']}/upload", files=PICTURE)
    return str(made["id"])


async def _export(it: Given) -> str:
    where, body = f"/admin/{it.path['project']}/exports", {"what": "resources", "format": "csv"}
    if it.owner.role is Role.MEMBER:  # who cannot have one
        return str((await it.scene.as_admin("POST", where, json=body))["id"])
    return str((await it.scene.as_user(it.owner, "POST", where, json=body))["id"])


async def _account(it: Given) -> int:
    return (await it.scene.person(it.owner.role)).id


async def _session(it: Given) -> str:
    await it.scene.sign_in(it.owner)
    oldest: dict[str, str] = (await it.scene.as_user(it.owner, "GET", "/auth/sessions"))[0]
    return oldest["id"]


async def _key(it: Given) -> int:
    return (await it.scene.key(it.owner, Scope.READ))[0]


async def _label_set(it: Given) -> str:
    await it.scene.as_admin("PUT", f"/admin/{it.path['project']}/label-sets/sound", json=LABEL_SET)
    return "sound"


async def _code(_: Given) -> str:
    return "invalid"


async def _page(_: Given) -> str:
    return "start.js"


async def _respondent(it: Given) -> str:
    await _a_response(it)
    rows = await it.scene.as_admin("GET", f"/admin/{it.path['project']}/survey/responses")
    return str(rows[0]["respondent"])


PLACES: dict[str, Callable[[Given], Awaitable[Any]]] = {
    "project": _project,
    "resource_id": _resource,
    "file_id": _file,
    "number": _version,
    "export_id": _export,
    "user_id": _account,
    "session_id": _session,
    "key_id": _key,
    "label_set": _label_set,
    "respondent": _respondent,
    "code": _code,
    "name": _page,
}

# --- what a request needs -------------------------------------------------------------------------------------------------------


async def _a_response(it: Given) -> None:
    body = {"fingerprint": FINGERPRINT, "field": "trust", "value": 4}
    saved = await it.scene.web.post(f"/{it.path['project']}/survey/upsert", json=body, headers={"x-respondent-token": TOKEN})
    assert saved.status_code == 201, saved.text


async def _somebody(it: Given) -> dict[str, str]:
    return {"username": (await it.scene.person(Role.MEMBER)).username}


async def _delete_it(it: Given) -> None:
    await it.scene.as_admin("DELETE", f"/admin/{it.path['project']}/resources/{it.path['resource_id']}")


async def _make_it(it: Given) -> None:
    address = f"/admin/{it.path['project']}/exports/{it.path['export_id']}"
    while (await it.scene.as_admin("GET", address))["status"] != "done":  # noqa: ASYNC110 - the service makes it, and tells by its status alone
        await asyncio.sleep(0.05)


async def _own_annotation(it: Given) -> None:
    if it.owner.role is not Role.MEMBER:  # who cannot have one
        where = f"/admin/{it.path['project']}/resources/{it.path['resource_id']}/annotations/{it.path['label_set']}"
        await it.scene.as_user(it.owner, "PUT", where, json={"value": True})


async def _a_queue(it: Given) -> None:
    await _label_set(it)
    await _resource(it)


async def _refresh_token(it: Given) -> dict[str, str]:
    return {"refresh_token": (await it.scene.sign_in(it.owner)).refresh_token}


async def _setup_token(it: Given) -> dict[str, str]:
    made = await it.scene.as_admin("POST", "/admin/users", json={"username": it.scene.unique("new"), "email": "n@example.org"})
    return {"token": made["setup_token"], "new_password": PASSWORD}


def _account_body(it: Given) -> dict[str, str]:
    return {"username": it.scene.unique("new"), "email": "n@example.org"}


def _accounts(it: Given) -> str:
    return f"username,email,role\n{it.scene.unique('row')},r@example.org,\n"


_WITH_TOKEN = {"x-respondent-token": TOKEN}

EXAMPLES: dict[tuple[str, str], Example] = {
    ("GET", "/"): Example(),
    ("GET", "/health"): Example(),
    ("GET", "/health/live"): Example(),
    ("GET", "/health/ready"): Example(),
    ("GET", "/metrics"): Example(),
    ("GET", "/problems/{code}"): Example(),
    ("GET", "/openapi.json"): Example(),
    ("GET", "/docs"): Example(),
    ("GET", "/docs/{name}"): Example(),
    ("GET", "/admin/docs"): Example(),
    ("GET", "/admin/openapi.json"): Example(),
    # projects and resources
    ("GET", "/projects"): Example(),
    ("GET", "/{project}"): Example(),
    ("POST", "/admin/projects"): Example(json=lambda it: {"slug": it.scene.unique("story"), "title": "A story"}),
    ("PATCH", "/admin/projects/{project}"): Example(json={"title": "Another title"}),
    ("DELETE", "/admin/projects/{project}"): Example(),
    ("GET", "/{project}/resources"): Example(),
    ("GET", "/{project}/resources/count"): Example(),
    ("GET", "/{project}/resources/paginated"): Example(),
    ("GET", "/{project}/resources/{resource_id}"): Example(),
    ("POST", "/admin/{project}/resources"): Example(json={"name": "Figure 1"}),
    ("PUT", "/admin/{project}/resources/{resource_id}"): Example(json={"name": "Figure 2"}),
    ("PATCH", "/admin/{project}/resources/{resource_id}"): Example(json={"name": "Figure 2"}),
    ("DELETE", "/admin/{project}/resources/{resource_id}"): Example(),
    ("POST", "/admin/{project}/resources/{resource_id}/restore"): Example(before=_delete_it),
    ("GET", "/admin/{project}/resources/{resource_id}/history"): Example(),
    ("POST", "/admin/{project}/annotations/import"): Example(
        text="resource_id,label_set,annotator,value\n", headers={"content-type": "text/csv"}
    ),
    ("POST", "/admin/{project}/resources/import"): Example(text="name\nFigure 9\n", headers={"content-type": "text/csv"}),
    # files
    ("GET", "/{project}/files"): Example(),
    ("GET", "/{project}/files/{file_id}"): Example(),
    ("GET", "/{project}/files/{file_id}/content"): Example(),
    ("POST", "/admin/{project}/upload"): Example(files=PICTURE),
    ("DELETE", "/admin/{project}/files/{file_id}"): Example(),
    ("GET", "/admin/{project}/resources/{resource_id}/versions"): Example(),
    ("GET", "/admin/{project}/resources/{resource_id}/versions/{number}"): Example(),
    ("POST", "/admin/{project}/resources/{resource_id}/versions/{number}/restore"): Example(),
    ("PUT", "/admin/{project}/resources/{resource_id}/owner"): Example(json=_somebody),
    # exports
    ("GET", "/{project}/export"): Example(query={"format": "csv"}),
    ("GET", "/admin/{project}/exports"): Example(),
    ("POST", "/admin/{project}/exports"): Example(json={"what": "resources", "format": "csv"}),
    ("GET", "/admin/{project}/exports/{export_id}"): Example(),
    ("DELETE", "/admin/{project}/exports/{export_id}"): Example(),
    ("GET", "/admin/{project}/exports/{export_id}/content"): Example(before=_make_it),
    ("GET", "/admin/{project}/exports/{export_id}/datapackage.json"): Example(before=_make_it),
    # surveys and responses
    ("GET", "/{project}/survey"): Example(),
    ("GET", "/{project}/survey/codebook"): Example(),
    ("GET", "/{project}/survey/results"): Example(),
    ("GET", "/admin/{project}/survey/results"): Example(),
    ("POST", "/{project}/survey/upsert"): Example(json={"fingerprint": FINGERPRINT, "field": "trust", "value": 4}),
    ("POST", "/{project}/survey/answers"): Example(json={"fingerprint": FINGERPRINT, "answers": {"trust": 4, "age": 44}}),
    ("GET", "/{project}/survey/response"): Example(headers=_WITH_TOKEN, before=_a_response),
    ("DELETE", "/{project}/survey/response"): Example(headers=_WITH_TOKEN, before=_a_response),
    ("PUT", "/admin/{project}/survey"): Example(json=SURVEY | {"title": "Another title"}),
    ("GET", "/admin/{project}/survey/versions"): Example(),
    ("POST", "/admin/{project}/survey/open"): Example(),
    ("POST", "/admin/{project}/survey/close"): Example(),
    ("GET", "/admin/{project}/survey/responses"): Example(before=_a_response),
    ("DELETE", "/admin/{project}/survey/responses"): Example(query={"test": "only"}),
    ("DELETE", "/admin/{project}/survey/responses/{respondent}"): Example(),
    ("GET", "/admin/{project}/survey/responses/export"): Example(before=_a_response, query={"format": "csv"}),
    # label sets and annotations
    ("PUT", "/admin/{project}/label-sets/{label_set}"): Example(json=LABEL_SET | {"title": "Another title"}),
    ("GET", "/admin/{project}/label-sets/{label_set}"): Example(),
    ("GET", "/admin/{project}/label-sets"): Example(),
    ("PUT", "/admin/{project}/resources/{resource_id}/annotations/{label_set}"): Example(json={"value": True}),
    ("DELETE", "/admin/{project}/resources/{resource_id}/annotations/{label_set}"): Example(before=_own_annotation),
    ("GET", "/admin/{project}/annotations"): Example(),
    ("GET", "/admin/{project}/annotations/agreement"): Example(before=_label_set, query={"label_set": "sound"}),
    ("GET", "/admin/{project}/annotations/next"): Example(before=_a_queue, query={"label_set": "sound"}),
    ("GET", "/admin/{project}/annotations/export"): Example(query={"format": "csv"}),
    # one's own account
    ("POST", "/auth/register"): Example(json=lambda it: _account_body(it) | {"password": PASSWORD}),
    ("POST", "/auth/login"): Example(json=lambda it: {"username": it.owner.username, "password": PASSWORD}),
    ("POST", "/auth/refresh"): Example(json=_refresh_token),
    ("POST", "/auth/logout"): Example(),
    ("POST", "/auth/set-password"): Example(json=_setup_token),
    ("GET", "/auth/me"): Example(),
    ("PUT", "/auth/profile"): Example(json={"orcid_id": "0000-0002-1825-0097"}),
    ("PUT", "/auth/change-password"): Example(json={"current_password": PASSWORD, "new_password": "seven-tall-green-pines"}),
    ("GET", "/auth/sessions"): Example(),
    ("DELETE", "/auth/sessions"): Example(),
    ("DELETE", "/auth/sessions/{session_id}"): Example(),
    ("GET", "/auth/api-keys"): Example(),
    ("POST", "/auth/api-keys"): Example(json={"name": "nightly", "scopes": ["read"], "expires_in_days": 1}),
    ("DELETE", "/auth/api-keys/{key_id}"): Example(),
    # other people's
    ("GET", "/admin/users"): Example(),
    ("POST", "/admin/users"): Example(json=_account_body),
    ("GET", "/admin/users/{user_id}"): Example(),
    ("PATCH", "/admin/users/{user_id}"): Example(json={"role": "annotator"}),
    ("POST", "/admin/users/{user_id}/reset"): Example(),
    ("GET", "/admin/audit"): Example(),
    ("POST", "/admin/users/import"): Example(text=_accounts, headers={"content-type": "text/csv"}),
}
