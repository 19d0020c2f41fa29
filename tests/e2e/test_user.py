"""Accounts as admins see and change them, over HTTP."""

from typing import Any

import httpx
import pytest

from tests.e2e.client import PASSWORD, Service, at_once, client, log_in, make_user, pointers, problem, unique, walk

USER = {"id", "username", "email", "role", "is_active", "orcid_id", "openalex_id", "created_at", "updated_at", "version"}


def make(admin: httpx.Client, **fields: Any) -> dict[str, Any]:
    made = admin.post("/admin/users", json={"username": unique("user"), "email": "u@example.org"} | fields)
    assert made.status_code == 201, made.text
    user: dict[str, Any] = made.json()
    return user


def test_a_user_is_created_without_a_password_and_sets_one_once(service: Service, admin: httpx.Client, anonymous: httpx.Client) -> None:
    made = admin.post("/admin/users", json={"username": unique("Fresh"), "email": "f@example.org", "role": "annotator"})
    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    user = made.json()
    assert set(user) == USER | {"setup_token", "setup_token_expires_at"}
    assert made.headers["location"] == f"/admin/users/{user['id']}"
    assert (user["role"], user["is_active"], user["username"]) == ("annotator", True, user["username"].lower())
    shown = admin.get(made.headers["location"])
    assert set(shown.json()) == USER
    problem(log_in(service.url, user["username"], ""), 401)
    redeem = {"token": user["setup_token"], "new_password": PASSWORD}
    assert pointers(anonymous.post("/auth/set-password", json=redeem | {"new_password": "short"})) == {"/new_password"}
    assert pointers(anonymous.post("/auth/set-password", json=redeem | {"new_password": user["username"] + "xxxx"})) == {"/new_password"}
    done = anonymous.post("/auth/set-password", json=redeem)
    assert (done.status_code, done.content) == (204, b"")
    problem(anonymous.post("/auth/set-password", json=redeem), 401, "invalid-token")
    assert log_in(service.url, user["username"], PASSWORD).status_code == 200


def test_of_two_who_redeem_a_token_at_once_one_does(service: Service, admin: httpx.Client) -> None:
    token = make(admin)["setup_token"]

    def redeem(number: int) -> int:
        body = {"token": token, "new_password": f"{PASSWORD}-{number}"}
        return httpx.post(f"{service.url}/auth/set-password", json=body, timeout=60).status_code

    assert sorted(at_once(redeem, 4)) == [204, 401, 401, 401]


@pytest.mark.parametrize("token", ["", "x", "x" * 43, "é"])
def test_a_made_up_token_sets_nothing(anonymous: httpx.Client, token: str) -> None:
    problem(anonymous.post("/auth/set-password", json={"token": token, "new_password": PASSWORD}), 401, "invalid-token")


def test_nothing_shows_a_password_or_its_hash(admin: httpx.Client) -> None:
    for address in ("/admin/users?limit=1000", "/admin/users/1", "/auth/me"):
        text = admin.get(address).text
        assert not any(word in text for word in ("password", "argon2", "setup_token"))


def test_users_are_listed_by_id_and_searched_literally(admin: httpx.Client) -> None:
    stem = unique("find")
    made = [make(admin, username=f"{stem}.{letter}", email=f"{letter}_{stem}@example.org") for letter in "abc"]
    listed = list(walk(admin, "/admin/users?limit=3"))
    ids = [user["id"] for user in listed]
    assert ids == sorted(set(ids))
    assert {user["id"] for user in made} <= set(ids)
    assert all(set(user) == USER for user in listed)

    def found(text: str) -> list[str]:
        return [user["username"] for user in walk(admin, str(httpx.URL("/admin/users", params={"search": text, "limit": 2})))]

    assert found(stem.upper()) == [user["username"] for user in made]
    assert found(f"b_{stem}") == [f"{stem}.b"]
    assert found(f"{stem}_a") == []
    assert found(f"{stem}%") == []


@pytest.mark.parametrize(
    ("body", "at"),
    [
        ({"email": "a@example.org"}, {"/username"}),
        ({"username": "admin", "email": "a@example.org"}, {"/username"}),
        ({"username": "x y z", "email": "nobody"}, {"/username", "/email"}),
        ({"username": "xyz-1", "email": "a@example.org", "role": "owner"}, {"/role"}),
        ({"username": "xyz-1", "email": "a@example.org", "role": None}, {"/role"}),
        ({"username": "xyz-1", "email": "a@example.org", "password": PASSWORD}, {""}),
        ({"username": "xyz-1", "email": "a@example.org", "is_active": False}, {""}),
    ],
)
def test_each_fault_of_a_new_user_is_pointed_at(admin: httpx.Client, body: dict[str, Any], at: set[str]) -> None:
    assert pointers(admin.post("/admin/users", json=body)) == at


