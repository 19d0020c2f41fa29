"""What every request meets and every answer has, whatever the route: syntax, methods, headers, order of errors, raw sockets."""

import gzip
from typing import Any

import httpx
import pytest

from tests.e2e.client import Service, answers, client, exchange, make_resource, pointers, problem
from tests.e2e.test_survey import DEFINITION

JSON = {"content-type": "application/json"}
HEADERS_OF_ALL = {"x-request-id", "x-content-type-options", "referrer-policy", "content-security-policy"}
MEBIBYTE = 1024 * 1024


def post_login(anonymous: httpx.Client, body: bytes, **headers: str) -> httpx.Response:
    return anonymous.post("/auth/login", content=body, headers=JSON | headers)


# --- bodies -------------------------------------------------------------------------------------------------------------------


def nested(depth: int, core: bytes = b"") -> bytes:
    """A body that nests so deep, its own braces included."""
    return b'{"username": ' + b"[" * (depth - 1) + core + b"]" * (depth - 1) + b', "password": ""}'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"nonsense",
        b'{"username": "a", "password": "b"} trailing',
        b'{"username": "a", "password": "b"}{}',
        b'{"username": "a", "password": "b",}',
        b"{'username': 'a', 'password': 'b'}",
        b'{"username": "a", "password": "b", "username": "c"}',
        b'{"username": "a", "password": "b", "user\\u006eame": "c"}',
        b'{"username": {"a": 1, "a": 2}, "password": "b"}',
        b'{"username": NaN, "password": "b"}',
        b'{"username": Infinity, "password": "b"}',
        b'{"username": -Infinity, "password": "b"}',
        b'{"username": 01, "password": "b"}',
        b'{"username": .5, "password": "b"}',
        b'{"username": 0x1, "password": "b"}',
        b'{"username": "\x00", "password": "b"}',
        b'{"username": "a\nb", "password": "b"}',
        b'{"username": "\\x41", "password": "b"}',
        b'{"username": "\xff", "password": "b"}',
        b'{"username": "\xed\xa0\x80", "password": "b"}',
        b'{"username": "\xc0\xaf", "password": "b"}',
        b'\xef\xbb\xbf{"username": "a", "password": "b"}',
        '{"username": "a", "password": "b"}'.encode("utf-16"),
        '{"username": "a", "password": "b"}'.encode("utf-32"),
        nested(33, b"1"),
        nested(33),
        nested(40_000),
        b"[" * 200_000,
        b'{"a":' * 100_000,
        gzip.compress(b'{"username": "a", "password": "b"}', mtime=0),
    ],
)
def test_what_is_not_strict_json_is_malformed(anonymous: httpx.Client, body: bytes) -> None:
    problem(post_login(anonymous, body), 400, "malformed")


@pytest.mark.parametrize(
    "body",
    [
        b"null",
        b"[]",
        b'"text"',
        b"1" * 5000,
        b'{"username": ' + b"1" * 5000 + b', "password": "b"}',
        b'{"username": -' + b"1" * 4301 + b', "password": "b"}',
        b'{"username": "a\\u0000", "password": "b"}',
        b'{"username": "a\\u001f", "password": "b"}',
        b'{"username": "a\\b", "password": "b"}',
        b'{"username": "a\\u000b", "password": "b"}',
        b'{"username": "a\\u0085", "password": "b"}',
        b'{"username": "a\xc2\x85", "password": "b"}',
        b'{"username": "a\\ud800", "password": "b"}',
        b'{"username": "a\\udc00\\ud800", "password": "b"}',
        b'{"username": "a", "password": "b", "\\u0000": 1}',
        b'{"username": "a", "password": "b", "\\ud83d": 1}',
        nested(32, b"1"),
        nested(32),
    ],
)
def test_strict_json_that_breaks_a_rule_is_invalid(anonymous: httpx.Client, body: bytes) -> None:
    pointers(post_login(anonymous, body))


def test_harmless_escapes_are_read(anonymous: httpx.Client) -> None:
    body = b'{"username": "a\\ud83e\\udd86\\r\\n\\t\\/\\"\\u00e9", "password": "\x7f \\u00a0"}'
    problem(post_login(anonymous, body), 401, "invalid-credentials")
    problem(post_login(anonymous, b'\r\n\t {"username": "a", "password": "b"}\n'), 401)


