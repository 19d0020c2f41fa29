"""Accounts from a table, over HTTP."""

import httpx
import pytest

from tests.e2e.client import PASSWORD, Service, at_once, log_in, pointers, problem, unique

CREATED = {"id", "username", "email", "role", "is_active", "orcid_id", "openalex_id", "created_at", "updated_at", "version"} | {
    "setup_token",
    "setup_token_expires_at",
}
HEADER = "username,email,role\n"


def send(person: httpx.Client, table: str | bytes, media_type: str | None = "text/csv") -> httpx.Response:
    headers = {} if media_type is None else {"content-type": media_type}
    return person.post("/admin/users/import", content=table, headers=headers)


def test_everybody_gets_an_account_and_a_token_of_their_own(service: Service, admin: httpx.Client, anonymous: httpx.Client) -> None:
    stem = unique("many")
    table = f'{HEADER}{stem}.z,z@example.org,\r\n{stem}.A,"a@example.org",annotator\r\n\r\n{stem}.m,m@example.org,admin'
    made = send(admin, table)
    assert made.status_code == 201, made.text
    assert made.headers["cache-control"] == "no-store"
    users = made.json()
    assert [set(user) for user in users] == [CREATED] * 3
    assert [(user["username"], user["role"]) for user in users] == [
        (f"{stem}.z", "member"),
        (f"{stem}.a", "annotator"),
        (f"{stem}.m", "admin"),
    ]
    assert len({user["setup_token"] for user in users}) == 3
    for user in users:
        assert anonymous.post("/auth/set-password", json={"token": user["setup_token"], "new_password": PASSWORD}).status_code == 204
        assert log_in(service.url, user["username"], PASSWORD).json()["user"]["id"] == user["id"]
    admin.patch(f"/admin/users/{users[2]['id']}", json={"role": "member"})


def test_a_fault_anywhere_stores_nothing(admin: httpx.Client) -> None:
    stem = unique("none")
    rows = [
        f"{stem}.a,a@example.org,",
        "x,nobody,owner",
        f"{stem}.A,a@example.org,member",
        "admin,a@example.org,",
        f"{stem}.b,b@example.org,",
    ]
    refused = problem(send(admin, HEADER + "\n".join(rows)), 422, "invalid")
    assert [(fault["pointer"], fault["code"]) for fault in refused["errors"]] == [
        ("/rows/2/username", "bad-username"),
        ("/rows/2/email", "bad-email"),
        ("/rows/2/role", "bad-role"),
        ("/rows/3/username", "username-repeated"),
        ("/rows/4/username", "reserved-username"),
    ]
    assert admin.get("/admin/users", params={"search": stem}).json() == []


def test_a_taken_name_stores_nothing(admin: httpx.Client) -> None:
    stem = unique("taken")
    assert send(admin, f"{HEADER}{stem}.b,b@example.org,").status_code == 201
    refused = send(admin, f"{HEADER}{stem}.a,a@example.org,\n{stem.upper()}.B,b@example.org,")
    assert pointers(refused) == {"/rows/2/username"}
    assert [user["username"] for user in admin.get("/admin/users", params={"search": stem}).json()] == [f"{stem}.b"]


def test_of_the_same_table_sent_by_many_at_once_one_is_stored(admin: httpx.Client) -> None:
    stem = unique("race")
    lines = [f"{stem}.{number},r@example.org," for number in range(50)]
    tables = ["\n".join([HEADER.strip(), *(lines if even else lines[::-1])]) for even in (True, False, True, False)]
    assert sorted(at_once(lambda number: send(admin, tables[number]).status_code, 4)) == [201, 422, 422, 422]
    assert len(admin.get("/admin/users", params={"search": stem, "limit": 1000}).json()) == 50


def test_the_columns_may_stand_in_any_order_behind_a_byte_order_mark(admin: httpx.Client) -> None:
    name = unique("order")
    made = send(admin, f"\ufeffrole,username,email\r\nannotator,{name},o@example.org\r\n", "text/csv; charset=UTF-8; header=present")
    assert (made.json()[0]["username"], made.json()[0]["role"]) == (name, "annotator")
    assert send(admin, HEADER).json() == []


@pytest.mark.parametrize(
    ("table", "at"),
    [
        ("", {"/header"}),
        ("\n\n", {"/header"}),
        ("ada,ada@example.org,", {"/header"}),
        ("username,email\nada,ada@example.org", {"/header"}),
        ("username,email,role,password\nada,ada@example.org,,x", {"/header"}),
        ("username,email,email\nada,ada@example.org,x", {"/header"}),
        (f"{HEADER}ada,ada@example.org\nemmy,e@example.org,,x\n", {"/rows/1", "/rows/2"}),
        (f"{HEADER}a\x00da,ada@example.org,", {"/rows/1/username"}),
        (f'{HEADER}ada,"a\nb@example.org",', {"/rows/1/email"}),
        (f'{HEADER}"=cmd()",a@example.org,', {"/rows/1/username"}),
        (HEADER + "ada,a@example.org,\n" * 1001, {"/rows"}),
    ],
)
def test_what_is_wrong_with_a_table_is_pointed_at(admin: httpx.Client, table: str, at: set[str]) -> None:
    assert pointers(send(admin, table)) == at


@pytest.mark.parametrize(
    "table", [b"\xff", HEADER.encode() + b"\xe9", f'{HEADER}"ada,a@example.org,'.encode(), f'{HEADER}"a"da,x,'.encode()]
)
def test_what_is_no_csv_is_malformed(admin: httpx.Client, table: bytes) -> None:
    problem(send(admin, table), 400, "malformed")


@pytest.mark.parametrize("media_type", [None, "application/json", "text/plain", "text/csv; charset=latin-1"])
def test_only_csv_is_taken(admin: httpx.Client, media_type: str | None) -> None:
    assert "text/csv" in problem(send(admin, HEADER, media_type), 415)["detail"]


def test_a_table_has_at_most_one_mebibyte(admin: httpx.Client) -> None:
    problem(send(admin, b"x" * (1024 * 1024 + 1)), 413, "too-large")


def test_only_admins_import_and_hear_that_first(anonymous: httpx.Client, member: httpx.Client, annotator: httpx.Client) -> None:
    problem(send(anonymous, b"\xff"), 401)
    for person in (member, annotator):
        problem(send(person, b"\xff"), 403, "not-allowed")
