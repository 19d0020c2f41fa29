"""Every route: limited, documented once, reachable, behind the sign-in it needs, and hidden by no project."""

import re
from inspect import getclosurevars, unwrap
from itertools import chain
from typing import Any

import pytest
from starlette.routing import Match

from domain.access import PERMISSIONS, Action
from domain.project import RESERVED_SLUGS, SLUG_PATTERN
from entrypoints.http.app import Routes, routes_of
from entrypoints.http.docs import admin_document, public_document
from entrypoints.http.idempotency import MakesOnce, refuse_idempotency_key
from entrypoints.http.rate_limit import Limits, Policy, network, respondent, session, user
from entrypoints.http.route import Route
from entrypoints.http.signed_in import HoldsToken, MayAsk
from entrypoints.runtime import Deployment
from entrypoints.settings import RATES, Settings

NOWHERE = Deployment(database_url="postgresql+asyncpg://nowhere", secret_keys=("0" * 32,), pepper="0" * 32)
LIMITS = Limits(RATES)
PAGES = {"/openapi.json", "/admin/openapi.json", "/docs", "/admin/docs", "/docs/{name}"}
METRICS = "/metrics"  # for admins, unless it is open to all
WITHOUT_SIGN_IN = {"/auth/register", "/auth/login", "/auth/refresh", "/auth/logout", "/auth/set-password"}
BY_PASSWORD = {"/auth/change-password"}  # guessing a password with a stolen token is limited like guessing it without
TAKE_A_KEY = {
    "/admin/projects",
    "/admin/{project}/resources",
    "/admin/{project}/upload",
    "/admin/{project}/exports",
    "/admin/{project}/resources/import",
    "/admin/{project}/annotations/import",
}
ANSWER_A_SECRET = {"/auth/api-keys", "/admin/users", "/admin/users/{user_id}/reset", "/admin/users/import"}
NEED_NO_KEY = {  # sent again, they find done what they ask for
    "/auth/logout",
    "/admin/{project}/resources/{resource_id}/restore",
    "/admin/{project}/resources/{resource_id}/versions/{number}/restore",
    "/admin/{project}/survey/open",
    "/admin/{project}/survey/close",
}
EXAMPLES = {
    "{project:slug}": "some-story",
    "{code}": "invalid",
    "{name}": "start.js",
    "{label_set:name}": "topic",
    "{respondent}": "0" * 32,
}

FOUND: Routes = routes_of(NOWHERE.container(Settings()), LIMITS)


def in_order() -> list[Route]:
    routes = [route for route in FOUND.in_order if isinstance(route, Route)]
    assert len(routes) == len(FOUND.in_order) > 25
    return routes


def template(route: Route) -> str:
    """The path as OpenAPI writes it."""
    return re.sub(r":[a-z]+}", "}", route.path)


def example(route: Route) -> str:
    path = route.path
    for parameter, value in EXAMPLES.items():
        path = path.replace(parameter, value)
    path = re.sub(r"{[a-z_]+:id}", "7", path)
    path = re.sub(r"{[a-z_]+:uuid}", "019aa000-0000-7000-8000-000000000001", path)
    assert "{" not in path
    return path


def policies(route: Route) -> tuple[Policy, ...]:
    declared = LIMITS.of(route.endpoint)
    assert declared is not None, f"{route.path} has no rate limit"
    return declared


def guards(route: Route) -> list[MayAsk]:
    return [dependency.call for dependency in route.dependant.dependencies if isinstance(dependency.call, MayAsk)]


def holds_token(route: Route) -> bool:
    """Whether a route knows its caller by a token whose session may have ended."""
    return any(isinstance(dependency.call, HoldsToken) for dependency in route.dependant.dependencies)


ROUTES = in_order()
by_name = pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{'+'.join(sorted(route.methods))} {route.path}")


@by_name
def test_a_route_has_a_rate_limit(route: Route) -> None:
    declared = policies(route)
    if not declared:
        assert route.path.startswith("/health") or route.path == METRICS


@by_name
def test_a_route_is_limited_by_the_class_that_its_callers_are_of(route: Route) -> None:
    ways = {policy.by for policy in policies(route)}
    if template(route) in BY_PASSWORD:
        assert {policy.name for policy in policies(route)} == {"login"}
    elif route.path == METRICS:
        assert ways == set()
    elif guards(route) or holds_token(route):
        assert ways == {user}
    elif template(route) == "/auth/refresh":
        assert {(policy.name, policy.by) for policy in policies(route)} == {("refresh", session)}
    else:
        assert ways in ({network}, {network, respondent}, set())
    if template(route) in WITHOUT_SIGN_IN - {"/auth/refresh"} and not holds_token(route):
        assert {policy.name for policy in policies(route)} == {"login"}