@pytest.mark.parametrize(
    "media_type",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "application/problem+json",
        "application/json; charset=latin-1",
        "application/json, text/plain",
        "*/*",
    ],
)
def test_only_json_is_taken_as_json(anonymous: httpx.Client, media_type: str | None) -> None:
    headers = {} if media_type is None else {"content-type": media_type}
    refused = anonymous.post("/auth/login", content=b'{"username": "a", "password": "b"}', headers=headers)
    problem(refused, 415, "unsupported-media-type")


def test_an_encoded_body_is_not_taken_as_it_stands(anonymous: httpx.Client) -> None:
    body = b'{"username": "a", "password": "b"}'
    for coding, status in (("gzip", 415), ("deflate, gzip", 415), ("Identity", 401)):
        headers = {"content-type": "application/json", "content-encoding": coding}
        problem(anonymous.post("/auth/login", content=body, headers=headers), status)


@pytest.mark.parametrize(
    "media_type", ["application/json", "Application/JSON", "application/json;charset=UTF-8", 'application/json; charset="utf-8"']
)
def test_json_is_taken_however_its_type_is_written(anonymous: httpx.Client, media_type: str) -> None:
    problem(post_login(anonymous, b'{"username": "a", "password": "b"}', **{"content-type": media_type}), 401)


def body_of(size: int) -> bytes:
    frame = b'{"username": "a", "password": ""}'
    return frame[:-2] + b"x" * (size - len(frame)) + frame[-2:]


def test_a_body_may_have_one_mebibyte_and_not_a_byte_more(anonymous: httpx.Client) -> None:
    assert pointers(post_login(anonymous, body_of(MEBIBYTE))) == {"/password"}
    problem(post_login(anonymous, body_of(MEBIBYTE + 1)), 413, "too-large")


@pytest.mark.parametrize("chunked", [False, True])
def test_the_refusal_of_a_big_body_can_be_read(anonymous: httpx.Client, *, chunked: bool) -> None:
    pieces = (b"x" * 65536 for _ in range(8 * 16))
    body = pieces if chunked else b"".join(pieces)
    problem(anonymous.post("/auth/login", content=body, headers=JSON), 413, "too-large")


def test_a_refusal_never_repeats_what_was_sent(anonymous: httpx.Client, admin: httpx.Client, project: str) -> None:
    odd = "<b>zebra</b>"
    refused = [
        anonymous.post("/auth/login", json={odd: odd, "username": odd, "password": 1}),
        anonymous.post("/auth/register", json={"username": odd, "email": odd, "password": odd}),
        anonymous.get("/projects", params={odd: odd}),
        anonymous.get("/projects", params={"limit": odd}),
        anonymous.get(f"/{project}/resources", params={"sort": odd, "status": odd, "cursor": odd}),
        anonymous.get(f"/{odd}"),
        anonymous.get(f"/problems/{odd}"),
        admin.put(f"/admin/{project}/survey", json=DEFINITION | {"identity": odd, odd: 1}),
        admin.put(f"/admin/{project}/survey", json={"title": "T", "questions": [{"field": odd, "type": odd}]}),
        admin.post(f"/admin/{project}/resources", json={"name": odd, "status": odd, "attributes": odd}),
        anonymous.get("/auth/me", headers={"authorization": f"Bearer {odd}"}),
    ]
    for answer in refused:
        assert answer.status_code >= 400
        assert "zebra" not in answer.text


# --- queries and paths --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["&", "limit=1&", "&&limit=1", "limit=1&&"])
def test_nothing_between_two_ampersands_is_no_parameter(anonymous: httpx.Client, query: str) -> None:
    assert anonymous.get(f"/projects?{query}").status_code == 200


@pytest.mark.parametrize("query", ["limit=%", "limit=%zz", "%=1", "search=100%", "search=%4", "search=%25%"])
def test_a_query_with_a_stray_percent_sign_is_malformed(anonymous: httpx.Client, query: str) -> None:
    problem(anonymous.get(f"/dark-data/resources?{query}"), 400, "malformed")


@pytest.mark.parametrize("query", ["limit=%ff", "%ff=1", "search=%C3", "a=%ed%a0%80", "limit=%c0%80"])
def test_a_query_that_is_not_utf8_is_malformed(anonymous: httpx.Client, query: str) -> None:
    problem(anonymous.get(f"/projects?{query}"), 400, "malformed")


@pytest.mark.parametrize("query", ["x=1", "limit=1&x", "limit", "=", "&=&", "limit=1;x=2", "limit[]=1", "LIMIT=1"])
def test_an_unknown_parameter_is_refused(anonymous: httpx.Client, query: str) -> None:
    pointers(anonymous.get(f"/projects?{query}"))


