"""How a route takes a request apart: in the order of the contract, and without solving dependencies anew each time.

A route is declared as in any FastAPI application, and stands in OpenAPI as such. FastAPI's own handling would parse the body
before it asks who is calling, take a repeated parameter for one, and cost a third of a small read: see
docs/decisions/0003-routes.md.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from inspect import unwrap
from typing import Any, ClassVar, Protocol, cast, runtime_checkable
from uuid import UUID

from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from domain.errors import Fault, Invalid, NotFound, Stale
from domain.label_set import NAME_PATTERN
from domain.project import SLUG_PATTERN
from entrypoints.http.json_body import drain, read_json
from entrypoints.http.problems import EdgeRefusal, UnsupportedMediaType, problem_responses
from entrypoints.http.query import INT64_MAX, for_short_queries, pairs
from entrypoints.http.rate_limit import Limits, Policy, network, respondent, session, user
from entrypoints.http.validation import validated

Lookup = Callable[[Mapping[str, Any]], Awaitable[Any]]
TagOf = Callable[[Mapping[str, Any]], Awaitable[str]]


@runtime_checkable
class Admits(Protocol):
    """A dependency that, once its user was counted, decides whether that user may ask at all, with these credentials."""

    def admit(self, request: Request, user: Any) -> None: ...


class _SlugConvertor(Convertor[str]):
    regex = SLUG_PATTERN

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


class _NameConvertor(Convertor[str]):
    """The name of a label set."""

    regex = NAME_PATTERN

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


class _IdConvertor(Convertor[int]):
    """An int64 of at least 1; anything else names nothing."""

    regex = "[1-9][0-9]{0,18}"

    def convert(self, value: str) -> int:
        if int(value) > INT64_MAX:
            raise NotFound
        return int(value)

    def to_string(self, value: int) -> str:
        return str(value)


class _UuidConvertor(Convertor[UUID]):
    """A UUID as RFC 9562 writes it, in either case; anything else, hyphens left out too, names nothing."""

    regex = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"

    def convert(self, value: str) -> UUID:
        return UUID(value)

    def to_string(self, value: UUID) -> str:
        return str(value)


register_url_convertor("slug", _SlugConvertor())
register_url_convertor("name", _NameConvertor())
register_url_convertor("id", _IdConvertor())
register_url_convertor("uuid", _UuidConvertor())  # instead of Starlette's, which has two addresses for each


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What an endpoint asks for, found out once."""

    endpoint: Callable[..., Awaitable[Response]]  # itself: what slowapi wraps it in would only find out that there is nothing to do
    dependencies: tuple[tuple[str, Callable[[Request], Awaitable[Any]]], ...]
    admitting: tuple[tuple[str, Admits], ...]
    query: tuple[str, type[BaseModel]] | None
    body: tuple[str, type[BaseModel]] | None
    media_types: tuple[str, ...]  # of a body that the endpoint reads by itself
    first: tuple[Policy, ...]
    search: tuple[Policy, ...]
    by_user: tuple[Policy, ...]
    later: tuple[Policy, ...]  # by whom only the endpoint finds out
    lookups: Mapping[str, Lookup]  # of what the path names


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What the routes of a router share.

    `lookups` say, by path parameter, whether its thing is there; `tag_of` tells the entity tag that a stale `If-Match` should have
    named, where that is more than the version.
    """

    limits: Limits
    lookups: Mapping[str, Lookup]
    tag_of: TagOf | None


class Route(APIRoute):
    """A route of the contract. Its order: limits, 401, 403 by role, body and query, and 404 before what is wrong with those."""

    around: ClassVar[Around]

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        options["generate_unique_id_function"] = lambda route: route.name
        limited = () if self.around.limits.of(endpoint) == () else (429,)
        options["responses"] = problem_responses(422, *limited, 503) | (options.get("responses") or {})
        super().__init__(path, endpoint, **options)
        if self.dependant.dependencies:
            self.responses = problem_responses(401, 403) | self.responses
        if self.dependant.body_params:
            self.responses = problem_responses(400, 413, 415) | self.responses
        self._plan = self._planned()
        self.app = self._answer

    def _planned(self) -> _Plan:
        asked = self.dependant
        if asked.header_params or asked.cookie_params:
            raise TypeError(f"{self.path}: read headers from the request.")
        policies = self.around.limits.of(self.endpoint) or ()
        dependencies = tuple((str(d.name), d.call) for d in asked.dependencies if d.call and d.name)
        return _Plan(
            endpoint=unwrap(self.endpoint),
            dependencies=dependencies,
            admitting=tuple((name, cast("Admits", call)) for name, call in dependencies if isinstance(call, Admits)),
            query=_model(asked.query_params),
            body=_model(asked.body_params),
            media_types=() if asked.body_params else tuple((self.openapi_extra or {}).get("requestBody", {}).get("content", ())),
            first=tuple(policy for policy in policies if policy.by is network and policy.name != "search"),
            search=tuple(policy for policy in policies if policy.name == "search"),
            by_user=tuple(policy for policy in policies if policy.by is user),
            later=tuple(policy for policy in policies if policy.by in (respondent, session)),
            lookups={name: lookup for name, lookup in self.around.lookups.items() if name in self.param_convertors},
        )

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        plan, limits = self._plan, self.around.limits
        request = Request(scope, receive)
        given: dict[str, Any] = {"request": request, **scope["path_params"]}
        if plan.first:
            await limits.count(request, self.path, plan.first)
        for name, call in plan.dependencies:
            given[name] = await call(request)
        if plan.by_user:
            await limits.count(request, self.path, plan.by_user)
        for name, dependency in plan.admitting:
            dependency.admit(request, given[name])
        try:
            await self._read(request, given)
            if plan.search and plan.query and given[plan.query[0]].search:
                async with limits.searching(request, self.path, plan.search):
                    response = await plan.endpoint(**given)
            else:
                response = await plan.endpoint(**given)
        except (Invalid, EdgeRefusal):
            await look_up(plan.lookups, given)  # 404 comes before what is wrong with the rest
            raise
        except Stale as stale:
            if stale.current and self.around.tag_of is not None:
                stale.tag = await self.around.tag_of(given)
            raise
        await response(scope, receive, send)

    async def _read(self, request: Request, given: dict[str, Any]) -> None:
        plan, scope = self._plan, request.scope
        content = None
        if plan.body or plan.media_types:
            # As request.headers has them, found at once: each lookup there goes through all of them.
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(scope["headers"])}
            await _check_media_type(request, headers, plan.media_types)
            if plan.body:
                scope["body"], content = await read_json(request.receive, headers, by=scope.get("received_by"))
        if plan.query:
            given[plan.query[0]] = _read_query(plan.query[1], scope["query_string"])
        elif scope["query_string"] and pairs(scope["query_string"]):
            raise Invalid(Fault(pointer="", code="unknown-parameter", detail="This address takes no parameters."))
        if plan.body:
            given[plan.body[0]] = validated(plan.body[1], content)
            scope["counted_later"] = (self.path, plan.later)


@for_short_queries
def _read_query(model: type[BaseModel], query_string: bytes) -> BaseModel:
    """What a query string says, as this model, which is frozen. Raises `Invalid`, `Malformed`."""
    query: BaseModel = validated(model, pairs(query_string))
    return query


async def _check_media_type(request: Request, headers: Mapping[str, str], media_types: tuple[str, ...]) -> None:
    """Raise `UnsupportedMediaType` for an encoded body, which would be taken for what it is not, and for another type than these."""
    encoding, declared = headers.get("content-encoding", ""), headers.get("content-type", "").partition(";")[0]
    if encoding.strip().lower() not in ("", "identity"):
        detail = "Send the body without Content-Encoding."
    elif media_types and declared.strip().lower() not in media_types:
        detail = f"Send {', '.join(media_types)}."
    else:
        return
    is_left = await drain(request.receive, 0, more=True)
    raise UnsupportedMediaType(detail, headers={"connection": "close"} if is_left else None)


async def look_up(lookups: Mapping[str, Lookup], given: Mapping[str, Any]) -> None:
    """Raise `NotFound` when one of the things that these path parameters name is not there."""
    for name, lookup in lookups.items():
        if name in given:
            await lookup(given)


def router_of(title: str, limits: Limits, lookups: Mapping[str, Lookup] | None = None, *, tag_of: TagOf | None = None) -> APIRouter:
    """A router of such routes, which OpenAPI shows under this title."""
    kind = type("Route", (Route,), {"around": Around(limits=limits, lookups=lookups or {}, tag_of=tag_of)})
    return APIRouter(route_class=kind, tags=[title])


def _model(params: list[Any]) -> tuple[str, type[BaseModel]] | None:
    if not params:
        return None
    (param,) = params
    return str(param.name), param.field_info.annotation