@by_name
def test_what_anybody_may_search_is_limited_by_searches(route: Route) -> None:
    asked = {name for parameter in route.dependant.query_params for name in getattr(parameter.field_info.annotation, "model_fields", ())}
    is_public = not guards(route) and not holds_token(route)
    assert ("search" in {policy.name for policy in policies(route)}) is (is_public and "search" in asked)


def operations(document: dict[str, Any]) -> set[tuple[str, str]]:
    return {(path, method.upper()) for path, item in document["paths"].items() for method in item}


def test_every_route_stands_in_exactly_one_document() -> None:
    public = operations(public_document([*FOUND.public, *FOUND.last]))
    team = operations(admin_document(FOUND.signed_in))
    assert public
    assert team
    assert not public & team
    known = {(template(route), method) for route in ROUTES for method in route.methods or ()}
    pages = {(path, method) for path, method in known if path in PAGES}
    assert {path for path, _ in pages} == PAGES
    assert known == public | team | pages
    assert not (public | team) & pages


@by_name
def test_a_route_is_the_first_to_match_its_own_address(route: Route) -> None:
    for method in route.methods or ():
        scope: dict[str, Any] = {"type": "http", "method": method, "path": example(route), "root_path": "", "headers": []}
        first = next(other for other in ROUTES if other.matches(scope)[0] is Match.FULL)
        assert first is route, f"{first.path} hides {route.path}"


@pytest.mark.parametrize(("metrics_for", "is_there"), [("admin", True), ("open", True), ("off", False)])
def test_the_metrics_stand_in_the_public_document_unless_they_are_off(metrics_for: Any, is_there: bool) -> None:  # noqa: FBT001
    found = routes_of(NOWHERE.container(Settings()), LIMITS, metrics_for=metrics_for)
    public = public_document([*found.public, *found.last])
    assert ((METRICS, "GET") in operations(public)) is is_there
    assert any(route.path == METRICS for route in found.in_order if isinstance(route, Route)) is is_there
    assert ("security" in public["paths"].get(METRICS, {}).get("get", {})) is (metrics_for == "admin")


def test_no_project_can_hide_an_address_of_our_own() -> None:
    paths = [route.path.strip("/").split("/") for route in ROUTES]
    firsts = {steps[0] for steps in paths}
    seconds = {steps[1] for steps in paths if steps[0] == "admin" and len(steps) > 1}
    own = {step for step in chain(firsts, seconds) if re.fullmatch(SLUG_PATTERN, step)}
    assert {"admin", "auth", "projects", "users", "health"} <= own
    assert own <= RESERVED_SLUGS


@by_name
def test_a_route_of_the_team_needs_one_action(route: Route) -> None:
    path = template(route)
    if path in WITHOUT_SIGN_IN or path in PAGES - {"/admin/openapi.json"}:
        assert guards(route) == []
    elif path.startswith(("/admin/", "/auth/")) or path == METRICS:
        (guard,) = guards(route)
        assert guard.action in PERMISSIONS
    else:
        assert route.dependant.dependencies == []


def test_every_action_is_asked_for_and_decided() -> None:
    asked = {guard.action for route in ROUTES for guard in guards(route)}
    assert asked == set(Action) == set(PERMISSIONS)


def test_what_is_listed_here_exists() -> None:
    known = {template(route) for route in ROUTES}
    assert known >= PAGES
    assert known >= WITHOUT_SIGN_IN
    assert known >= BY_PASSWORD


@by_name
def test_an_api_key_opens_nothing_under_auth_but_who_one_is_and_nothing_that_changes_users(route: Route) -> None:
    for guard in guards(route):
        in_person = template(route).startswith("/auth/") and template(route) != "/auth/me"
        in_person |= template(route).startswith("/admin/users") and route.methods != {"GET"}
        assert PERMISSIONS[guard.action].by_key is not in_person


def uses(route: Route) -> list[object]:
    """What an endpoint has from around it."""
    found = getclosurevars(unwrap(route.endpoint))
    return [*found.nonlocals.values(), *found.globals.values()]


@by_name
def test_a_route_takes_an_idempotency_key_where_it_says_so_and_nowhere_else(route: Route) -> None:
    told = {parameter["name"] for parameter in (route.openapi_extra or {}).get("parameters", [])}
    takes = any(isinstance(each, MakesOnce) for each in uses(route))
    assert ("Idempotency-Key" in told) is takes is (route.methods == {"POST"} and template(route) in TAKE_A_KEY)
    refuses = refuse_idempotency_key in uses(route)
    assert refuses is (route.methods == {"POST"} and template(route) in ANSWER_A_SECRET)


def test_every_post_of_somebody_signed_in_takes_a_key_refuses_it_or_needs_none() -> None:
    posts = {template(route) for route in ROUTES if "POST" in (route.methods or ()) and (guards(route) or holds_token(route))}
    assert posts == TAKE_A_KEY | ANSWER_A_SECRET | NEED_NO_KEY