@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("GET", "/"),
        ("GET", "/health"),
        ("GET", "/health/live"),
        ("GET", "/dark-data"),
        ("GET", "/dark-data/resources/1"),
        ("GET", "/dark-data/survey"),
        ("GET", "/problems/invalid"),
        ("GET", "/auth/me"),
        ("GET", "/admin/users/1"),
        ("GET", "/openapi.json"),
        ("GET", "/docs"),
        ("POST", "/auth/logout"),
        ("DELETE", "/admin/dark-data/resources/1"),
    ],
)
def test_a_route_without_parameters_refuses_any(admin: httpx.Client, method: str, address: str) -> None:
    assert pointers(admin.request(method, f"{address}?verbose=1")) == {""}


@pytest.mark.parametrize(
    "path",
    ["/%00", "/dark-data%00", "/dark-data%0A", "/projects%0a", "/a%09b", "/%1f", "/%7F%C2%80", "/%ff", "/%c3", "/dark-data/resources/1%00"],
)
def test_a_path_with_controls_or_bad_utf8_is_malformed(service: Service, path: str) -> None:
    (answer,) = answers(exchange(service.port, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()))
    assert answer.status == 400
    assert b'"malformed"' in answer.body


@pytest.mark.parametrize("path", ["/dark%2Ddata", "/%64ark-data"])
def test_an_escape_that_hides_nothing_is_read(anonymous: httpx.Client, service: Service, path: str) -> None:
    (answer,) = answers(exchange(service.port, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()))
    assert answer.status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/projects/",
        "//projects",
        "/projects//",
        "/./projects",
        "/dark-data/../projects",
        "/Projects",
        "/dark-data/resources/",
        "/é",
        "/dark-data%2fresources",
        "/dark-data%2Fresources/1",
    ],
)
def test_an_address_that_is_nearly_right_is_not_found(service: Service, path: str) -> None:
    target = path.replace("é", "%C3%A9")
    (answer,) = answers(exchange(service.port, f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()))
    assert answer.status == 404


@pytest.mark.parametrize("target", ["/projects?cursor=" + "x" * 9000, "/" + "x" * 9000, "/dark-data/" + "%41" * 3000])
def test_a_long_address_is_refused(anonymous: httpx.Client, target: str) -> None:
    problem(anonymous.get(target), 414, "uri-too-long")


@pytest.mark.parametrize("size", [9_000, 40_000, 65_000, 66_000, 70_000, 200_000])
@pytest.mark.parametrize("before", ["/", "/dark-data?x="])
def test_an_address_that_no_parser_takes_is_refused_alike(service: Service, before: str, size: int) -> None:
    sent = f"GET {before}{'a' * size} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
    (answer,) = answers(exchange(service.port, sent))
    assert (answer.status, b'"uri-too-long"' in answer.body) == (414, True)


@pytest.mark.parametrize("headers", [{"x-filler": "x" * 40_000}, {f"x-{number}": "x" * 100 for number in range(500)}])
def test_large_headers_are_refused(anonymous: httpx.Client, headers: dict[str, str]) -> None:
    refused = anonymous.get("/", headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (431, "headers-too-large")
    assert anonymous.get("/", headers={"x-filler": "x" * 20_000}).status_code == 200


# --- methods ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "address", "allow"),
    [
        ("POST", "/", {"GET", "HEAD"}),
        ("DELETE", "/projects", {"GET", "HEAD"}),
        ("PUT", "/health", {"GET", "HEAD"}),
        ("PATCH", "/dark-data", {"GET", "HEAD"}),
        ("POST", "/dark-data/resources", {"GET", "HEAD"}),
        ("DELETE", "/dark-data/resources/count", {"GET", "HEAD"}),
        ("PUT", "/dark-data/survey", {"GET", "HEAD"}),
        ("GET", "/dark-data/survey/upsert", {"POST"}),
        ("HEAD", "/dark-data/survey/upsert", {"POST"}),
        ("GET", "/auth/login", {"POST"}),
        ("POST", "/auth/me", {"GET", "HEAD"}),
        ("DELETE", "/admin/users", {"GET", "HEAD", "POST"}),
        ("DELETE", "/admin/users/1", {"GET", "HEAD", "PATCH"}),
        ("GET", "/admin/projects", {"POST"}),
        ("PUT", "/admin/projects/dark-data", {"PATCH", "DELETE"}),
        ("GET", "/admin/dark-data/resources", {"POST"}),
        ("GET", "/admin/dark-data/resources/1", {"PUT", "PATCH", "DELETE"}),
        ("POST", "/admin/dark-data/resources/1", {"PUT", "PATCH", "DELETE"}),
        ("GET", "/admin/dark-data/resources/1/restore", {"POST"}),
        ("GET", "/admin/dark-data/survey", {"PUT"}),
        ("OPTIONS", "/projects", {"GET", "HEAD"}),
        ("TRACE", "/projects", {"GET", "HEAD"}),
        ("PROPFIND", "/projects", {"GET", "HEAD"}),
    ],
)
def test_a_method_that_an_address_does_not_know_is_told_the_others(
    anonymous: httpx.Client, method: str, address: str, allow: set[str]
) -> None:
    refused = anonymous.request(method, address)
    assert refused.status_code == 405
    assert {name.strip() for name in refused.headers["allow"].split(",")} == allow
    if method != "HEAD":
        problem(refused, 405, "method-not-allowed")