def test_a_username_is_taken_in_any_case(admin: httpx.Client) -> None:
    user = make(admin)
    problem(admin.post("/admin/users", json={"username": user["username"].upper(), "email": "x@example.org"}), 409, "username-taken")


@pytest.mark.parametrize(
    "changes",
    [
        {"role": None},
        {"role": "owner"},
        {"role": "Admin"},
        {"is_active": None},
        {"is_active": 0},
        {"is_active": "false"},
        {"username": "other"},
        {"email": "o@example.org"},
        {"password": PASSWORD},
        {"password_hash": "x"},
        {"id": 1},
        {"role": "admin", "version": 3},
    ],
)
def test_a_bad_change_of_a_user_is_refused_whole(admin: httpx.Client, changes: dict[str, Any]) -> None:
    user = make(admin)
    address = f"/admin/users/{user['id']}"
    pointers(admin.patch(address, json=changes))
    assert admin.get(address).json()["version"] == 1


def test_a_change_of_a_user_counts_versions_and_honours_if_match(admin: httpx.Client) -> None:
    address = f"/admin/users/{make(admin)['id']}"
    assert admin.patch(address, json={}).json()["version"] == 1
    changed = admin.patch(address, json={"role": "annotator"}, headers={"if-match": '"1"'})
    assert (changed.status_code, changed.json()["version"], changed.headers["etag"]) == (200, 2, '"2"')
    stale = admin.patch(address, json={"role": "member"}, headers={"if-match": '"1"'})
    problem(stale, 412)
    assert stale.headers["etag"] == '"2"'
    assert admin.get(address).json()["role"] == "annotator"


@pytest.mark.parametrize("changes", [{"role": "member"}, {"role": "annotator"}, {"is_active": False}])
def test_the_last_admin_stays(admin: httpx.Client, changes: dict[str, Any]) -> None:
    for other in walk(admin, "/admin/users?limit=1000"):
        if other["role"] == "admin" and other["username"] != "admin":
            admin.patch(f"/admin/users/{other['id']}", json={"role": "member"})
    last = admin.get("/auth/me").json()
    problem(admin.patch(f"/admin/users/{last['id']}", json=changes), 409, "last-admin")
    assert admin.get("/auth/me").json() == last


def test_two_admins_cannot_demote_each_other(service: Service, admin: httpx.Client) -> None:
    first = admin.get("/auth/me").json()
    token = make_user(admin, unique("second"), "admin")
    with client(service.url, token) as other:
        second = other.get("/auth/me").json()
        token_of_first = admin.headers["authorization"].removeprefix("Bearer ")
        pairs = [(token_of_first, second["id"]), (token, first["id"])]

        def demote(number: int) -> int:
            by, whom = pairs[number]
            with client(service.url, by) as person:
                return person.patch(f"/admin/users/{whom}", json={"role": "annotator"}).status_code

        try:
            statuses = sorted(at_once(demote, 2))
            assert statuses in ([200, 403], [200, 409])
            roles = {person.get("/auth/me").json()["role"] for person in (admin, other)}
            assert roles == {"admin", "annotator"}
        finally:
            other.patch(f"/admin/users/{first['id']}", json={"role": "admin"})
            admin.patch(f"/admin/users/{second['id']}", json={"role": "member"})


@pytest.mark.parametrize("who", ["member", "annotator"])
def test_only_admins_see_and_change_users(request: pytest.FixtureRequest, who: str) -> None:
    person: httpx.Client = request.getfixturevalue(who)
    mine = person.get("/auth/me").json()["id"]
    problem(person.get("/admin/users"), 403, "not-allowed")
    problem(person.get(f"/admin/users/{mine}"), 403, "not-allowed")
    problem(person.get("/admin/users/999999"), 403, "not-allowed")
    problem(person.post("/admin/users", json={"username": unique("x"), "email": "x@example.org"}), 403, "not-allowed")
    problem(person.patch(f"/admin/users/{mine}", json={"role": "admin"}), 403, "not-allowed")


# --- one's own profile --------------------------------------------------------------------------------------------------------


