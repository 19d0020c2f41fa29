"""`Idempotency-Key` over HTTP: what is sent again is answered again, and done once."""

import json
import signal
import socket
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.e2e.client import ADMIN_PASSWORD, Service, at_once, client, data_folder, log_in, problem, serving, token_of, unique, until

REPLAYED = "idempotency-replayed"
OF_EACH_REQUEST = {"x-request-id", "date", REPLAYED}


def key(value: str | None = None) -> dict[str, str]:
    return {"idempotency-key": value or str(uuid4())}


def lasting(response: httpx.Response) -> tuple[int, bytes, dict[str, str]]:
    """What a replay repeats: status, body, and the headers that are not of one request alone."""
    return response.status_code, response.content, {name: value for name, value in response.headers.items() if name not in OF_EACH_REQUEST}


def expect_replay(again: httpx.Response, first: httpx.Response) -> None:
    assert REPLAYED not in first.headers
    assert again.headers[REPLAYED] == "true"
    assert lasting(again) == lasting(first)
    assert again.headers["x-request-id"] != first.headers["x-request-id"]


def count(reader: httpx.Client, project: str) -> int:
    found: int = reader.get(f"/{project}/resources/count").json()["count"]
    return found


def test_a_project_is_made_once_and_answered_again(admin: httpx.Client) -> None:
    slug, one = unique("once"), key()
    first, again, last = (admin.post("/admin/projects", json={"slug": slug, "title": "T"}, headers=one) for _ in range(3))
    assert first.status_code == 201
    assert {"etag", "location", "content-type"} <= set(first.headers)
    expect_replay(again, first)
    expect_replay(last, first)


def test_a_resource_is_made_once_and_answered_again_whatever_became_of_it(admin: httpx.Client, member: httpx.Client, project: str) -> None:
    address, body, one = f"/admin/{project}/resources", {"name": "Figurë 1", "attributes": {"n": 1e16}}, key()
    first = member.post(address, json=body, headers=one)
    assert first.status_code == 201
    expect_replay(member.post(address, json=body, headers=one), first)
    member.patch(f"{address}/{first.json()['id']}", json={"name": "Another"})
    expect_replay(member.post(address, json=body, headers=one), first)
    assert count(member, project) == 1
    admin.delete(f"/admin/projects/{project}")
    expect_replay(member.post(address, json=body, headers=one), first)


def test_without_a_key_nothing_is_replayed(member: httpx.Client, project: str) -> None:
    address = f"/admin/{project}/resources"
    assert member.post(address, json={"name": "One"}).status_code == 201
    problem(member.post(address, json={"name": "One"}), 409, "name-taken")
    assert member.post(address, json={"name": "One"}, headers=key()).status_code == 409


def test_the_same_key_with_another_body_address_or_query_is_refused_and_does_nothing(
    admin: httpx.Client, member: httpx.Client, project: str
) -> None:
    address, one = f"/admin/{project}/resources", key()
    sent = {"name": "One", "description": None}
    first = member.post(address, json=sent, headers=one)
    other = unique("other")
    for path, content in [
        (address, b'{"name":"Two"}'),
        (address, b'{"name":"One"}'),
        (address, json.dumps(sent, indent=1).encode()),
        (f"/admin/{other}/resources", json.dumps(sent).encode()),
    ]:
        if other in path:
            admin.post("/admin/projects", json={"slug": other, "title": "T"})
        refused = member.post(path, content=content, headers=one | {"content-type": "application/json"})
        assert problem(refused, 422, "idempotency-key-reused")["errors"][0]["code"] == "idempotency-key-reused"
        assert REPLAYED not in refused.headers
    assert (count(member, project), count(member, other)) == (1, 0)
    expect_replay(member.post(address, json=sent, headers=one), first)
    mine = key()
    assert admin.post("/admin/projects", json={"slug": unique("x"), "title": "T"}, headers=mine).status_code == 201
    problem(admin.post(address, json={"name": "Three"}, headers=mine), 422, "idempotency-key-reused")
    assert count(member, project) == 1


def test_a_key_is_its_users_alone_and_their_api_keys(member: httpx.Client, stranger: httpx.Client, service: Service, project: str) -> None:
    address, one = f"/admin/{project}/resources", key()
    first = member.post(address, json={"name": "One"}, headers=one)
    theirs = stranger.post(address, json={"name": "Two"}, headers=one)
    assert (theirs.status_code, theirs.json()["name"]) == (201, "Two")
    made = member.post("/auth/api-keys", json={"name": "ci", "scopes": ["read", "write"], "expires_in_days": 1})
    with client(service.url, made.json()["key"]) as program:
        expect_replay(program.post(address, json={"name": "One"}, headers=one), first)


def test_a_refusal_is_an_outcome_too(admin: httpx.Client, member: httpx.Client, project: str) -> None:
    address, one = f"/admin/{project}/resources", key()
    taken = member.post(address, json={"name": "One"}).json()
    first = member.post(address, json={"name": "One"}, headers=one)
    told = problem(first, 409, "name-taken")
    admin.delete(f"{address}/{taken['id']}")
    again = member.post(address, json={"name": "One"}, headers=one)
    expect_replay(again, first)
    assert again.json()["request_id"] == told["request_id"] != again.headers["x-request-id"]
    assert count(member, project) == 0


def test_a_refusal_by_a_rule_is_told_as_without_a_key_and_replayed(member: httpx.Client, project: str) -> None:
    deep: dict[str, Any] = {}
    for _ in range(20):
        deep = {"a": deep}
    for slug, status in [(project, 422), (unique("unknown"), 404)]:
        address, one, body = f"/admin/{slug}/resources", key(), {"name": "One", "attributes": deep}
        plain, first = member.post(address, json=body), member.post(address, json=body, headers=one)
        assert plain.json() | {"request_id": ""} == problem(first, status) | {"request_id": ""}
        expect_replay(member.post(address, json=body, headers=one), first)