READABLE = [
    "/",
    "/health",
    "/health/live",
    "/health/ready",
    "/projects",
    "/dark-data",
    "/dark-data/resources",
    "/dark-data/resources?limit=1",
    "/dark-data/resources/count",
    "/dark-data/resources/paginated",
    "/dark-data/resources/1",
    "/dark-data/survey",
    "/problems/invalid",
    "/openapi.json",
    "/docs",
    "/docs/swagger-ui.css",
    "/auth/me",
    "/admin/users",
    "/admin/users/1",
    "/admin/openapi.json",
    "/admin/docs",
    "/nothing/here",
    "/dark-data/survey/response",
    "/projects?x=1",
]


@pytest.mark.parametrize("address", READABLE)
def test_head_answers_what_get_does_without_the_body(admin: httpx.Client, address: str) -> None:
    of_get, of_head = admin.get(address), admin.head(address)
    assert of_head.status_code == of_get.status_code
    assert of_head.content == b""

    def comparable(headers: httpx.Headers) -> dict[str, str]:
        # A problem's length rests on its request id alone, and that always has the same.
        return {name: value for name, value in headers.items() if name not in ("date", "x-request-id")}

    assert comparable(of_head.headers) == comparable(of_get.headers)


@pytest.mark.parametrize("address", [*READABLE, "/docs/start.js", "/docs/favicon.png", "/dark-data/survey/codebook"])
def test_whatever_has_a_body_says_what_it_is_and_in_which_letters(admin: httpx.Client, address: str) -> None:
    answer = admin.get(address)
    kind, _, rest = answer.headers["content-type"].partition(";")
    assert answer.content
    assert rest.strip() == ("charset=utf-8" if kind.startswith("text/") else "")
    if kind in ("application/json", "application/problem+json"):  # UTF-8 by their own definition: they know no charset
        answer.json()
    else:
        assert kind in ("text/html", "text/css", "text/javascript", "image/png")
        assert answer.content.startswith(b"\x89PNG") == (kind == "image/png")


# --- headers of every answer --------------------------------------------------------------------------------------------------


def one_of_each(anonymous: httpx.Client, member: httpx.Client, admin: httpx.Client, project: str) -> dict[int, httpx.Response]:
    """An answer of each status that a request can be brought to."""
    made = admin.post(f"/admin/{project}/resources", json={"name": "R"})
    address = f"/admin/{project}/resources/{made.json()['id']}"
    gone = admin.post("/admin/projects", json={"slug": f"{project}-gone", "title": "T"}).json()["slug"]
    return {
        200: anonymous.get("/projects"),
        201: made,
        204: admin.delete(f"/admin/projects/{gone}"),
        304: anonymous.get(f"/{project}", headers={"if-none-match": "*"}),
        400: post_login(anonymous, b"{"),
        401: anonymous.get("/auth/me"),
        403: member.get("/admin/users"),
        404: anonymous.get("/no-such-story"),
        405: anonymous.post("/projects"),
        409: admin.post(f"/admin/{project}/resources", json={"name": "r"}),
        412: admin.delete(address, headers={"if-match": '"9"'}),
        413: post_login(anonymous, body_of(MEBIBYTE + 1)),
        414: anonymous.get("/" + "x" * 9000),
        415: anonymous.post("/auth/login", content=b"{}"),
        422: anonymous.get("/projects?x=1"),
        431: anonymous.get("/", headers={"x-filler": "x" * 40_000}),
    }


