"""The OpenAPI documents, and the pages that show them without asking any other server for anything."""

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.openapi.utils import get_openapi
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from domain.access import Action
from domain.errors import NotFound
from domain.user import User
from entrypoints.container import Container
from entrypoints.http.problems import SCHEMA
from entrypoints.http.rate_limit import Limits
from entrypoints.http.reply import digest, entity
from entrypoints.http.route import router_of
from entrypoints.http.service import NAME, VERSION
from entrypoints.http.signed_in import Guard

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_KINDS = {"js": "text/javascript", "css": "text/css", "html": "text/html", "png": "image/png"}
_VENDORED = ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png")
_OURS = ("start.js", "start-admin.js")

_CONDITIONS = {  # the headers of a request that a status is the answer to
    "304": {"If-None-Match": "Entity tags that the client has, or `*`: 304 without a body where one of them is the thing's."},
    "412": {
        "If-Match": "The entity tag that the change is based on, or `*`: 412 where the thing has changed since. Without it, any is changed."
    },
    "206": {
        "Range": "One range of bytes, such as `bytes=0-1023`. Several, or none that can be read, are answered with the whole.",
        "If-Range": "The entity tag that the range is of: where the content has another, the whole is answered.",
    },
}


def document(routes: Iterable[BaseRoute], *, title: str, description: str) -> dict[str, Any]:
    """The OpenAPI document of these routes."""
    made = get_openapi(title=title, version=VERSION, description=description, routes=list(routes))
    made.setdefault("components", {}).setdefault("schemas", {})["Problem"] = SCHEMA
    for operation in (each for path in made["paths"].values() for each in path.values()):
        headers = {name: text for status, told in _CONDITIONS.items() if status in operation["responses"] for name, text in told.items()}
        operation.setdefault("parameters", []).extend(map(_header, headers.items()))
    return made


def _header(told: tuple[str, str]) -> dict[str, Any]:
    name, description = told
    return {"name": name, "in": "header", "required": False, "schema": {"type": "string"}, "description": description}


def public_document(routes: Iterable[BaseRoute]) -> dict[str, Any]:
    """What story pages, notebooks and pipelines may use."""
    return document(routes, title=NAME, description="Data stories: curated resources, and surveys that readers answer.")


def admin_document(routes: Iterable[BaseRoute]) -> dict[str, Any]:
    """What the team uses, signed in."""
    return document(routes, title=f"{NAME}: team", description="Everything that asks for a sign-in.")


def docs_routes(use: Container, limits: Limits, guard: Guard, *, public: bytes, admin: bytes) -> APIRouter:
    router = router_of("Documentation", limits)

    @router.get("/openapi.json", include_in_schema=False)
    @limits.public_read
    async def get_public_document(request: Request) -> Response:
        return entity(request.headers, public, tag=digest(public))

    @router.get("/admin/openapi.json", include_in_schema=False)
    @limits.signed_in
    async def get_admin_document(request: Request, by: Annotated[User, Depends(guard(Action.DOCS_READ))]) -> Response:
        return entity(request.headers, admin, tag=digest(admin))

    @router.get("/docs", include_in_schema=False)
    @limits.public_read
    async def get_docs(request: Request) -> Response:
        return _asset("docs.html")

    @router.get("/admin/docs", include_in_schema=False)
    @limits.public_read
    async def get_admin_docs(request: Request) -> Response:
        return _asset("docs-admin.html")

    @router.get("/docs/{name}", include_in_schema=False)
    @limits.public_read
    async def get_docs_asset(request: Request, name: str) -> Response:
        if name not in _VENDORED + _OURS:
            raise NotFound
        return _asset(name)

    return router


def _asset(name: str) -> Response:
    headers = {"content-security-policy": _POLICY, "cache-control": "public, max-age=3600"}
    return Response(_read(name), media_type=_KINDS[name.rpartition(".")[2]], headers=headers)


@cache
def _read(name: str) -> bytes:
    folder = files("fastapi_offline") / "static" if name in _VENDORED else files("entrypoints.http") / "pages"
    return (folder / name).read_bytes()
