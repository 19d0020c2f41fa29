"""Signing in and staying so, over HTTP."""

import base64
import json
import statistics
import time
from typing import Any

import httpx
import pytest
from jose import jwt

from tests.e2e.client import PASSWORD, TOKEN_MINUTES, Service, at_once, client, log_in, pointers, problem, register, unique, walk

NEW_PASSWORD = "seven-tall-green-pines"
TOKEN_ANSWER = {"access_token", "token_type", "expires_in", "refresh_token", "user"}
USER = {"id", "username", "email", "role", "is_active", "orcid_id", "openalex_id", "created_at", "updated_at", "version"}


def refresh(url: str, token: str) -> httpx.Response:
    return httpx.post(f"{url}/auth/refresh", json={"refresh_token": token}, timeout=30)


def me(url: str, token: str) -> httpx.Response:
    return httpx.get(f"{url}/auth/me", headers={"authorization": f"Bearer {token}"}, timeout=30)


def log_out(url: str, token: str) -> httpx.Response:
    return httpx.post(f"{url}/auth/logout", headers={"authorization": f"Bearer {token}"}, timeout=30)


# --- registering --------------------------------------------------------------------------------------------------------------


def test_a_member_registers_and_is_signed_in(service: Service, anonymous: httpx.Client) -> None:
    username = unique("Ada")
    body = {"username": username, "email": "ada@example.org", "password": PASSWORD, "orcid_id": "https://orcid.org/0000-0002-1825-0097"}
    answer = anonymous.post("/auth/register", json=body)
    assert answer.status_code == 201
    assert set(answer.json()) == TOKEN_ANSWER
    assert (answer.json()["token_type"], answer.json()["expires_in"]) == ("bearer", TOKEN_MINUTES * 60)
    assert answer.headers["cache-control"] == "no-store"
    user = answer.json()["user"]
    assert set(user) == USER
    assert (user["username"], user["role"], user["is_active"], user["orcid_id"]) == (
        username.lower(),
        "member",
        True,
        "0000-0002-1825-0097",
    )
    shown = me(service.url, answer.json()["access_token"])
    assert shown.json() == user
    assert "role" not in jwt.get_unverified_claims(answer.json()["access_token"])


@pytest.mark.parametrize("key", ["role", "is_active", "id", "created_at", "version", "password_hash", "scopes"])
def test_nobody_registers_as_more_than_a_member(anonymous: httpx.Client, admin: httpx.Client, key: str) -> None:
    body = {"username": unique("eve"), "email": "e@example.org", "password": PASSWORD, key: "admin"}
    pointers(anonymous.post("/auth/register", json=body))
    assert admin.get("/admin/users", params={"search": body["username"]}).json() == []


@pytest.mark.parametrize(
    "username",
    [
        "admin",
        "ADMIN",
        "Root",
        "me",
        "\u017fupport",  # LATIN SMALL LETTER LONG S folds to s
        "sy\u017ftem",
        "ａｄｍｉｎ",
        "аdmin",  # CYRILLIC SMALL LETTER A
        "admin\u200b",
        "admin ",
        " admin",
        "adm in",
        "admin\u0301",
        "ADM\u0130N",  # LATIN CAPITAL LETTER I WITH DOT ABOVE
        "ab",
        "a" * 51,
        ".abc",
        "-abc",
        "_abc",
        "a\n",
        "ada\n",
        "ada@example.org",
        "",
        "x" * 300,
    ],
)
def test_a_reserved_or_look_alike_or_odd_username_is_refused(anonymous: httpx.Client, username: str) -> None:
    body = {"username": username, "email": "a@example.org", "password": PASSWORD}
    assert pointers(anonymous.post("/auth/register", json=body)) == {"/username"}


def test_a_username_is_taken_in_any_case(service: Service, anonymous: httpx.Client) -> None:
    username = unique("kate")
    register(service.url, username)
    for twin in (username, username.upper(), username.replace("k", "\u212a")):  # KELVIN SIGN
        body = {"username": twin, "email": "other@example.org", "password": PASSWORD}
        problem(anonymous.post("/auth/register", json=body), 409, "username-taken")
        assert log_in(service.url, twin, PASSWORD).json()["user"]["username"] == username


def test_an_address_is_neither_unique_nor_told(anonymous: httpx.Client) -> None:
    for _ in range(2):
        body = {"username": unique("twin"), "email": "shared@example.org", "password": PASSWORD}
        assert anonymous.post("/auth/register", json=body).status_code == 201