def test_every_answer_has_the_headers_of_all(anonymous: httpx.Client, member: httpx.Client, admin: httpx.Client, project: str) -> None:
    lacking: dict[int, set[str]] = {}
    for status, answer in one_of_each(anonymous, member, admin, project).items():
        assert answer.status_code == status, answer.text
        assert "server" not in answer.headers
        assert "x-powered-by" not in answer.headers
        assert "set-cookie" not in answer.headers
        lacking[status] = HEADERS_OF_ALL - set(answer.headers)
        if not lacking[status]:
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"
            policy = {part.strip() for part in answer.headers["content-security-policy"].split(";")}
            assert policy == {"default-src 'none'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'", "sandbox"}
    assert {status: names for status, names in lacking.items() if names} == {}


def test_every_refusal_is_a_problem(anonymous: httpx.Client, member: httpx.Client, admin: httpx.Client, project: str) -> None:
    for status, answer in one_of_each(anonymous, member, admin, project).items():
        if status in (400, 401, 403, 404, 405, 409, 412, 413, 414, 415, 422):
            problem(answer, status)
    assert answer.status_code == 431


def test_a_raw_refusal_has_the_headers_of_all(service: Service) -> None:
    (answer,) = answers(exchange(service.port, b"garbage\r\n\r\n"))
    assert answer.status == 400
    assert set(answer.headers) >= HEADERS_OF_ALL


@pytest.mark.parametrize("address", ["/auth/me", "/projects", "/dark-data", "/openapi.json", "/docs", "/no-such-story", "/projects?x=1"])
def test_nothing_answered_to_a_signed_in_caller_is_stored(admin: httpx.Client, address: str) -> None:
    assert admin.get(address).headers["cache-control"] == "no-store"


def test_tokens_are_never_stored(anonymous: httpx.Client) -> None:
    assert anonymous.post("/auth/refresh", json={"refresh_token": "x"}).headers["cache-control"] == "no-store"


@pytest.mark.parametrize("given", ["a", "A-z_0.9", "x" * 64])
def test_a_good_request_id_is_kept(anonymous: httpx.Client, given: str) -> None:
    refused = anonymous.get("/no-such-story", headers={"x-request-id": given})
    assert refused.headers["x-request-id"] == given
    assert refused.json()["request_id"] == given


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "é", "a/b", "a,b", "<a>", "a\tb"])
def test_a_bad_request_id_is_replaced(anonymous: httpx.Client, given: str) -> None:
    first, second = (anonymous.get("/projects", headers=[(b"x-request-id", given.encode())]).headers["x-request-id"] for _ in range(2))
    assert given not in (first, second)
    assert first != second
    assert 1 <= len(first) <= 64


# --- conditional reading ------------------------------------------------------------------------------------------------------

TAGGED = ["/dark-data", "/dark-data/resources/1", "/dark-data/survey", "/admin/users/1", "/auth/me", "/openapi.json", "/admin/openapi.json"]


@pytest.mark.parametrize("address", TAGGED)
def test_what_is_known_already_is_not_sent_again(admin: httpx.Client, address: str) -> None:
    first = admin.get(address)
    tag = first.headers["etag"]
    assert tag.startswith('"')
    assert tag.endswith('"')
    for given in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = admin.get(address, headers={"if-none-match": given})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert admin.head(address, headers={"if-none-match": given}).status_code == 304
    for given in ('"other"', tag.strip('"'), "garbage", ""):
        assert admin.get(address, headers={"if-none-match": given}).status_code == 200


def test_a_changed_thing_is_sent_again(admin: httpx.Client, anonymous: httpx.Client, project: str) -> None:
    made = make_resource(admin, project)
    address = f"/{project}/resources/{made['id']}"
    tag = anonymous.get(address).headers["etag"]
    admin.patch(f"/admin{address}", json={"status": "pending"})
    again = anonymous.get(address, headers={"if-none-match": tag})
    assert again.status_code == 200
    assert again.headers["etag"] != tag


# --- order of errors ----------------------------------------------------------------------------------------------------------

