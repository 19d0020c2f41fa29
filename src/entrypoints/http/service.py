"""The service itself: what it is, how it is, and what its problems mean."""

from collections.abc import Mapping
from importlib.metadata import version
from inspect import getdoc
from typing import Any, Literal

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from domain.errors import NotFound
from entrypoints.container import Container
from entrypoints.http.problems import catalogue, problem_responses, status_of, title
from entrypoints.http.rate_limit import Limits
from entrypoints.http.reply import Json, Out
from entrypoints.http.route import router_of

NAME = "Complex Stories API"
VERSION = version("complex-stories")


class Welcome(Out):
    name: str
    version: str
    links: dict[str, str]


class Health(Out):
    status: Literal["healthy"]


class Explanation(Out):
    code: str
    title: str
    status: int
    explanation: str


_HEALTHY = Health(status="healthy")
_NEVER_STORED = {"cache-control": "no-store"}


def service_routes(use: Container, limits: Limits, *, with_docs: bool) -> APIRouter:
    check_health, readiness = use.check_health(), use.readiness()
    problems = catalogue()
    links = {"projects": "/projects", "health": "/health"}
    if with_docs:
        links |= {"documentation": "/docs", "openapi": "/openapi.json"}

    async def known(given: Mapping[str, Any]) -> None:
        if problems.get(given["code"]) is None:
            raise NotFound

    router = router_of("Service", limits, {"code": known})

    @router.get("/", response_model=Welcome)
    @limits.public_read
    async def get_welcome(request: Request) -> Response:
        """The name and version of the service, and where to go on."""
        return Json(Welcome(name=NAME, version=VERSION, links=links))

    @router.get("/health/live", response_model=Health)
    @limits.unlimited
    async def get_live(request: Request) -> Response:
        """Whether the process answers; touches nothing else."""
        return Json(_HEALTHY, headers=_NEVER_STORED)

    @router.get("/health/ready", response_model=Health, responses=problem_responses(503))
    @limits.unlimited
    async def get_ready(request: Request) -> Response:
        """Whether requests can be served: everything that they need is there, the database with the right schema, as of a second ago."""
        readiness.check()
        await check_health()
        return Json(_HEALTHY, headers=_NEVER_STORED)

    @router.get("/health", response_model=Health, responses=problem_responses(503))
    @limits.unlimited
    async def get_health(request: Request) -> Response:
        """The same as `/health/ready`."""
        return await get_ready(request)

    @router.get("/problems/{code}", response_model=Explanation, responses=problem_responses(404))
    @limits.public_read
    async def get_problem(request: Request, code: str) -> Response:
        """What the `code` of a problem means, and what to do about it."""
        kind = problems.get(code)
        if kind is None:
            raise NotFound
        explanation = (getdoc(kind) or "").replace("\n", " ")
        return Json(Explanation(code=code, title=title(code), status=status_of(kind), explanation=explanation))

    return router