def test_of_many_registrations_of_one_name_one_happens(service: Service) -> None:
    username = unique("racer")
    body = {"username": username, "email": "r@example.org", "password": PASSWORD}
    statuses = at_once(lambda _: httpx.post(f"{service.url}/auth/register", json=body, timeout=60).status_code, 6)
    assert sorted(statuses) == [201] + [409] * 5


@pytest.mark.parametrize(
    "password",
    ["", "elevenchars", "x" * 129, "password1234", "PASSWORD1234", "passwordpassword", "123456123456", "aaaaaaaaaaaa", "\uff50assword1234"],
)  # fmt: skip
def test_a_weak_password_is_refused(anonymous: httpx.Client, password: str) -> None:
    body = {"username": unique("weak"), "email": "w@example.org", "password": password}
    assert pointers(anonymous.post("/auth/register", json=body)) == {"/password"}


def test_a_password_may_not_hold_the_username(anonymous: httpx.Client) -> None:
    username = unique("holder")
    body = {"username": username, "email": "w@example.org", "password": f"xx{username.upper()}xx"}
    assert pointers(anonymous.post("/auth/register", json=body)) == {"/password"}


def test_a_password_is_the_same_on_every_keyboard(service: Service, anonymous: httpx.Client) -> None:
    username, typed = unique("keys"), "Cafe\u0301 \ufb01ve \uff11\uff12\uff13 🦆"
    assert anonymous.post("/auth/register", json={"username": username, "email": "k@example.org", "password": typed}).status_code == 201
    assert log_in(service.url, username, "Caf\u00e9 five 123 🦆").status_code == 200
    problem(log_in(service.url, username, "Caf\u00e9 five 123 🦆 "), 401)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "nobody"),
        ("email", "a@"),
        ("email", "a b@example.org"),
        ("email", "a@b@c"),
        ("email", "x" * 250 + "@x.org"),
        ("orcid_id", "0000-0002-1825-0098"),
        ("orcid_id", "0000-0002-1825-009X"),
        ("openalex_id", "W123"),
        ("openalex_id", "A0"),
    ],
)
def test_a_bad_detail_is_pointed_at(anonymous: httpx.Client, field: str, value: str) -> None:
    body = {"username": unique("detail"), "email": "d@example.org", "password": PASSWORD} | {field: value}
    assert pointers(anonymous.post("/auth/register", json=body)) == {f"/{field}"}


# --- signing in ---------------------------------------------------------------------------------------------------------------


def test_a_sign_in_answers_tokens_in_any_case_of_the_name(service: Service, newcomer: str) -> None:
    answer = log_in(service.url, newcomer.upper(), PASSWORD)
    assert answer.status_code == 200
    assert set(answer.json()) == TOKEN_ANSWER
    assert answer.json()["user"]["username"] == newcomer
    assert answer.headers["cache-control"] == "no-store"


def test_unknown_wrong_and_inactive_are_answered_alike(service: Service, admin: httpx.Client, newcomer: str) -> None:
    inactive = unique("inactive")
    register(service.url, inactive)
    user = admin.get("/admin/users", params={"search": inactive}).json()[0]
    assert admin.patch(f"/admin/users/{user['id']}", json={"is_active": False}).status_code == 200
    same = {"x-request-id": "same"}
    refused = [
        log_in(service.url, unique("unknown"), PASSWORD, **same),
        log_in(service.url, newcomer, PASSWORD + "!", **same),
        log_in(service.url, inactive, PASSWORD, **same),
        log_in(service.url, inactive, "wrong", **same),
        log_in(service.url, "not a username at all é", "", **same),
    ]
    for answer in refused:
        problem(answer, 401, "invalid-credentials")
    assert {answer.content for answer in refused} == {refused[0].content}
    assert {tuple(sorted(set(answer.headers) - {"date"})) for answer in refused} == {tuple(sorted(set(refused[0].headers) - {"date"}))}


def test_an_unknown_name_is_refused_after_as_long_as_a_wrong_password(service: Service) -> None:
    """Hashing dominates, so that medians of very different lengths mean that it was left out for one of them."""
    known = [unique("known") for _ in range(2)]
    for name in known:
        register(service.url, name)

    def seconds(name: str) -> float:
        started = time.perf_counter()
        assert log_in(service.url, name, "a-wrong-password").status_code == 401
        return time.perf_counter() - started

    log_in(service.url, unique("warm"), "up")
    for_known: list[float] = []
    for_unknown: list[float] = []
    for number in range(15):
        for_known.append(seconds(known[number % 2]))
        for_unknown.append(seconds(unique("unknown")))
    assert 0.5 < statistics.median(for_unknown) / statistics.median(for_known) < 2