def test_of_a_profile_only_what_was_sent_changes(service: Service, newcomers_tokens: dict[str, str]) -> None:
    with client(service.url, newcomers_tokens["access_token"]) as person:
        before = person.get("/auth/me").json()
        sent = {"orcid_id": "https://orcid.org/0000-0002-1694-233X", "openalex_id": "https://openalex.org/A5023888391"}
        changed = person.put("/auth/profile", json=sent, headers={"if-match": '"1"'})
        assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
        known = {"orcid_id": "0000-0002-1694-233X", "openalex_id": "A5023888391"}
        assert changed.json() == before | known | {"version": 2, "updated_at": changed.json()["updated_at"]}
        assert person.get("/auth/me").json() == changed.json()
        stale = person.put("/auth/profile", json={"email": "new@example.org"}, headers={"if-match": '"1"'})
        problem(stale, 412, "stale-version")
        assert stale.headers["etag"] == '"2"'
        assert person.put("/auth/profile", json={"email": "new@example.org"}).json()["orcid_id"] == "0000-0002-1694-233X"
        cleared = person.put("/auth/profile", json={"orcid_id": "", "openalex_id": None}).json()
        assert (cleared["orcid_id"], cleared["openalex_id"], cleared["email"]) == (None, None, "new@example.org")
        assert person.put("/auth/profile", json={}).json() == cleared


@pytest.mark.parametrize(
    ("body", "at"),
    [
        ({"orcid_id": "0000-0002-1825-0098"}, "/orcid_id"),
        ({"openalex_id": "W1"}, "/openalex_id"),
        ({"email": ""}, "/email"),
        ({"email": None}, "/email"),
        ({"email": "nobody"}, "/email"),
        ({"orcid_id": 1}, "/orcid_id"),
        ({"role": "admin"}, ""),
        ({"username": "root"}, ""),
        ({"is_active": True}, ""),
    ],
)
def test_a_bad_detail_changes_nothing_of_a_profile(member: httpx.Client, body: dict[str, Any], at: str) -> None:
    before = member.get("/auth/me").json()
    assert pointers(member.put("/auth/profile", json={"openalex_id": "A77"} | body)) == {at}
    assert member.get("/auth/me").json() == before


def test_a_profile_is_changed_by_who_is_signed_in(anonymous: httpx.Client) -> None:
    problem(anonymous.put("/auth/profile", json={"email": "x@example.org"}), 401, "unauthenticated")


# --- resets -------------------------------------------------------------------------------------------------------------------


def test_a_reset_ends_sessions_and_the_former_token_only_when_redeemed(
    service: Service, admin: httpx.Client, anonymous: httpx.Client, newcomers_tokens: dict[str, str]
) -> None:
    user = httpx.get(f"{service.url}/auth/me", headers={"authorization": f"Bearer {newcomers_tokens['access_token']}"}, timeout=30).json()
    first, second = (admin.post(f"/admin/users/{user['id']}/reset") for _ in range(2))
    for reset in (first, second):
        assert reset.status_code == 200
        assert reset.headers["cache-control"] == "no-store"
        assert {name: reset.json()[name] for name in USER} == user
        assert set(reset.json()) == USER | {"setup_token", "setup_token_expires_at"}
    with client(service.url, newcomers_tokens["access_token"]) as person:
        assert person.get("/auth/me").json() == user
        assert log_in(service.url, user["username"], PASSWORD).status_code == 200
        redeem = {"token": first.json()["setup_token"], "new_password": "seven-tall-green-pines"}
        problem(anonymous.post("/auth/set-password", json=redeem), 401, "invalid-token")
        assert anonymous.post("/auth/set-password", json=redeem | {"token": second.json()["setup_token"]}).status_code == 204
        problem(person.get("/auth/me"), 401, "invalid-token")
    assert log_in(service.url, user["username"], "seven-tall-green-pines").status_code == 200


def test_only_an_admin_resets_and_only_who_is_there(admin: httpx.Client, member: httpx.Client, anonymous: httpx.Client) -> None:
    address = f"/admin/users/{make(admin)['id']}/reset"
    problem(anonymous.post(address), 401)
    problem(member.post(address), 403, "not-allowed")
    problem(admin.post("/admin/users/999999/reset"), 404, "not-found")
    problem(admin.post("/admin/users/999999/reset?x=1"), 404, "not-found")


def test_what_answers_a_secret_is_never_replayed(admin: httpx.Client) -> None:
    key = {"idempotency-key": "one"}
    address = f"/admin/users/{make(admin)['id']}/reset"
    assert pointers(admin.post(address, headers=key)) == {""}
    assert pointers(admin.post("/admin/users", json={"username": unique("x"), "email": "x@example.org"}, headers=key)) == {""}
    body = {"name": "import", "scopes": ["read"], "expires_in_days": 30}
    assert pointers(admin.post("/auth/api-keys", json=body, headers=key)) == {""}
    assert pointers(admin.post("/admin/users/import", content=b"username,email,role", headers=key | {"content-type": "text/csv"})) == {""}