BAD_BODIES: dict[int, dict[str, Any]] = {
    413: {"content": b"x" * (MEBIBYTE + 1), "headers": JSON},
    415: {"content": b"{}", "headers": {"content-type": "text/plain"}},
    400: {"content": b"{", "headers": JSON},
    422: {"content": b'{"nonsense": 1}', "headers": JSON},
}
WITH_BODY = [
    ("POST", "/admin/projects"),
    ("PATCH", "/admin/projects/dark-data"),
    ("POST", "/admin/users"),
    ("PATCH", "/admin/users/1"),
    ("PUT", "/admin/dark-data/survey"),
]


@pytest.mark.parametrize("status", BAD_BODIES)
@pytest.mark.parametrize(
    ("method", "address"), [*WITH_BODY, ("POST", "/admin/no-such-story/resources"), ("PUT", "/admin/dark-data/resources/1")]
)
def test_who_is_not_signed_in_hears_that_first(anonymous: httpx.Client, method: str, address: str, status: int) -> None:
    refused = anonymous.request(method, f"{address}?x=1", **BAD_BODIES[status])
    problem(refused, 401)
    assert refused.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("status", BAD_BODIES)
@pytest.mark.parametrize(
    ("method", "address"),
    [*WITH_BODY, ("PUT", "/admin/no-such-story/survey"), ("PATCH", "/admin/users/999999"), ("PATCH", "/admin/projects/no-such-story")],
)
def test_whose_role_is_too_low_hears_that_before_anything_of_the_request(
    member: httpx.Client, method: str, address: str, status: int
) -> None:
    problem(member.request(method, f"{address}?x=1", **BAD_BODIES[status]), 403, "not-allowed")


@pytest.mark.parametrize("status", BAD_BODIES)
@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("POST", "/admin/no-such-story/resources"),
        ("PUT", "/admin/dark-data/resources/999999"),
        ("PATCH", "/admin/no-such-story/resources/1"),
        ("PUT", "/admin/no-such-story/survey"),
        ("PATCH", "/admin/projects/no-such-story"),
        ("PATCH", "/admin/users/999999"),
    ],
)
def test_what_is_not_there_is_told_before_what_is_wrong_with_the_body(admin: httpx.Client, method: str, address: str, status: int) -> None:
    problem(admin.request(method, address, **BAD_BODIES[status]), 404)
    problem(admin.request(method, f"{address}?x=%ff", **BAD_BODIES[status]), 404)


@pytest.mark.parametrize("query", ["x=1", "limit=0", "search=%ff", "limit=1&limit=1"])
@pytest.mark.parametrize("path", ["", "/resources", "/resources/count", "/resources/paginated", "/resources/1", "/survey"])
def test_what_is_not_there_is_told_before_what_is_wrong_with_the_query(anonymous: httpx.Client, path: str, query: str) -> None:
    problem(anonymous.get(f"/no-such-story{path}?{query}"), 404)


@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("GET", "/problems/no-such-code"),
        ("GET", "/{project}/survey"),
        ("GET", "/{project}/survey/codebook"),
        ("GET", "/{project}/survey/results"),
        ("GET", "/admin/{project}/survey/versions"),
        ("GET", "/admin/{project}/survey/responses"),
        ("GET", "/admin/{project}/survey/responses/export"),
        ("POST", "/admin/{project}/survey/open"),
        ("POST", "/admin/{project}/survey/close"),
        ("GET", "/admin/{project}/exports/019f0000-0000-7000-8000-000000000000"),
        ("GET", "/admin/{project}/exports/019f0000-0000-7000-8000-000000000000/content"),
        ("GET", "/admin/{project}/exports/019f0000-0000-7000-8000-000000000000/datapackage.json"),
        ("GET", "/admin/{project}/label-sets/no-such-set"),
        ("DELETE", "/auth/sessions/00000000-0000-0000-0000-000000000000"),
        ("DELETE", "/auth/sessions/019f0000-0000-7000-8000-000000000000"),
        ("DELETE", "/auth/api-keys/999999"),
    ],
)
def test_whatever_is_not_there_is_told_before_what_is_wrong_with_the_query(
    admin: httpx.Client, project: str, method: str, address: str
) -> None:
    problem(admin.request(method, f"{address.format(project=project)}?x=1"), 404)


def test_a_label_set_that_is_to_be_made_need_not_be_there(admin: httpx.Client, project: str) -> None:
    problem(admin.put(f"/admin/{project}/label-sets/new-one", content=b"x", headers={"content-type": "text/plain"}), 415)


def test_what_is_not_there_is_told_before_rules_that_the_domain_finds_broken(admin: httpx.Client) -> None:
    problem(admin.post("/admin/no-such-story/resources", json={"name": "   "}), 404)
    problem(admin.put("/admin/no-such-story/survey", json=DEFINITION | {"questions": []}), 404)