def test_with_limits_off_no_number_of_failures_locks_anybody_out(service: Service, newcomer: str) -> None:
    statuses = [log_in(service.url, newcomer, "a-wrong-password").status_code for _ in range(12)]
    assert statuses == [401] * 12
    assert log_in(service.url, newcomer, PASSWORD).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"username": "a"},
        {"username": 1, "password": "b"},
        {"username": "a", "password": None},
        {"username": "a", "password": "b", "x": 1},
    ],
)
def test_a_misshapen_sign_in_is_invalid(anonymous: httpx.Client, body: dict[str, Any]) -> None:
    pointers(anonymous.post("/auth/login", json=body))


# --- access tokens ------------------------------------------------------------------------------------------------------------


def unsigned(claims: dict[str, Any], **header: Any) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'none', 'typ': 'JWT'} | header)}.{part(claims)}."


def test_a_forged_or_broken_token_opens_nothing(service: Service, newcomers_tokens: dict[str, str]) -> None:
    token, claims = newcomers_tokens["access_token"], jwt.get_unverified_claims(newcomers_tokens["access_token"])
    head, body, signature = token.split(".")
    forged = [
        unsigned(claims),
        unsigned(claims | {"sub": "1"}),
        jwt.encode(claims, "0" * 64, algorithm="HS256"),
        jwt.encode(claims, "", algorithm="HS256"),
        jwt.encode(claims, "0" * 64, algorithm="HS512"),
        f"{head}.{body}.",
        f"{head}.{body}",
        f"{head}.{body}.{signature[:-2]}AA",
        f"{unsigned(claims).split('.')[0]}.{body}.{signature}",
        f"{head}.{unsigned(claims | {'sub': '1'}).split('.')[1]}.{signature}",
        newcomers_tokens["refresh_token"],
        token + "x",
        token * 5,
        "a.b.c",
        "..",
        "null",
        "[].[].[]",
        "\xe9" * 20,
    ]
    assert me(service.url, token).status_code == 200
    for wrong in forged:
        refused = httpx.get(f"{service.url}/auth/me", headers=[(b"authorization", f"Bearer {wrong}".encode("latin-1"))], timeout=30)
        problem(refused, 401, "invalid-token")
        assert refused.headers["www-authenticate"] == "Bearer"


def test_credentials_of_another_form_are_none(service: Service, newcomers_tokens: dict[str, str]) -> None:
    token = newcomers_tokens["access_token"]
    given: list[list[tuple[str, str]]] = [
        [],
        [("authorization", "")],
        [("authorization", "Bearer")],
        [("authorization", token)],
        [("authorization", f"Basic {token}")],
        [("authorization", f"Bearer {token}"), ("authorization", f"Bearer {token}")],
        [("cookie", f"access_token={token}")],
    ]
    for headers in given:
        problem(httpx.get(f"{service.url}/auth/me", headers=headers, timeout=30), 401, "unauthenticated")
    problem(httpx.get(f"{service.url}/auth/me?access_token={token}", timeout=30), 401)
    assert httpx.get(f"{service.url}/auth/me", headers={"authorization": f"bearer  {token}"}, timeout=30).status_code == 200


# --- refreshing ---------------------------------------------------------------------------------------------------------------


def test_a_refresh_token_rotates(service: Service, newcomers_tokens: dict[str, str]) -> None:
    second = refresh(service.url, newcomers_tokens["refresh_token"])
    assert second.status_code == 200
    assert set(second.json()) == TOKEN_ANSWER
    assert second.json()["refresh_token"] != newcomers_tokens["refresh_token"]
    third = refresh(service.url, second.json()["refresh_token"])
    assert third.status_code == 200
    assert me(service.url, third.json()["access_token"]).status_code == 200


def test_a_repeated_refresh_leads_to_the_same_successor(service: Service, newcomers_tokens: dict[str, str]) -> None:
    successors = at_once(lambda _: refresh(service.url, newcomers_tokens["refresh_token"]), 8)
    assert [answer.status_code for answer in successors] == [200] * 8
    assert len({answer.json()["refresh_token"] for answer in successors}) == 1
    assert refresh(service.url, successors[0].json()["refresh_token"]).status_code == 200


