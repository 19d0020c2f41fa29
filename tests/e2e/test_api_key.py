"""API keys over HTTP."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.client import (
    PASSWORD,
    Service,
    at_once,
    client,
    log_in,
    make_project,
    make_user,
    pointers,
    problem,
    register,
    token_of,
    unique,
    until,
    walk,
)

KEY = {"id", "name", "scopes", "prefix", "created_at", "expires_at", "last_used_at"}


def make(person: httpx.Client, *scopes: str, **fields: Any) -> dict[str, Any]:
    made = person.post("/auth/api-keys", json={"name": "import", "scopes": scopes or ["read", "write"], "expires_in_days": 30} | fields)
    assert made.status_code == 201, made.text
    key: dict[str, Any] = made.json()
    return key


@pytest.fixture
def person(service: Service, newcomers_tokens: dict[str, str]) -> Iterator[httpx.Client]:
    """A member of this test's own, signed in."""
    with client(service.url, newcomers_tokens["access_token"]) as signed_in:
        yield signed_in


def test_a_key_is_shown_once_and_speaks_for_who_made_it(service: Service, person: httpx.Client) -> None:
    made = person.post("/auth/api-keys", json={"name": "nightly", "scopes": ["write", "read"], "expires_in_days": 1})
    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    key = made.json()
    assert set(key) == KEY | {"key"}
    assert key["key"].startswith("cs_")
    assert len(key["key"]) == 46
    assert key["key"].startswith(key["prefix"])
    assert (key["name"], key["scopes"], key["last_used_at"]) == ("nightly", ["read", "write"], None)
    listed = person.get("/auth/api-keys")
    assert [set(each) for each in listed.json()] == [KEY]
    assert key["key"] not in listed.text
    with client(service.url, key["key"]) as program:
        assert program.get("/auth/me").json() == person.get("/auth/me").json()
        assert program.head("/auth/me").status_code == 200


def test_when_a_key_was_used_is_kept(service: Service, person: httpx.Client) -> None:
    key = make(person, "read")
    with client(service.url, key["key"]) as program:
        at_once(lambda _: program.get("/auth/me").status_code, 4)

    def last_used() -> Any:
        return person.get("/auth/api-keys").json()[0]["last_used_at"]

    first = until(last_used, "the use of a key is kept")
    assert first >= key["created_at"]
    with client(service.url, key["key"]) as program:
        assert program.get("/auth/me").status_code == 200
    assert last_used() == first


def test_a_scope_opens_what_it_says_and_no_more(service: Service, admin: httpx.Client, person: httpx.Client) -> None:
    project = make_project(admin)
    reader, writer = (client(service.url, make(person, scope)["key"]) for scope in ("read", "write"))
    made = writer.post(f"/admin/{project}/resources", json={"name": "By a program"})
    assert made.status_code == 201
    assert made.json()["created_by"] == person.get("/auth/me").json()["username"]
    address = f"/admin/{project}/resources/{made.json()['id']}"
    assert writer.patch(address, json={"status": "pending"}).status_code == 200
    for refused in (
        reader.post(f"/admin/{project}/resources", json={"name": "Another"}),
        reader.post(f"/admin/{project}/resources", content=b"{"),
        reader.put(address, json={}),
        reader.patch(address, json={}),
        reader.delete(address),
        writer.get("/auth/me"),
        writer.head("/auth/me"),
        writer.get("/admin/openapi.json"),
    ):
        if refused.request.method == "HEAD":
            assert refused.status_code == 403
        else:
            problem(refused, 403, "scope-missing")
    assert reader.get(f"/{project}").status_code == 200
    reader.close()
    writer.close()


def test_a_key_has_the_role_of_its_user_as_of_now(service: Service, admin: httpx.Client, person: httpx.Client) -> None:
    me = person.get("/auth/me").json()
    with client(service.url, make(person)["key"]) as program:
        problem(program.get("/admin/users"), 403, "not-allowed")
        admin.patch(f"/admin/users/{me['id']}", json={"role": "admin"})
        assert program.get("/admin/users").status_code == 200
        admin.patch(f"/admin/users/{me['id']}", json={"role": "member"})
        problem(program.get("/admin/users"), 403, "not-allowed")
        admin.patch(f"/admin/users/{me['id']}", json={"is_active": False})
        problem(program.get("/auth/me"), 401, "invalid-token")
        admin.patch(f"/admin/users/{me['id']}", json={"is_active": True})
        problem(program.get("/auth/me"), 401, "invalid-token")  # it ended with the deactivation


