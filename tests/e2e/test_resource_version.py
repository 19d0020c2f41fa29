"""What a resource was, bringing it back, and giving it to another, over HTTP."""

import httpx

from tests.e2e.client import Service, make_resource, pointers, problem, walk

RESOURCE = {
    "id", "project", "name", "description", "status", "attributes", "created_by", "created_at", "updated_at", "is_active", "version",
}  # fmt: skip
SUMMARY = {"version", "made_at", "made_by", "owner", "name", "status", "is_active"}


def me(person: httpx.Client) -> str:
    return str(person.get("/auth/me").json()["username"])


def test_versions_tell_what_a_resource_was(
    member: httpx.Client, stranger: httpx.Client, annotator: httpx.Client, admin: httpx.Client, anonymous: httpx.Client, project: str
) -> None:
    made = make_resource(member, project, name="One", attributes={"a": "x" * 5_000})
    address = f"/admin/{project}/resources/{made['id']}"
    member.patch(address, json={"name": "Two"})
    changed = admin.patch(address, json={"attributes": {}, "description": "New"}).json()
    found = member.get(f"{address}/versions").json()
    assert [set(each) for each in found] == [SUMMARY] * 3
    assert [(each["version"], each["name"], each["made_by"], each["made_at"]) for each in found] == [
        (3, "Two", "admin", changed["updated_at"]),
        (2, "Two", me(member), found[1]["made_at"]),
        (1, "One", me(member), made["created_at"]),
    ]
    assert list(walk(admin, f"{address}/versions?limit=2")) == found
    first = member.get(f"{address}/versions/1")
    assert first.json() == found[2] | {"description": None, "attributes": {"a": "x" * 5_000}}
    assert member.get(f"{address}/versions/1", headers={"if-none-match": first.headers["etag"]}).status_code == 304
    for path in (f"{address}/versions", f"{address}/versions/1"):
        problem(anonymous.get(path), 401)
        for other in (stranger, annotator):
            problem(other.get(path), 403, "not-the-owner")
        problem(admin.get(path.replace(project, "unknown-story")), 404)
    for missing in (4, 2**31, 2**63 - 1, 2**63, 0, "x"):
        problem(member.get(f"{address}/versions/{missing}"), 404)
        problem(member.post(f"{address}/versions/{missing}/restore"), 404)
    problem(member.get(f"{address}/versions?cursor=x"), 422)


def test_a_version_is_brought_back_by_an_edit_like_any_other(
    member: httpx.Client, stranger: httpx.Client, annotator: httpx.Client, admin: httpx.Client, anonymous: httpx.Client, project: str
) -> None:
    made = make_resource(member, project, name="One", status="pending", attributes={"a": [1]})
    address = f"/admin/{project}/resources/{made['id']}"
    member.patch(address, json={"name": "Two", "status": "active", "attributes": {}})
    restore = f"{address}/versions/1/restore"
    problem(anonymous.post(restore), 401)
    problem(stranger.post(restore), 403, "not-the-owner")
    problem(annotator.post(restore), 403, "not-the-owner")
    problem(member.post(restore, headers={"if-match": '"1"'}), 412, "stale-version")
    other = make_resource(admin, project, name="ONE")
    problem(member.post(restore), 409, "name-taken")
    admin.delete(f"/admin/{project}/resources/{other['id']}")
    restored = member.post(restore, headers={"if-match": '"2"'})
    assert restored.status_code == 200
    assert set(restored.json()) == RESOURCE
    assert (restored.headers["etag"], restored.json()["version"]) == ('"3"', 3)
    assert {name: made[name] for name in ("name", "status", "attributes", "description")}.items() <= restored.json().items()
    assert member.post(restore).json()["version"] == 3  # nothing differs
    admin.delete(address)
    problem(admin.post(restore), 404)
    assert [each["is_active"] for each in member.get(f"{address}/versions").json()] == [False, True, True, True]


def test_a_resource_is_given_to_another(
    service: Service, member: httpx.Client, stranger: httpx.Client, admin: httpx.Client, anonymous: httpx.Client, project: str
) -> None:
    made = make_resource(member, project)
    address = f"/admin/{project}/resources/{made['id']}"
    owner, body = f"{address}/owner", {"username": me(stranger).upper()}
    problem(anonymous.put(owner, json=body), 401)
    for named in (me(stranger), "nobody-of-this-name"):  # a stranger does not hear which names there are
        problem(stranger.put(owner, json={"username": named}), 403, "not-the-owner")
    gone = admin.post("/admin/users", json={"username": f"gone-{project}", "email": "g@example.org"}).json()
    admin.patch(f"/admin/users/{gone['id']}", json={"is_active": False})
    for unknown in ("nobody-of-this-name", gone["username"], "é", "x" * 255):
        assert pointers(member.put(owner, json={"username": unknown})) == {"/username"}
    for wrong in ({}, {"username": None}, {"username": ""}, {"username": "a\x00"}, body | {"more": 1}):
        problem(member.put(owner, json=wrong), 422)
    problem(member.put(owner, json=body, headers={"if-match": '"7"'}), 412, "stale-version")
    given = member.put(owner, json=body, headers={"if-match": '"1"'})
    assert given.status_code == 200
    assert set(given.json()) == RESOURCE | {"owner"}
    assert (given.json()["owner"], given.json()["created_by"], given.headers["etag"]) == (me(stranger), me(member), '"2"')
    assert stranger.patch(address, json={"name": f"Theirs in {project}"}).status_code == 200
    problem(member.patch(address, json={"name": "Mine"}), 403, "not-the-owner")
    problem(member.put(owner, json={"username": me(member)}), 403, "not-the-owner")
    assert anonymous.get(f"/{project}/resources/{made['id']}").json().keys() == RESOURCE
    problem(member.get(f"{address}/history"), 403, "not-the-owner")
    told = [(each["action"], each["changes"]) for each in stranger.get(f"{address}/history").json()]
    assert told[1] == ("resource.give", [{"field": "owner", "from": me(member), "to": me(stranger)}])
    assert stranger.put(owner, json=body).json()["version"] == 3  # whose it is already
    assert admin.put(owner, json={"username": me(member)}).json()["owner"] == me(member)
    assert [each["owner"] for each in member.get(f"{address}/versions").json()] == [
        me(each) for each in (member, stranger, stranger, member)
    ]