def test_a_replayed_refresh_token_ends_the_whole_session(service: Service, newcomer: str, newcomers_tokens: dict[str, str]) -> None:
    other = log_in(service.url, newcomer, PASSWORD).json()
    second = refresh(service.url, newcomers_tokens["refresh_token"]).json()
    third = refresh(service.url, second["refresh_token"]).json()
    problem(refresh(service.url, newcomers_tokens["refresh_token"]), 401, "invalid-token")
    problem(refresh(service.url, third["refresh_token"]), 401, "invalid-token")
    for token in (newcomers_tokens["access_token"], second["access_token"], third["access_token"]):
        problem(me(service.url, token), 401, "invalid-token")
    assert me(service.url, other["access_token"]).status_code == 200


def test_what_is_no_refresh_token_is_refused(service: Service, newcomers_tokens: dict[str, str]) -> None:
    genuine = newcomers_tokens["refresh_token"]
    changed = ("A" if genuine[0] != "A" else "B") + genuine[1:]
    for wrong in ("", "x", genuine[:-1], genuine + "A", changed, newcomers_tokens["access_token"], "é" * len(genuine), " " + genuine[1:]):
        problem(refresh(service.url, wrong), 401, "invalid-token")
    assert refresh(service.url, genuine).status_code == 200


# --- the end of a session -----------------------------------------------------------------------------------------------------


def test_logging_out_ends_the_session_and_again_is_as_good(service: Service, newcomer: str, newcomers_tokens: dict[str, str]) -> None:
    other = log_in(service.url, newcomer, PASSWORD).json()
    for _ in range(2):
        gone = log_out(service.url, newcomers_tokens["access_token"])
        assert (gone.status_code, gone.content) == (204, b"")
    problem(me(service.url, newcomers_tokens["access_token"]), 401, "invalid-token")
    problem(refresh(service.url, newcomers_tokens["refresh_token"]), 401, "invalid-token")
    assert me(service.url, other["access_token"]).status_code == 200
    problem(log_out(service.url, "forged"), 401)


def test_a_demotion_holds_from_the_next_request_on(service: Service, admin: httpx.Client, newcomer: str) -> None:
    user = admin.get("/admin/users", params={"search": newcomer}).json()[0]
    address = f"/admin/users/{user['id']}"
    with client(service.url, log_in(service.url, newcomer, PASSWORD).json()["access_token"]) as person:
        problem(person.get("/admin/users"), 403)
        assert admin.patch(address, json={"role": "admin"}).json()["role"] == "admin"
        assert person.get("/admin/users").status_code == 200
        assert person.get("/auth/me").json()["role"] == "admin"
        admin.patch(address, json={"role": "annotator"})
        problem(person.get("/admin/users"), 403, "not-allowed")


def test_a_deactivation_holds_from_the_next_request_on(
    service: Service, admin: httpx.Client, newcomer: str, newcomers_tokens: dict[str, str]
) -> None:
    user = admin.get("/admin/users", params={"search": newcomer}).json()[0]
    assert me(service.url, newcomers_tokens["access_token"]).status_code == 200
    assert admin.patch(f"/admin/users/{user['id']}", json={"is_active": False}).json()["is_active"] is False
    problem(me(service.url, newcomers_tokens["access_token"]), 401, "invalid-token")
    problem(refresh(service.url, newcomers_tokens["refresh_token"]), 401, "invalid-token")
    problem(log_in(service.url, newcomer, PASSWORD), 401, "invalid-credentials")
    admin.patch(f"/admin/users/{user['id']}", json={"is_active": True})
    assert log_in(service.url, newcomer, PASSWORD).status_code == 200


# --- changing one's password --------------------------------------------------------------------------------------------------


def change_password(url: str, token: str, current: str = PASSWORD, new: str = NEW_PASSWORD, **headers: str) -> httpx.Response:
    body = {"current_password": current, "new_password": new}
    return httpx.put(f"{url}/auth/change-password", json=body, headers={"authorization": f"Bearer {token}"} | headers, timeout=60)


def test_a_changed_password_ends_every_other_session(service: Service, newcomer: str, newcomers_tokens: dict[str, str]) -> None:
    other = log_in(service.url, newcomer, PASSWORD).json()
    changed = change_password(service.url, newcomers_tokens["access_token"])
    assert changed.status_code == 200
    assert set(changed.json()) == USER
    assert (changed.json()["version"], changed.headers["etag"]) == (2, '"2"')
    assert me(service.url, newcomers_tokens["access_token"]).json() == changed.json()
    assert refresh(service.url, newcomers_tokens["refresh_token"]).status_code == 200
    problem(me(service.url, other["access_token"]), 401, "invalid-token")
    problem(refresh(service.url, other["refresh_token"]), 401, "invalid-token")
    problem(log_in(service.url, newcomer, PASSWORD), 401, "invalid-credentials")
    assert log_in(service.url, newcomer, NEW_PASSWORD).status_code == 200