def test_a_deep_attribute_of_a_resource_of_no_project_is_not_found(admin: httpx.Client) -> None:
    deep: Any = 1
    for _ in range(20):
        deep = {"a": deep}
    problem(admin.post("/admin/no-such-story/resources", json={"name": "x", "attributes": deep}), 404)


@pytest.mark.parametrize("status", [413, 415])
def test_size_and_type_are_told_before_a_bad_query(admin: httpx.Client, project: str, status: int) -> None:
    problem(admin.post(f"/admin/{project}/resources?x=1", **BAD_BODIES[status]), status)


def test_an_invalid_change_is_told_before_whose_it_is(member: httpx.Client, stranger: httpx.Client, project: str) -> None:
    address = f"/admin/{project}/resources/{make_resource(member, project)['id']}"
    assert pointers(stranger.patch(address, json={"name": ""})) == {"/name"}
    assert pointers(stranger.patch(address, json={"name": "  "})) == {"/name"}
    problem(stranger.patch(address, json={"name": "x"}, headers={"if-match": '"9"'}), 403, "not-the-owner")


def test_a_stale_version_is_told_before_a_taken_name(member: httpx.Client, project: str) -> None:
    make_resource(member, project, name="Taken")
    address = f"/admin/{project}/resources/{make_resource(member, project)['id']}"
    problem(member.patch(address, json={"name": "taken"}, headers={"if-match": '"9"'}), 412)
    problem(member.patch(address, json={"name": "taken"}, headers={"if-match": '"1"'}), 409)


def test_logging_out_without_a_token_is_unauthenticated_whatever_else_is_wrong(anonymous: httpx.Client) -> None:
    problem(anonymous.post("/auth/logout?x=1"), 401)


def test_whatever_is_not_there_is_answered_with_the_same_bytes(admin: httpx.Client, anonymous: httpx.Client, project: str) -> None:
    gone = make_resource(admin, project)
    admin.delete(f"/admin/{project}/resources/{gone['id']}")
    deleted = admin.post("/admin/projects", json={"slug": f"{project}-gone", "title": "T"}).json()["slug"]
    admin.delete(f"/admin/projects/{deleted}")
    one_id = {"x-request-id": "same"}
    missing = [
        anonymous.get("/no-such-story", headers=one_id),
        anonymous.get(f"/{deleted}", headers=one_id),
        anonymous.get("/admin", headers=one_id),
        anonymous.get("/no/such/address/at/all", headers=one_id),
        anonymous.get(f"/{project}/resources/{gone['id']}", headers=one_id),
        anonymous.get(f"/{project}/resources/999999", headers=one_id),
        anonymous.get(f"/{project}/resources/{2**63}", headers=one_id),
        anonymous.get("/problems/none", headers=one_id),
        anonymous.get(f"/{project}/survey", headers=one_id),
        anonymous.get("/docs/none", headers=one_id),
        admin.get("/admin/users/999999", headers=one_id),
        admin.delete(f"/admin/{project}/resources/{gone['id']}", headers=one_id),
        admin.patch(f"/admin/projects/{deleted}", json={}, headers=one_id),
    ]
    assert [answer.status_code for answer in missing] == [404] * len(missing)
    assert {answer.content for answer in missing} == {missing[0].content}


# --- raw sockets --------------------------------------------------------------------------------------------------------------

GET = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"garbage\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / FTP/1.1\r\n\r\n",
        b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n: empty\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n",
        b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 1x\r\n\r\n",
        b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"POST /auth/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /auth/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        b"POST /auth/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\n",
        b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 20_000 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 200_000,
        b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n",
        b"CONNECT / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http:// HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_a_bad_request_gets_one_refusal_and_does_no_harm(service: Service, sent: bytes) -> None:
    told = answers(exchange(service.port, sent, silence=0.7))
    assert len(told) <= 1
    for answer in told:
        assert 400 <= answer.status < 500, answer
        assert answer.headers["content-type"] == "application/problem+json"
        assert "server" not in answer.headers
    assert httpx.get(f"{service.url}/health", timeout=10).status_code == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /projects HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"GET /projects HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n",
        b"GET /projects HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\n{}",
    ],
)
def test_a_request_that_can_be_read_in_two_ways_is_malformed(service: Service, sent: bytes) -> None:
    (answer,) = answers(exchange(service.port, sent))
    assert (answer.status, b'"malformed"' in answer.body) == (400, True)


