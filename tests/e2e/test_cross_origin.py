"""Pages of other origins: what a browser is told, and to which of them."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.client import ADMIN_PASSWORD, Service, client, exchange, problem, serving

STORIES, LOCAL = "https://stories.example.org", "http://localhost:3000"
REQUEST_HEADERS = {
    "authorization",
    "content-type",
    "if-match",
    "if-none-match",
    "if-range",
    "range",
    "idempotency-key",
    "x-respondent-token",
    "x-request-id",
    "traceparent",
    "cache-control",
}
EXPOSED = {
    "etag",
    "link",
    "location",
    "retry-after",
    "ratelimit",
    "ratelimit-policy",
    "x-request-id",
    "content-disposition",
    "content-range",
    "accept-ranges",
    "repr-digest",
}
OTHERS = [
    "null",
    "",
    "*",
    "http://stories.example.org",
    "https://stories.example.org:443",
    "https://stories.example.org:8443",
    "https://stories.example.org/",
    "https://stories.example.org.evil.example",
    "https://evil-stories.example.org",
    "https://evil.example?https://stories.example.org",
    "https://sub.stories.example.org",
    "https://example.org",
    "https://STORIES.example.org",
    "https://stories.example.org, http://localhost:3000",
    "http://localhost",
    "http://localhost:3001",
    "https://localhost:3000",
    "http://127.0.0.1:3000",
]


@pytest.fixture(scope="module")
def open_service(database: dict[str, str]) -> Iterator[Service]:
    """A service that pages of two origins may use."""
    settings = {"ADMIN_PASSWORD": ADMIN_PASSWORD, "ALLOWED_ORIGINS": f"{STORIES}, {LOCAL}"} | database
    with serving("--demo", folder=None, **settings) as running:
        yield running


@pytest.fixture
def page(open_service: Service) -> Iterator[httpx.Client]:
    with client(open_service.url) as browser:
        yield browser


def preflight(browser: httpx.Client, address: str, origin: str = STORIES, method: str = "GET", **headers: str) -> httpx.Response:
    return browser.options(address, headers={"origin": origin, "access-control-request-method": method} | headers)


def names(answer: httpx.Response, header: str) -> set[str]:
    return {name.strip().lower() for name in answer.headers.get(header, "").split(",") if name.strip()}


def cors_headers(answer: httpx.Response) -> set[str]:
    return {name for name in answer.headers if name.startswith("access-control-")}


@pytest.mark.parametrize("origin", [STORIES, LOCAL])
@pytest.mark.parametrize(
    ("address", "methods"),
    [
        ("/projects", {"get", "head"}),
        ("/dark-data/survey/upsert", {"post"}),
        ("/auth/login", {"post"}),
        ("/auth/profile", {"put"}),
        ("/auth/sessions", {"get", "head", "delete"}),
        ("/admin/dark-data/resources/1", {"put", "patch", "delete"}),
        ("/no-such-story/resources", {"get", "head"}),
    ],
)
def test_a_preflight_tells_what_a_page_may_do_there(page: httpx.Client, origin: str, address: str, methods: set[str]) -> None:
    answer = preflight(page, address, origin, **{"access-control-request-headers": "authorization,x-odd"})
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == origin
    assert names(answer, "access-control-allow-methods") == methods
    assert names(answer, "access-control-allow-headers") == REQUEST_HEADERS
    assert int(answer.headers["access-control-max-age"]) > 0
    assert names(answer, "vary") == {"origin"}
    assert "access-control-allow-credentials" not in answer.headers
    assert {"x-request-id", "x-content-type-options", "content-security-policy"} <= set(answer.headers)
    assert "content-type" not in answer.headers


def answers(page: httpx.Client, origin: str) -> list[httpx.Response]:
    """Some answer of many a status."""
    headers = {"origin": origin}
    return [
        page.get("/projects", headers=headers),
        page.head("/projects", headers=headers),
        page.get("/dark-data", headers=headers | {"if-none-match": "*"}),
        page.post("/auth/login", content=b"{", headers=headers | {"content-type": "application/json"}),
        page.get("/auth/me", headers=headers),
        page.get("/no-such-story", headers=headers),
        page.post("/projects", headers=headers),
        page.post("/auth/login", headers=headers),
        page.get("/projects?x=1", headers=headers),
        page.get("/" + "x" * 9000, headers=headers),
        page.options("/projects", headers=headers),
    ]


@pytest.mark.parametrize("origin", [STORIES, LOCAL])
def test_a_page_can_read_every_answer_and_what_it_needs_of_its_headers(page: httpx.Client, origin: str) -> None:
    statuses = set()
    for answer in answers(page, origin):
        statuses.add(answer.status_code)
        assert answer.headers["access-control-allow-origin"] == origin
        assert names(answer, "access-control-expose-headers") == EXPOSED
        assert names(answer, "vary") == {"origin"}
        assert "access-control-allow-credentials" not in answer.headers
    assert statuses == {200, 304, 400, 401, 404, 405, 414, 415, 422}


@pytest.mark.parametrize("origin", OTHERS)
def test_a_page_of_any_other_origin_is_told_nothing(page: httpx.Client, origin: str) -> None:
    for answer in (page.get("/projects", headers={"origin": origin}), page.get("/no-such-story", headers={"origin": origin})):
        assert cors_headers(answer) == set()
        assert names(answer, "vary") == {"origin"}
    asked = preflight(page, "/projects", origin)
    problem(asked, 405, "method-not-allowed")
    assert cors_headers(asked) == set()


def test_an_answer_says_that_it_depends_on_the_origin_also_without_one(page: httpx.Client) -> None:
    answer = page.get("/projects")
    assert cors_headers(answer) == set()
    assert names(answer, "vary") == {"origin"}


def test_two_origins_are_none(open_service: Service) -> None:
    lines = f"GET /projects HTTP/1.1\r\nHost: x\r\nOrigin: {STORIES}\r\nOrigin: {STORIES}\r\nConnection: close\r\n\r\n"
    assert b"access-control" not in exchange(open_service.port, lines.encode()).lower()


def test_a_preflight_for_what_is_not_there_is_not_found(page: httpx.Client) -> None:
    problem(preflight(page, "/no/such/thing/at/all"), 404)
    problem(preflight(page, "/projects/"), 404)
    problem(preflight(page, "/dark%00data"), 400)


def test_a_preflight_costs_nothing_of_a_limit(page: httpx.Client) -> None:
    before = page.get("/projects").headers["ratelimit"]
    for _ in range(5):
        assert "ratelimit" not in preflight(page, "/projects").headers

    def left(ratelimit: str) -> int:
        return int(ratelimit.split("r=")[1].split(";", maxsplit=1)[0])

    assert left(page.get("/projects").headers["ratelimit"]) == left(before) - 1


def test_a_page_signs_in_and_writes(open_service: Service, page: httpx.Client) -> None:
    body: dict[str, Any] = {"username": "admin", "password": ADMIN_PASSWORD}
    signed_in = page.post("/auth/login", json=body, headers={"origin": STORIES})
    assert signed_in.headers["access-control-allow-origin"] == STORIES
    token = signed_in.json()["access_token"]
    with client(open_service.url, token, origin=STORIES) as person:
        shown = person.get("/auth/me")
        assert (shown.status_code, shown.headers["access-control-allow-origin"]) == (200, STORIES)


@pytest.mark.parametrize("origin", [STORIES, LOCAL, "null"])
def test_without_the_setting_nothing_of_this_is_there(anonymous: httpx.Client, origin: str) -> None:
    answer = anonymous.get("/projects", headers={"origin": origin})
    assert "vary" not in answer.headers
    assert cors_headers(answer) == set()
    problem(preflight(anonymous, "/projects", origin), 405)