def test_a_password_is_not_changed_by_who_does_not_know_it(service: Service, newcomer: str, newcomers_tokens: dict[str, str]) -> None:
    token = newcomers_tokens["access_token"]
    problem(change_password(service.url, token, current=PASSWORD + "!"), 403, "wrong-password")
    assert pointers(change_password(service.url, token, new="short")) == {"/new_password"}
    assert pointers(change_password(service.url, token, current="wrong", new=f"xx-{newcomer}-xx")) == {"/new_password"}
    stale = change_password(service.url, token, **{"if-match": '"7"'})
    problem(stale, 412, "stale-version")
    assert stale.headers["etag"] == '"1"'
    problem(httpx.put(f"{service.url}/auth/change-password", json={}, timeout=30), 401, "unauthenticated")
    assert log_in(service.url, newcomer, PASSWORD).status_code == 200


def test_of_many_changes_by_one_password_one_succeeds(service: Service, newcomers_tokens: dict[str, str]) -> None:
    def change(number: int) -> int:
        return change_password(service.url, newcomers_tokens["access_token"], new=f"{NEW_PASSWORD}-{number}").status_code

    assert sorted(at_once(change, 6)) == [200] + [403] * 5


# --- one's sessions -----------------------------------------------------------------------------------------------------------

SESSION = {"id", "created_at", "last_used_at", "expires_at", "current"}


def test_one_sees_ones_own_sessions(service: Service, newcomer: str, newcomers_tokens: dict[str, str]) -> None:
    with client(service.url, newcomers_tokens["access_token"]) as here:
        first = here.get("/auth/sessions").json()
        assert all(set(session) == SESSION for session in first)
        assert [session["current"] for session in first] == [False, True]
        own = first[1]
        assert own["created_at"] == own["last_used_at"] < own["expires_at"]
        there = log_in(service.url, newcomer, PASSWORD).json()
        refresh(service.url, there["refresh_token"])
        newest = here.get("/auth/sessions").json()
        assert newest[:2] == first
        assert newest[2]["last_used_at"] > newest[2]["created_at"]
        assert list(walk(here, "/auth/sessions?limit=1")) == newest
        for wrong in ("x", "WyJ4Il0", "WzFd", "W10"):
            assert pointers(here.get(f"/auth/sessions?cursor={wrong}")) == {"/cursor"}


def test_one_session_is_ended_by_its_own_user_once(
    service: Service, stranger: httpx.Client, newcomer: str, newcomers_tokens: dict[str, str]
) -> None:
    there = log_in(service.url, newcomer, PASSWORD).json()
    with client(service.url, newcomers_tokens["access_token"]) as here:
        *_, own, other = here.get("/auth/sessions").json()
        assert own["current"]
        problem(stranger.delete(f"/auth/sessions/{other['id']}"), 404)
        assert me(service.url, there["access_token"]).status_code == 200
        gone = here.delete(f"/auth/sessions/{other['id'].upper()}")
        assert (gone.status_code, gone.content) == (204, b"")
        problem(me(service.url, there["access_token"]), 401, "invalid-token")
        problem(refresh(service.url, there["refresh_token"]), 401, "invalid-token")
        problem(here.delete(f"/auth/sessions/{other['id']}"), 404, "not-found")
        for absent in (other["id"].replace("-", ""), "1", "x", other["id"] + "0", f"{{{other['id']}}}"):
            problem(here.delete(f"/auth/sessions/{absent}"), 404, "not-found")
        assert here.delete(f"/auth/sessions/{own['id']}").status_code == 204
        problem(here.get("/auth/me"), 401, "invalid-token")


def test_all_other_sessions_are_ended_at_once(service: Service, newcomer: str, newcomers_tokens: dict[str, str]) -> None:
    others = [log_in(service.url, newcomer, PASSWORD).json() for _ in range(2)]
    with client(service.url, newcomers_tokens["access_token"]) as here:
        for _ in range(2):
            gone = here.delete("/auth/sessions")
            assert (gone.status_code, gone.content) == (204, b"")
        assert [session["current"] for session in here.get("/auth/sessions").json()] == [True]
        for other in others:
            problem(refresh(service.url, other["refresh_token"]), 401, "invalid-token")
