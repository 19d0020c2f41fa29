"""Exports over HTTP: resources as files, and stored exports of resources, responses and annotations."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi import Query as QueryParameters
from pydantic import ConfigDict, Field, JsonValue
from starlette.requests import Request
from starlette.responses import Response

from domain.access import Action
from domain.errors import Fault, Invalid
from domain.export import Export, Format, Subject
from domain.resource import SEARCH_MAX
from domain.user import User
from entrypoints.container import Container
from entrypoints.http.content import content, content_responses
from entrypoints.http.idempotency import MakesOnce, by_key
from entrypoints.http.lookups import lookups_of
from entrypoints.http.problems import problem_responses
from entrypoints.http.query import Flag, PageQuery, page_of, uuid_after
from entrypoints.http.rate_limit import Limits, network
from entrypoints.http.reply import UNCHANGED, Body, Json, Out, Time, entity, expected_versions, without_default
from entrypoints.http.resource import LABELS_PARAMETER, ResourceFilter, StatusName
from entrypoints.http.route import router_of
from entrypoints.http.signed_in import Credentials, Guard
from entrypoints.http.stream import TABLE_FILE, table_file

FormatName = Literal["json", "ndjson", "csv", "parquet"]
_BELONG = {Subject.RESOURCES: {"status", "search", "raw"}, Subject.RESPONSES: {"version", "test", "raw"}, Subject.ANNOTATIONS: {"raw"}}


class ResourceExport(ResourceFilter):
    format: FormatName = "json"
    raw: Annotated[Flag, Field(description="CSV without the guard against formulas.")] = False


class ExportFilters(Body):
    """As in the direct export: `status` and `search` of resources, `version` and `test` of responses, `raw` of all."""

    status: StatusName = Field("active", json_schema_extra=without_default)
    search: Annotated[str, Field(max_length=SEARCH_MAX)] = Field("", json_schema_extra=without_default)
    version: Annotated[int, Field(ge=1, le=2**31 - 1)] = Field(1, json_schema_extra=without_default)
    test: Literal["exclude", "include", "only"] = Field("exclude", json_schema_extra=without_default)
    raw: bool = Field(default=False, description="CSV without the guard against formulas.")


class ExportIn(Body):
    what: Literal["resources", "responses", "annotations"]
    format: FormatName
    filters: ExportFilters = Field(default_factory=ExportFilters)

    def given(self) -> dict[str, Any]:
        """The filters that were sent. Raises `Invalid` for one that is not for this."""
        given = self.filters.model_dump(exclude_unset=True)
        strange = sorted(given.keys() - _BELONG[Subject(self.what)])
        if strange:
            raise Invalid(*(Fault(pointer=f"/filters/{name}", code="strange-filter", detail=f"Not for {self.what}.") for name in strange))
        return given


class ColumnOut(Out):
    name: str
    type: str


class ExportOut(Out):
    model_config = ConfigDict(frozen=True, serialize_by_alias=True)

    id: UUID
    what: Literal["resources", "responses", "annotations"]
    format: FormatName
    filters: dict[str, JsonValue]
    status: Literal["queued", "running", "done", "failed"]
    progress: int = Field(ge=0, le=100, description="The share of rows that are written, in percent.")
    rows: int | None
    bytes: int | None
    sha256: str | None
    columns: list[ColumnOut] | None = Field(serialization_alias="schema")
    survey_version: int | None
    created_by: str
    created_at: Time

    @classmethod
    def of(cls, export: Export) -> "ExportOut":
        manifest = export.manifest
        told: dict[str, Any] = {name: getattr(manifest, name, None) for name in ("rows", "sha256", "survey_version")}
        return cls.model_construct(
            id=export.id,
            created_by=export.created_by,
            created_at=export.created_at,
            what=export.what.value,
            format=export.format.value,
            filters=dict(export.filters),
            status=export.status.value,
            progress=export.percent,
            columns=None if manifest is None else [ColumnOut(name=column.name, type=column.schema_type) for column in manifest.columns],
            bytes=None if manifest is None else manifest.size,
            **told,
        )


def public_exports(use: Container, limits: Limits, credentials: Credentials) -> APIRouter:
    export = use.export_resources()
    router = router_of("Resources", limits, lookups_of(use))

    @router.get(
        "/{project:slug}/export",
        response_class=Response,
        responses=problem_responses(404) | TABLE_FILE,
        openapi_extra={"parameters": [LABELS_PARAMETER]},
        description=export.__doc__,
    )
    @limits.export_by_network
    @limits.search
    async def export_resources(request: Request, project: str, query: Annotated[ResourceExport, QueryParameters()]) -> Response:
        kind = Format(query.format)

        def content() -> AsyncIterator[bytes]:
            return export(query.where(project), kind=kind, guarded=not query.raw)

        by = await credentials.user_if_any(request)
        download = request.app.downloads.of(network(request)) if by is None else None
        return await table_file(request, content, kind=kind, filename=f"{project}-resources.{kind}", download=download)

    return router


def signed_in_exports(use: Container, limits: Limits, guard: Guard) -> APIRouter:
    create, list_them, get_one = use.create_export(), use.list_exports(), use.get_export()
    read, record, delete = use.read_export(), use.record_export_read(), use.delete_export()

    async def existing(given: Mapping[str, Any]) -> None:
        await get_one(project=given["project"], export_id=given["export_id"], by=given["by"])

    router, once = router_of("Exports", limits, {**lookups_of(use), "export_id": existing}), MakesOnce(use)

    @router.post(
        "/admin/{project:slug}/exports",
        status_code=202,
        response_model=ExportOut,
        responses=problem_responses(404, 409),
        openapi_extra=by_key(202),
        description=create.__doc__,
    )
    @limits.export
    async def post_export(
        request: Request, project: str, body: ExportIn, by: Annotated[User, Depends(guard(Action.EXPORT_CREATE))]
    ) -> Response:
        asked: Mapping[str, Any] = {"what": Subject(body.what), "format": Format(body.format), "filters": body.given()}
        return await once(request, create, _queued, by=by, project=project, **asked)

    @router.get(
        "/admin/{project:slug}/exports", response_model=list[ExportOut], responses=problem_responses(404), description=list_them.__doc__
    )
    @limits.signed_in
    async def get_exports(
        request: Request,
        project: str,
        query: Annotated[PageQuery, QueryParameters()],
        by: Annotated[User, Depends(guard(Action.EXPORT_READ))],
    ) -> Response:
        found = await list_them(project=project, after=uuid_after(query.cursor), limit=query.limit + 1, by=by)
        page, headers = page_of(request, found, limit=query.limit, place=lambda export: str(export.id))
        return Json(b"[" + b",".join([_json(export) for export in page]) + b"]", headers=headers)

    @router.get(
        "/admin/{project:slug}/exports/{export_id:uuid}",
        response_model=ExportOut,
        responses=problem_responses(404) | UNCHANGED,
        description=get_one.__doc__,
    )
    @limits.signed_in
    async def get_export(
        request: Request, project: str, export_id: UUID, by: Annotated[User, Depends(guard(Action.EXPORT_READ))]
    ) -> Response:
        found = await get_one(project=project, export_id=export_id, by=by)
        return entity(request.headers, ExportOut.of(found), tag=f"{found.version}-{found.status}-{found.percent}")

    @router.delete(
        "/admin/{project:slug}/exports/{export_id:uuid}",
        status_code=204,
        responses=problem_responses(404, 412),
        description=delete.__doc__,
    )
    @limits.signed_in
    async def delete_export(
        request: Request, project: str, export_id: UUID, by: Annotated[User, Depends(guard(Action.EXPORT_DELETE))]
    ) -> Response:
        await delete(project=project, export_id=export_id, expected=expected_versions(request.headers), by=by)
        return Response(status_code=204)

    @router.get(
        "/admin/{project:slug}/exports/{export_id:uuid}/content",
        response_class=Response,
        responses=content_responses(kind.media_type for kind in Format) | problem_responses(404, 409),
        description=read.__doc__,
    )
    @limits.signed_in
    async def get_export_content(
        request: Request, project: str, export_id: UUID, by: Annotated[User, Depends(guard(Action.EXPORT_READ))]
    ) -> Response:
        found, manifest = await read(project=project, export_id=export_id, by=by)

        async def opened(start: int, end: int) -> AsyncGenerator[bytes, None]:
            if "is_head" not in request.scope:
                await record(found, start=start, by=by)
            return read.bytes_of(found, start=start, end=end)

        return await content(
            request,
            size=manifest.size,
            sha256=manifest.sha256,
            media_type=found.format.media_type,
            disposition=f'attachment; filename="{found.filename}"',
            opened=opened,
        )

    @router.get(
        "/admin/{project:slug}/exports/{export_id:uuid}/datapackage.json",
        response_model=dict[str, JsonValue],
        responses=problem_responses(404, 409) | UNCHANGED,
    )
    @limits.signed_in
    async def get_export_package(
        request: Request, project: str, export_id: UUID, by: Annotated[User, Depends(guard(Action.EXPORT_READ))]
    ) -> Response:
        """What lies beside the content: a Frictionless Data Package with the schema of its columns. It never changes, either."""
        _, manifest = await read(project=project, export_id=export_id, by=by)
        return entity(request.headers, manifest.package, tag=f"package-{manifest.sha256}")

    return router


def _queued(export: Export) -> Response:
    location = f"/admin/{export.project}/exports/{export.id}"
    return Json(ExportOut.of(export), status=202, headers={"location": location})


def _json(export: Export) -> bytes:
    out = ExportOut.of(export)
    return out.__pydantic_serializer__.to_json(out)
