"""Every route, asked by everybody: what is answered is what the table of permissions says, neither more nor less."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from inspect import isawaitable
from typing import Any

import httpx
import pytest

from domain.access import PERMISSIONS, Action, Role
from domain.api_key import Scope
from entrypoints.http.route import Route
from tests.architecture.test_routes import PAGES, ROUTES, guards, holds_token, operations, template
from tests.postgres import drop_database, make_database
from tests.walk import table
from tests.walk.examples import EXAMPLES, PLACES, Example, Given
from tests.walk.scene import CALLERS, Caller, Scene, scene_in

ASCENDING = (Role.MEMBER, Role.ANNOTATOR, Role.ADMIN)
ALLOWED = None
STATUS = {"unauthenticated": 401, "invalid-token": 401}  # every other refusal is 403
KNOWN = {(method, template(route)): route for route in ROUTES for method in route.methods or ()}

pytestmark = pytest.mark.xdist_group("walk")


@pytest.fixture(scope="module")
async def scene(server: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    url = await make_database(server)
    async with scene_in(url, tmp_path_factory.mktemp("walk")) as running:
        yield running
    await drop_database(url, server=server)


def refusal(caller: Caller, action: Action, *, is_own: bool) -> str | None:
    """The code that the table of permissions refuses this with; None where it allows it."""
    permission = PERMISSIONS[action]
    if caller.role is None:
        return "unauthenticated"
    if caller.scope is not None and not permission.by_key:
        return "session-required"
    if caller.scope is not None and caller.scope is not (Scope.WRITE if permission.changes else Scope.READ):
        return "scope-missing"
    rank = ASCENDING.index(caller.role)
    if rank < ASCENDING.index(permission.own):
        return "not-allowed"
    if not is_own and rank < ASCENDING.index(permission.anyones):
        return "not-the-owner"
    return ALLOWED


def expected(route: Route, caller: Caller, *, method: str, is_own: bool) -> str | None:
    if holds_token(route):  # any sign-in will do, and nothing else is one
        return "unauthenticated" if caller.role is None else "invalid-token" if caller.scope else ALLOWED
    needed = guards(route)
    return refusal(caller, needed[0].action, is_own=is_own) if needed else ALLOWED


async def ask(scene: Scene, method: str, path: str, example: Example, caller: Caller, *, is_own: bool) -> httpx.Response:
    """What a new person of this kind is answered, about things that are that person's own or another's of the same role."""
    asker = await scene.person(caller.role or Role.MEMBER)
    it = Given(scene=scene, owner=asker if is_own else await scene.person(asker.role))
    for name in re.findall(r"{([a-z_]+)}", path):
        assert name in PLACES, f"{path}: tests/walk/examples.py does not know what {{{name}}} can be"
        it.path[name] = await PLACES[name](it)
    if example.before is not None:
        await example.before(it)
    headers = dict(example.headers)
    if caller.scope is not None:
        headers["authorization"] = f"Bearer {(await scene.key(asker, caller.scope))[1]}"
    elif caller.role is not None:
        headers["authorization"] = f"Bearer {(await scene.sign_in(asker)).access_token}"
    content = {"json": await made(example.json, it), "content": await made(example.text, it), "files": example.files}
    content["params"] = dict(example.query)
    return await scene.web.request(
        method, path.format(**it.path), headers=headers, **{name: value for name, value in content.items() if value}
    )


async def made(part: Any, it: Given) -> Any:
    made = part(it) if callable(part) else part
    return await made if isawaitable(made) else made


def told(response: httpx.Response) -> str | None:
    """The code of a refusal; None for success. Anything else is no answer that the walk understands."""
    if response.is_success:
        return ALLOWED
    code: str = response.json()["code"]
    assert response.status_code == STATUS.get(code, 403), f"the example is not a good one: {response.status_code} {response.text}"
    assert (response.headers.get("www-authenticate") == "Bearer") == (response.status_code == 401)
    return code


@pytest.mark.parametrize(("method", "path"), KNOWN, ids=[" ".join(key) for key in KNOWN])
async def test_everybody_may_what_the_table_says(scene: Scene, method: str, path: str) -> None:
    route, example = KNOWN[method, path], EXAMPLES.get((method, path))
    assert example is not None, f"{method} {path} has no example in tests/walk/examples.py"
    actions = [guard.action for guard in guards(route)]
    by_owner = any(PERMISSIONS[action].own is not PERMISSIONS[action].anyones for action in actions)
    asked = 0
    for caller in CALLERS:
        for is_own in (True, False) if by_owner else (True,):
            answer = await ask(scene, method, path, example, caller, is_own=is_own)
            whose = f"{caller}, {'own' if is_own else 'of another'}"
            assert (whose, told(answer)) == (whose, expected(route, caller, method=method, is_own=is_own))
            asked += 1
    assert asked == len(CALLERS) * (2 if by_owner else 1) >= 10


@pytest.mark.parametrize("path", [path for method, path in KNOWN if method == "GET"])
async def test_head_is_for_those_whom_get_is_for(scene: Scene, path: str) -> None:
    route, example = KNOWN["GET", path], EXAMPLES["GET", path]
    for caller in CALLERS:
        code = expected(route, caller, method="GET", is_own=True)
        answer = await ask(scene, "HEAD", path, example, caller, is_own=True)
        assert (str(caller), answer.status_code) == (str(caller), 200 if code is ALLOWED else STATUS.get(code, 403))


def test_the_page_says_what_the_table_says() -> None:
    assert table.PAGE.read_text() == table.rendered(), "docs/permissions.md is not what the code says: make docs"


def test_every_example_is_of_a_route() -> None:
    assert EXAMPLES.keys() == KNOWN.keys()


async def test_the_running_service_has_the_routes_that_are_walked_and_documents_them(scene: Scene) -> None:
    running = {(method, template(route)) for route in scene.app.routes if isinstance(route, Route) for method in route.methods or ()}
    assert running == KNOWN.keys()
    public = (await scene.web.get("/openapi.json")).json()
    team = await scene.as_admin("GET", "/admin/openapi.json")
    documented = {(method, path) for path, method in operations(public) | operations(team)}
    assert len(documented) > 40
    assert documented | {key for key in KNOWN if key[1] in PAGES} == running
    for document in (public, team):
        for path, method in operations(document):
            route = KNOWN[method, path]
            asks_who = bool(guards(route)) or holds_token(route)
            assert bool(document["paths"][path][method.lower()].get("security")) is asks_who, f"{method} {path}"


async def test_a_walk_notices_a_table_that_says_otherwise(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The walk would fail if what the routes do and what the table says came apart."""
    key = ("DELETE", "/admin/projects/{project}")
    answer = await ask(scene, *key, EXAMPLES[key], Caller(role=Role.MEMBER), is_own=True)
    changed = {action: replace(permission, own=Role.MEMBER, anyones=Role.MEMBER) for action, permission in PERMISSIONS.items()}
    monkeypatch.setattr(f"{__name__}.PERMISSIONS", changed)
    assert told(answer) != expected(KNOWN[key], Caller(role=Role.MEMBER), method="DELETE", is_own=True)