def test_the_older_protocol_needs_no_host(service: Service) -> None:
    (answer,) = answers(exchange(service.port, b"GET /health/live HTTP/1.0\r\n\r\n"))
    assert answer.status == 200


@pytest.mark.parametrize("target", [b"/health/live", b"http://example.org/health/live", b"http://127.0.0.1:1/health/live"])
def test_origin_and_absolute_form_name_the_same(service: Service, target: bytes) -> None:
    (answer,) = answers(exchange(service.port, b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
    assert (answer.status, answer.body) == (200, b'{"status":"healthy"}')


def test_pipelined_requests_are_answered_in_order(service: Service) -> None:
    ids = [f"n{number}" for number in range(10)]
    addresses = ["/dark-data/resources", "/health/live", "/no-such-story", "/projects", "/dark-data/resources/1"] * 2
    sent = b"".join(
        f"GET {address} HTTP/1.1\r\nHost: x\r\nX-Request-ID: {id}\r\n\r\n".encode() for address, id in zip(addresses, ids, strict=True)
    )
    told = answers(exchange(service.port, sent, silence=1.0))
    assert [answer.headers["x-request-id"] for answer in told] == ids
    assert [answer.status for answer in told] == [200, 200, 404, 200, 200] * 2


def test_a_request_is_answered_before_the_garbage_behind_it(service: Service) -> None:
    sent = b"GET /dark-data/resources HTTP/1.1\r\nHost: x\r\nX-Request-ID: first\r\n\r\ngarbage\r\n\r\n"
    told = answers(exchange(service.port, sent, silence=1.0))
    assert [answer.status for answer in told] in ([200], [200, 400])
    assert told[0].headers["x-request-id"] == "first"


def test_a_body_that_nobody_reads_is_not_taken_for_the_next_request(service: Service) -> None:
    size = 200_000
    head = f"POST /no-such-address/at/all HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode()
    told = answers(exchange(service.port, head, b"x" * size, GET, pause=lambda data: b"\r\n\r\n" in data, silence=1.0))
    assert [answer.status for answer in told] in ([404], [404, 200])


def test_a_refused_sign_in_is_answered_once_however_long_its_body(service: Service) -> None:
    size = 500_000
    head = f"POST /admin/projects HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n\r\n".encode()
    told = answers(exchange(service.port, head, b"x" * size, pause=lambda data: b"\r\n\r\n" in data, silence=1.0))
    assert [answer.status for answer in told] == [401]


def test_a_large_body_in_one_go_does_not_hide_the_refusal(anonymous: httpx.Client) -> None:
    for _ in range(5):
        refused = anonymous.post("/admin/projects", content=b"x" * 900_000, headers=JSON)
        problem(refused, 401)


def test_headers_that_never_end_get_nothing_yet(service: Service) -> None:
    assert exchange(service.port, b"GET /health/live HTTP/1.1\r\nHost: x\r\n", silence=1.0) == b""
    told = answers(exchange(service.port, GET[:20], GET[20:], silence=0.5, pause=lambda _: True))
    assert [answer.status for answer in told] == [200]


def test_a_client_that_expects_to_go_on_is_told_to(service: Service) -> None:
    body = b'{"username": "a", "password": "b"}'
    head = b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nConnection: close\r\n"
    came = exchange(service.port, head + b"Content-Length: %d\r\n\r\n" % len(body), body, pause=lambda data: b"100 Continue" in data)
    assert came.startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert [answer.status for answer in answers(came)] == [401]


def test_an_offer_to_speak_another_protocol_is_not_taken(service: Service) -> None:
    sent = b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: eA==\r\n\r\n"
    told = answers(exchange(service.port, sent, silence=0.7))
    assert [answer.status for answer in told] in ([200], [400])


def test_http_1_0_is_answered_and_closed(service: Service) -> None:
    told = answers(exchange(service.port, b"GET /health/live HTTP/1.0\r\n\r\n"))
    assert [answer.status for answer in told] == [200]


def test_a_client_that_leaves_midway_harms_nobody(service: Service) -> None:
    for _ in range(20):
        exchange(
            service.port,
            b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
            silence=0.01,
        )
    with client(service.url) as anonymous:
        assert anonymous.get("/health").status_code == 200
    assert "Traceback" not in service.err[-20_000:] or "ClientLeft" not in service.err[-20_000:]