def test_a_key_opens_nothing_under_auth_but_who_one_is(service: Service, person: httpx.Client) -> None:
    key = make(person)
    password = {"current_password": PASSWORD, "new_password": "seven-tall-green-pines"}
    with client(service.url, key["key"]) as program:
        for refused in (
            program.get("/auth/sessions"),
            program.delete("/auth/sessions"),
            program.delete(f"/auth/sessions/{person.get('/auth/sessions').json()[0]['id']}"),
            program.put("/auth/profile", json={"email": "x@example.org"}),
            program.put("/auth/change-password", json=password),
            program.get("/auth/api-keys"),
            program.post("/auth/api-keys", json={"name": "more", "scopes": ["read"], "expires_in_days": 365}),
            program.delete(f"/auth/api-keys/{key['id']}"),
        ):
            problem(refused, 403, "session-required")
        problem(program.post("/auth/logout"), 401, "invalid-token")
        problem(program.post("/auth/refresh", json={"refresh_token": key["key"]}), 401, "invalid-token")
        assert program.get("/auth/me").status_code == 200


def test_a_revoked_or_made_up_key_opens_nothing(service: Service, person: httpx.Client, stranger: httpx.Client) -> None:
    key, other = make(person), make(person)
    problem(stranger.delete(f"/auth/api-keys/{key['id']}"), 404, "not-found")
    with client(service.url, key["key"]) as program:
        assert program.get("/auth/me").status_code == 200
        gone = person.delete(f"/auth/api-keys/{key['id']}")
        assert (gone.status_code, gone.content) == (204, b"")
        refused = program.get("/auth/me")
        problem(refused, 401, "invalid-token")
        assert refused.headers["www-authenticate"] == "Bearer"
    problem(person.delete(f"/auth/api-keys/{key['id']}"), 404, "not-found")
    assert [each["id"] for each in person.get("/auth/api-keys").json()] == [other["id"]]
    for wrong in ("cs_", "cs_x", other["key"][:-1], other["key"] + "A", other["key"].upper(), "cs_" + "x" * 20_000, "cs_\xe9"):
        headers = [(b"authorization", f"Bearer {wrong}".encode("latin-1"))]
        problem(httpx.get(f"{service.url}/auth/me", headers=headers, timeout=30), 401, "invalid-token")


@pytest.mark.parametrize(
    ("changes", "at"),
    [
        ({"name": ""}, "/name"),
        ({"name": " "}, "/name"),
        ({"name": "x" * 101}, "/name"),
        ({"name": None}, "/name"),
        ({"scopes": []}, "/scopes"),
        ({"scopes": ["read", "read"]}, "/scopes"),
        ({"scopes": ["admin"]}, "/scopes/0"),
        ({"scopes": "read"}, "/scopes"),
        ({"expires_in_days": 0}, "/expires_in_days"),
        ({"expires_in_days": 366}, "/expires_in_days"),
        ({"expires_in_days": "30"}, "/expires_in_days"),
        ({"expires_in_days": True}, "/expires_in_days"),
        ({"expires_in_days": 10**30}, "/expires_in_days"),
        ({"key": "cs_mine"}, ""),
    ],
)
def test_each_fault_of_a_key_is_pointed_at(member: httpx.Client, changes: dict[str, Any], at: str) -> None:
    body = {"name": "import", "scopes": ["read"], "expires_in_days": 30} | changes
    assert pointers(member.post("/auth/api-keys", json=body)) == {at}


def test_of_many_keys_made_at_once_no_more_than_fifty_live(service: Service) -> None:
    with client(service.url, register(service.url, unique("collector"))) as person:
        for number in range(46):
            make(person, name=f"key {number}")

        def one_more(_: int) -> int:
            body = {"name": "one more", "scopes": ["read"], "expires_in_days": 1}
            return person.post("/auth/api-keys", json=body).status_code

        assert sorted(at_once(one_more, 8)) == [201] * 4 + [409] * 4
        keys = list(walk(person, "/auth/api-keys?limit=7"))
        assert len({key["id"] for key in keys}) == len(keys) == 50
        assert [key["id"] for key in keys] == sorted(key["id"] for key in keys)
        full = person.post("/auth/api-keys", json={"name": "one more", "scopes": ["read"], "expires_in_days": 1})
        problem(full, 409, "quota-exceeded")
        person.delete(f"/auth/api-keys/{keys[0]['id']}")
        make(person)


def test_a_key_outlives_the_sessions_and_the_password_of_its_user(service: Service, admin: httpx.Client) -> None:
    username = unique("keeper")
    token = make_user(admin, username, "annotator")
    with client(service.url, token) as person:
        key = make(person, "read")
        person.post("/auth/logout")
        with client(service.url, key["key"]) as program:
            assert program.get("/auth/me").json()["username"] == username
    assert token_of(log_in(service.url, username, PASSWORD))
