"""Tables of labels over HTTP."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from application.annotation_import import LabelsImported
from domain.access import Action
from domain.resource_import import TableKind
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
from entrypoints.http.table_body import Places

_EXAMPLE = "resource_id,label_set,annotator,value,confidence,note\n7,topic,emmy,trust,4,Clear.\n"
_BODY = {
    "requestBody": {"required": True, "content": {"text/csv": {"schema": {"type": "string", "format": "binary"}, "example": _EXAMPLE}}}
}


class LabelImportQuery(QueryModel):
    dry_run: Flag = False


class LabelsImportedOut(Out):
    dry_run: bool
    rows: int
    inserted: int
    updated: int
    unchanged: int


def annotation_import_routes(use: Container, limits: Limits, guard: Guard, *, at_most: int) -> APIRouter:
    import_them, projects, once = use.import_annotations(), use.projects(), MakesOnce(use)
    router = router_of("Annotations", limits, lookups_of(use))
    places = Places(1, told="Labels are being imported by another: try again shortly.")

    @router.post(
        "/admin/{project:slug}/annotations/import",
        response_model=LabelsImportedOut,
        responses=problem_responses(400, 404, 408, 409, 413, 415),
        description=import_them.__doc__,
        openapi_extra=_BODY | by_key(200),
    )
    @limits.signed_in
    async def post_annotation_import(
        request: Request,
        project: str,
        query: Annotated[LabelImportQuery, Query()],
        by: Annotated[User, Depends(guard(Action.ANNOTATION_IMPORT))],
    ) -> Response:
        await projects.get(project)
        async with places.table(request, at_most=at_most, kinds={TableKind.CSV}) as table:
            given = {"file": table.file, "project": project, "dry_run": query.dry_run}
            return await once(request, import_them, _answer, by=by, body_digest=table.digest, **given)

    return router


def _answer(done: LabelsImported) -> Json:
    return Json(LabelsImportedOut(**asdict(done)))
