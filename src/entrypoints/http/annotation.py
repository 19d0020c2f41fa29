"""Annotations over HTTP."""

from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from fastapi import Query as QueryParameters
from pydantic import Field, JsonValue, TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from domain.access import Action
from domain.annotation import CONFIDENCE_MAX, CONFIDENCE_MIN, NOTE_MAX, Annotation
from domain.export import Format
from domain.user import User, canonical_username
from entrypoints.container import Container
from entrypoints.http.lookups import lookups_of
from entrypoints.http.problems import problem_responses
from entrypoints.http.query import INT64_MAX, WHOLE, Flag, PageQuery, Query, id_after, page_of
from entrypoints.http.rate_limit import Limits
from entrypoints.http.reply import Body, Json, Out, Time, expected_versions, json_list
from entrypoints.http.resource import ResourceOut
from entrypoints.http.route import router_of
from entrypoints.http.signed_in import Guard
from entrypoints.http.stream import TABLE_FILE, table_file

TERM_MAX = 100


class AnnotationBody(Body):
    value: JsonValue = Field(description="The label: a text, a number, or true or false, as the type of the set says.")
    confidence: Annotated[int | None, Field(ge=CONFIDENCE_MIN, le=CONFIDENCE_MAX)] = None
    note: Annotated[str | None, Field(max_length=NOTE_MAX)] = None


class AnnotationOut(Out):
    id: int
    resource_id: int
    label_set: str
    label_set_version: int = Field(description="The version of the set that the label was given under.")
    annotator: str
    value: JsonValue
    confidence: int | None
    note: str | None
    created_at: Time
    updated_at: Time | None
    version: int

    @classmethod
    def of(cls, annotation: Annotation) -> "AnnotationOut":
        return cls.model_construct(**{name: getattr(annotation, name) for name in cls.model_fields})


class AnnotationList(PageQuery):
    label_set: Annotated[str | None, Field(max_length=TERM_MAX, description="Only in the set of this name.")] = None
    resource_id: Annotated[Annotated[int, Field(ge=1, le=INT64_MAX), WHOLE] | None, Field(description="Only of this resource.")] = None
    annotator: Annotated[str | None, Field(max_length=TERM_MAX, description="Only by the user of this name.")] = None

    def terms(self) -> dict[str, Any]:
        annotator = None if self.annotator is None else canonical_username(self.annotator)
        return {"label_set": self.label_set, "resource_id": self.resource_id, "annotator": annotator}


class NextQuery(Query):
    label_set: Annotated[str, Field(max_length=TERM_MAX)]


class NextOut(Out):
    resource: ResourceOut
    lease_until: Time


class AnnotationExport(Query):
    format: Literal["json", "ndjson", "csv", "parquet"] = "json"
    names: Annotated[Flag, Field(description="Annotators by name instead of pseudonym; for admins.")] = False
    raw: Annotated[Flag, Field(description="CSV without the guard against formulas.")] = False


_LIST = TypeAdapter(list[AnnotationOut])


def annotation_routes(use: Container, limits: Limits, guard: Guard) -> APIRouter:
    label_sets = use.label_sets()

    async def label_set(given: Mapping[str, Any]) -> None:
        await label_sets.get(given["project"], given["label_set"])

    router = router_of("Annotations", limits, {**lookups_of(use), "label_set": label_set})
    _writing(router, use, limits, guard)
    _reading(router, use, limits, guard)
    return router


def _writing(router: APIRouter, use: Container, limits: Limits, guard: Guard) -> None:
    annotate, withdraw = use.annotate(), use.withdraw_annotation()

    @router.put(
        "/admin/{project:slug}/resources/{resource_id:id}/annotations/{label_set:name}",
        response_model=AnnotationOut,
        responses=problem_responses(404, 412) | {201: {"model": AnnotationOut}},
        description=annotate.__doc__,
    )
    @limits.signed_in
    async def put_annotation(
        request: Request,
        project: str,
        resource_id: int,
        label_set: str,
        body: AnnotationBody,
        by: Annotated[User, Depends(guard(Action.ANNOTATION_WRITE))],
    ) -> Response:
        done = await annotate(
            project=project,
            resource_id=resource_id,
            label_set=label_set,
            value=body.value,
            confidence=body.confidence,
            note=body.note,
            expected=expected_versions(request.headers),
            by=by,
        )
        headers = {"etag": f'"{done.annotation.version}"'}
        return Json(AnnotationOut.of(done.annotation), status=201 if done.is_new else 200, headers=headers)

    @router.delete(
        "/admin/{project:slug}/resources/{resource_id:id}/annotations/{label_set:name}",
        status_code=204,
        response_model=None,
        responses=problem_responses(404, 412),
        description=withdraw.__doc__,
    )
    @limits.signed_in
    async def delete_annotation(
        request: Request,
        project: str,
        resource_id: int,
        label_set: str,
        by: Annotated[User, Depends(guard(Action.ANNOTATION_DELETE))],
    ) -> Response:
        expected = expected_versions(request.headers)
        await withdraw(project=project, resource_id=resource_id, label_set=label_set, expected=expected, by=by)
        return Response(status_code=204)


def _reading(router: APIRouter, use: Container, limits: Limits, guard: Guard) -> None:
    draw, list_them, export = use.draw_next(), use.list_annotations(), use.export_annotations()

    @router.get(
        "/admin/{project:slug}/annotations/next",
        response_model=NextOut,
        responses=problem_responses(404) | {204: {"description": "Nothing is left."}},
        description=draw.__doc__,
    )
    @limits.signed_in
    async def get_next_annotation(
        request: Request,
        project: str,
        query: Annotated[NextQuery, QueryParameters()],
        by: Annotated[User, Depends(guard(Action.ANNOTATION_DRAW))],
    ) -> Response:
        drawn = await draw(project=project, label_set=query.label_set, by=by)
        if drawn is None:
            return Response(status_code=204)
        return Json(NextOut.model_construct(resource=ResourceOut.of(drawn.resource), lease_until=drawn.lease_until))

    @router.get(
        "/admin/{project:slug}/annotations",
        response_model=list[AnnotationOut],
        responses=problem_responses(404),
        description=list_them.__doc__,
    )
    @limits.signed_in
    async def get_annotations(
        request: Request,
        project: str,
        query: Annotated[AnnotationList, QueryParameters()],
        by: Annotated[User, Depends(guard(Action.ANNOTATION_READ))],
    ) -> Response:
        found = await list_them(project=project, after=id_after(query.cursor), limit=query.limit + 1, by=by, **query.terms())
        page, headers = page_of(request, found, limit=query.limit, place=lambda last: last.id)
        return json_list(_LIST, [AnnotationOut.of(annotation) for annotation in page], headers)

    @router.get(
        "/admin/{project:slug}/annotations/export",
        response_class=Response,
        responses=problem_responses(404) | TABLE_FILE,
        description=export.__doc__,
    )
    @limits.export
    async def export_annotations(
        request: Request,
        project: str,
        query: Annotated[AnnotationExport, QueryParameters()],
        by: Annotated[User, Depends(guard(Action.ANNOTATION_EXPORT))],
    ) -> Response:
        kind = Format(query.format)

        def content() -> AsyncIterator[bytes]:
            return export(project=project, kind=kind, names=query.names, guarded=not query.raw, by=by)

        return await table_file(request, content, kind=kind, filename=f"{project}-annotations.{kind}")