def test_what_was_not_judged_leaves_the_key_unused(
    anonymous: httpx.Client, admin: httpx.Client, member: httpx.Client, project: str
) -> None:
    address, one = f"/admin/{project}/resources", key()
    plain = one | {"content-type": "application/json"}
    problem(anonymous.post(address, json={"name": "One"}, headers=one), 401)
    problem(member.post("/admin/projects", json={"slug": unique("x"), "title": "T"}, headers=one), 403)
    problem(member.post(address, content=b"{", headers=plain), 400)
    problem(member.post(address, content=b'{"name":"One"}', headers=one | {"content-type": "text/plain"}), 415)
    problem(member.post(address, content=b" " * (1024 * 1024 + 1), headers=plain), 413)
    problem(member.post(address, json={"name": 1}, headers=one), 422)
    problem(member.post(f"{address}?x=1", json={"name": "One"}, headers=one), 422)
    made = member.post(address, json={"name": "One"}, headers=one)
    assert (made.status_code, REPLAYED in made.headers) == (201, False)


@pytest.mark.parametrize("value", ["", "k" * 256, "a\tb", "schlüssel"])
def test_a_bad_key_is_refused_and_nothing_is_made(member: httpx.Client, project: str, value: str) -> None:
    headers = [(b"idempotency-key", value.encode("latin-1"))]
    refused = member.post(f"/admin/{project}/resources", json={"name": "One"}, headers=headers)
    problem(refused, 422, "idempotency-key-malformed")
    assert count(member, project) == 0


def test_a_key_comes_once(member: httpx.Client, project: str) -> None:
    headers = [("idempotency-key", "one"), ("idempotency-key", "one")]
    problem(member.post(f"/admin/{project}/resources", json={"name": "One"}, headers=headers), 422, "idempotency-key-malformed")
    assert count(member, project) == 0


@pytest.mark.parametrize("value", ["k", "k" * 255, "".join(map(chr, range(0x21, 0x7F))), 'a "quoted" key'])
def test_every_printable_key_is_good(member: httpx.Client, project: str, value: str) -> None:
    first, again = (member.post(f"/admin/{project}/resources", json={"name": value}, headers=key(f"{project}{value}"[-255:])) for _ in "ab")
    assert first.status_code == 201
    expect_replay(again, first)


def test_elsewhere_the_header_means_nothing(member: httpx.Client, project: str) -> None:
    made = member.post(f"/admin/{project}/resources", json={"name": "One"})
    address, bad = f"/admin/{project}/resources/{made.json()['id']}", {"idempotency-key": "k" * 300}
    for title in ("Two", "Three"):
        changed = member.patch(address, json={"name": title}, headers=bad)
        assert (changed.status_code, changed.json()["name"], REPLAYED in changed.headers) == (200, title, False)


def test_of_many_at_once_one_is_made_and_the_others_are_told_so(member: httpx.Client, service: Service, project: str) -> None:
    address = f"{service.url}/admin/{project}/resources"
    headers = dict(member.headers) | key()

    def post(_: int) -> httpx.Response:
        return httpx.post(address, json={"name": "One"}, headers=headers, timeout=30)

    told = at_once(post, 32)
    made = [each for each in told if each.status_code == 201]
    (first,) = [each for each in made if REPLAYED not in each.headers]
    for each in told:
        if each.status_code == 201:
            assert each.content == first.content
        else:
            problem(each, 409, "idempotency-key-in-use")
            assert int(each.headers["retry-after"]) >= 1
    assert count(member, project) == 1
    expect_replay(post(0), first)


def test_a_kill_between_the_commit_and_the_answer_loses_nothing() -> None:
    """The answer lies in a socket that nobody reads; after the next start the same request gets it."""
    settings = {"ADMIN_PASSWORD": ADMIN_PASSWORD, "RATE_LIMITS": "off"}
    body = json.dumps({"slug": "story", "title": "A story"})
    with data_folder() as folder:
        with serving(folder=folder, **settings) as service:
            token = token_of(log_in(service.url, "admin", ADMIN_PASSWORD))
            headers = {"authorization": f"Bearer {token}", "content-type": "application/json", **key()}
            lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            head = f"POST /admin/projects HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n{lines}\r\n"
            with socket.create_connection(("127.0.0.1", service.port), timeout=10) as unread:
                unread.sendall((head + body).encode())
                until(lambda: httpx.get(f"{service.url}/story").status_code == 200, "the project is stored")
                service.stop(signal.SIGKILL)
        with serving(folder=folder, **settings) as service:
            first, second = (httpx.post(f"{service.url}/admin/projects", content=body, headers=headers) for _ in "ab")
            assert (first.status_code, first.headers[REPLAYED]) == (201, "true")
            assert lasting(first) == lasting(second)
            assert [each["slug"] for each in httpx.get(f"{service.url}/projects").json()] == ["story"]


def test_the_documents_tell_which_routes_take_it(admin: httpx.Client) -> None:
    document = admin.get("/admin/openapi.json").json()
    taking = {
        (method, path): operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if any(each["name"] == "Idempotency-Key" for each in operation.get("parameters", []))
    }
    assert {("post", "/admin/projects"), ("post", "/admin/{project}/resources")} <= set(taking)
    for operation in taking.values():
        (success,) = [response for status, response in operation["responses"].items() if status.startswith("2")]
        assert success["headers"]["Idempotency-Replayed"]["schema"]
        assert success["content"]
        assert "409" in operation["responses"]
