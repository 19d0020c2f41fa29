"""The documents and the pages that show them."""

import json
import re
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from tests.e2e.client import problem, serving

REFERENCE = re.compile(r'"\$ref": "#/([^"]+)"')


class References(HTMLParser):
    """What a page loads: `addresses`; and the scripts written into it: `scripts`."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline: list[str] = []
        self.handlers: list[str] = []
        self._in_script = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("script", "img", "iframe") and given.get("src"):
            self.addresses.append(str(given["src"]))
        if tag == "link" and given.get("href"):
            self.addresses.append(str(given["href"]))
        self.handlers += [name for name in given if name.startswith("on")]
        self._in_script = tag == "script"

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False

    def handle_data(self, data: str) -> None:
        if self._in_script and data.strip():
            self.inline.append(data)


@pytest.mark.parametrize("address", ["/docs", "/admin/docs"])
def test_a_docs_page_works_with_nothing_but_this_service(anonymous: httpx.Client, address: str) -> None:
    page = anonymous.get(address)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    references = References(page.text)
    assert len(references.addresses) >= 3
    for wanted in references.addresses:
        assert re.fullmatch(r"/[a-z].*", wanted), wanted
        asset = anonymous.get(wanted)
        assert asset.status_code == 200
        assert len(asset.content) > 50
        assert asset.headers["x-content-type-options"] == "nosniff"
    assert references.inline == []
    assert references.handlers == []


@pytest.mark.parametrize("address", ["/docs", "/admin/docs", "/docs/swagger-ui-bundle.js"])
def test_a_docs_page_lets_no_foreign_or_written_in_script_run(anonymous: httpx.Client, address: str) -> None:
    given = anonymous.get(address).headers["content-security-policy"].split(";")
    policy = {name: sources for name, *sources in map(str.split, given)}
    assert policy["default-src"] == ["'none'"]
    assert policy["script-src"] == ["'self'"]
    assert policy["connect-src"] == ["'self'"]
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == ["'none'"]
    assert not any("http" in source or "*" in source for sources in policy.values() for source in sources)


def test_our_own_scripts_name_no_other_server(anonymous: httpx.Client) -> None:
    for name in ("start.js", "start-admin.js"):
        script = anonymous.get(f"/docs/{name}")
        assert script.headers["content-type"].startswith("text/javascript")
        assert "://" not in script.text


def test_our_own_scripts_keep_nothing_in_the_browser(anonymous: httpx.Client) -> None:
    for name in ("start.js", "start-admin.js"):
        text = anonymous.get(f"/docs/{name}").text
        assert not any(word in text for word in ("localStorage", "sessionStorage", "indexedDB", "cookie", "persistAuthorization"))


def test_the_sign_in_of_the_teams_page_masks_the_password_and_lets_it_be_pasted(anonymous: httpx.Client) -> None:
    (field,) = re.findall(r"<input[^>]*name=.password.[^>]*>", anonymous.get("/admin/docs").text)
    assert re.search(r"type=.password.", field)
    assert "onpaste" not in field
    assert not re.search(r"autocomplete=.off.", field)


@pytest.mark.parametrize("name", ["none.js", "%2e%2e%2fsettings.py", "docs.html", "start.js%00", "swagger-ui-bundle.js.map"])
def test_only_the_assets_of_the_pages_are_served(anonymous: httpx.Client, name: str) -> None:
    assert anonymous.get(f"/docs/{name}").status_code in (400, 404)


def _operations(*documents: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for document in documents for path in document["paths"].values() for operation in path.values()]


@pytest.fixture
def documents(anonymous: httpx.Client, admin: httpx.Client) -> dict[str, dict[str, Any]]:
    return {"public": anonymous.get("/openapi.json").json(), "admin": admin.get("/admin/openapi.json").json()}


def test_the_documents_are_whole_and_share_no_route(documents: dict[str, dict[str, Any]]) -> None:
    for document in documents.values():
        assert document["openapi"].startswith("3.")
        assert len(document["paths"]) > 5
        for reference in REFERENCE.findall(json.dumps(document)):
            found: Any = document
            for step in reference.split("/"):
                found = found[step]
        for operation in _operations(document):
            assert operation["description"]
            assert operation["responses"]
    public, team = ({(path, method) for path, item in d["paths"].items() for method in item} for d in documents.values())
    assert not public & team
    assert not any(path.startswith(("/admin", "/auth")) for path, _ in public)
    assert all(path.startswith(("/admin", "/auth")) for path, _ in team)


def test_no_two_operations_share_an_id(documents: dict[str, dict[str, Any]]) -> None:
    for document in documents.values():
        ids = [operation["operationId"] for operation in _operations(document)]
        assert len(ids) == len(set(ids))


@pytest.mark.parametrize("who", ["member", "annotator", "admin"])
def test_the_document_of_the_team_is_for_everybody_who_is_signed_in(
    request: pytest.FixtureRequest, anonymous: httpx.Client, who: str
) -> None:
    person: httpx.Client = request.getfixturevalue(who)
    problem(anonymous.get("/admin/openapi.json"), 401)
    assert person.get("/admin/openapi.json").json()["openapi"].startswith("3.")


def test_without_docs_nothing_of_them_is_there() -> None:
    with serving(DOCS="off", RATE_LIMITS="off") as service:
        for address in ("/docs", "/docs/start.js", "/openapi.json", "/admin/docs", "/admin/openapi.json"):
            problem(httpx.get(f"{service.url}{address}"), 404)
        for address in httpx.get(f"{service.url}/").json()["links"].values():
            assert httpx.get(f"{service.url}{address}").status_code == 200


def _keys(value: object) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {key for each in value.values() for key in _keys(each)}
    return {key for each in value for key in _keys(each)} if isinstance(value, list) else set()


def test_bounds_of_parameters_are_told_in_the_words_of_json_schema(documents: dict[str, dict[str, Any]]) -> None:
    schemas = [parameter["schema"] for each in _operations(*documents.values()) for parameter in each["parameters"]]
    assert {"minimum", "maximum"} <= _keys(schemas)
    assert _keys(schemas).isdisjoint({"ge", "gt", "le", "lt"})


def test_headers_that_make_a_request_conditional_are_told_where_they_count(documents: dict[str, dict[str, Any]]) -> None:
    headers_of = {"304": {"If-None-Match"}, "412": {"If-Match"}, "206": {"Range", "If-Range"}}
    known = {name for names in headers_of.values() for name in names}
    seen = set()
    for operation in _operations(*documents.values()):
        named = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "header"} & known
        assert named == {name for status in operation["responses"] for name in headers_of.get(status, ())}, operation["operationId"]
        seen |= named
    assert seen == known
