"""Tables of resources over HTTP."""

from dataclasses import asdict
from hashlib import sha256
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from application.resource_import import Imported
from domain.access import Action
from domain.resource_import import Mode
from domain.user import User
from entrypoints.container import Container
from entrypoints.http.idempotency import MakesOnce, by_key
from entrypoints.http.lookups import lookups_of
from entrypoints.http.problems import problem_responses
from entrypoints.http.query import Flag
from entrypoints.http.query import Query as QueryModel
from entrypoints.http.rate_limit import Limits
from entrypoints.http.reply import Json, Out
from entrypoints.http.route import router_of
from entrypoints.http.signed_in import Guard
from entrypoints.http.table_body import MEDIA_TYPES, Places

AT_ONCE = 2  # in one process

_EXAMPLE = 'name,description,status,attributes\nTrust circles,"Who trusts whom",active,"{""year"": 2024}"\n'
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            media_type: {"schema": {"type": "string", "format": "binary"}} | ({"example": _EXAMPLE} if media_type == "text/csv" else {})
            for media_type in MEDIA_TYPES
        },
    }
}


class ImportQuery(QueryModel):
    mode: Literal["insert", "upsert", "replace"] = Field("insert", description="What happens to the resources that are there.")
    dry_run: Flag = False
    plan: str | None = Field(None, max_length=200, description="The plan of a dry run: do exactly that.")


class ImportedOut(Out):
    mode: Literal["insert", "upsert", "replace"]
    dry_run: bool
    rows: int
    inserted: int
    updated: int
    deleted: int
    unchanged: int
    plan: str


def resource_import_routes(use: Container, limits: Limits, guard: Guard, *, at_most: int) -> APIRouter:
    import_them, projects, once = use.import_resources(), use.projects(), MakesOnce(use)
    router = router_of("Resources", limits, lookups_of(use))
    places = Places(AT_ONCE, told="Too many tables are being imported at once: try again shortly.")

    @router.post(
        "/admin/{project:slug}/resources/import",
        response_model=ImportedOut,
        responses=problem_responses(400, 404, 408, 409, 413, 415),
        description=import_them.__doc__,
        openapi_extra=_BODY | by_key(200),
    )
    @limits.signed_in
    async def post_resource_import(
        request: Request,
        project: str,
        query: Annotated[ImportQuery, Query()],
        by: Annotated[User, Depends(guard(Action.RESOURCE_IMPORT))],
    ) -> Response:
        await projects.get(project)
        async with places.table(request, at_most=at_most) as table:
            given = {"table": table, "project": project, "mode": Mode(query.mode), "dry_run": query.dry_run, "plan": query.plan}
            told = sha256(table.kind.encode() + table.digest).digest()
            return await once(request, import_them, _answer, by=by, body_digest=told, **given)

    return router


def _answer(done: Imported) -> Json:
    return Json(ImportedOut(**asdict(done)))
