"""Projects over HTTP."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import Field, TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from application.ports import Counts
from domain.access import Action
from domain.project import DESCRIPTION_MAX, SLUG_PATTERN, TITLE_MAX, Project, is_slug
from domain.user import User
from entrypoints.container import Container
from entrypoints.http.idempotency import MakesOnce, by_key
from entrypoints.http.lookups import lookups_of
from entrypoints.http.problems import problem_responses
from entrypoints.http.query import PageQuery, bad_cursor, decode_cursor, page_of
from entrypoints.http.rate_limit import Limits
from entrypoints.http.reply import UNCHANGED, Body, Json, Out, Time, entity, expected_versions, json_list, without_default
from entrypoints.http.route import router_of
from entrypoints.http.signed_in import Guard

Title = Annotated[str, Field(min_length=1, max_length=TITLE_MAX)]
Description = Annotated[str, Field(max_length=DESCRIPTION_MAX)]


class ProjectIn(Body):
    slug: Annotated[str, Field(pattern=f"^{SLUG_PATTERN}$", examples=["dark-data"])]
    title: Title
    description: Description | None = None


class ProjectChanges(Body):
    """Only the fields sent change."""

    title: Title = Field(default="", json_schema_extra=without_default)
    description: Description | None = None


class ProjectOut(Out):
    slug: str
    title: str
    description: str | None
    is_active: bool
    created_at: Time
    updated_at: Time | None
    version: int

    @classmethod
    def of(cls, project: Project) -> "ProjectOut":
        return cls.model_construct(**{name: getattr(project, name) for name in ProjectOut.model_fields})


class CountsOut(Out):
    resources: int
    files: int


class ProjectOverview(ProjectOut):
    counts: CountsOut
    survey_open: bool


_LIST = TypeAdapter(list[ProjectOut])


def public_projects(use: Container, limits: Limits) -> tuple[APIRouter, APIRouter]:
    """The list of projects, and, for the end of the line since its address takes any slug, the single project."""
    list_them, get_one = use.list_projects(), use.get_project()
    router, last = router_of("Projects", limits), router_of("Projects", limits, lookups_of(use))

    @router.get("/projects", response_model=list[ProjectOut], description=list_them.__doc__)
    @limits.public_read
    async def get_projects(request: Request, query: Annotated[PageQuery, Query()]) -> Response:
        found = await list_them(after=_after(query.cursor), limit=query.limit + 1)
        page, headers = page_of(request, found, limit=query.limit, place=lambda last: last.slug)
        return json_list(_LIST, [ProjectOut.of(project) for project in page], headers)

    @last.get("/{project:slug}", response_model=ProjectOverview, responses=problem_responses(404) | UNCHANGED, description=get_one.__doc__)
    @limits.public_read
    async def get_project(request: Request, project: str) -> Response:
        found, counts = await get_one(project=project)
        overview = ProjectOverview(
            **ProjectOut.of(found).model_dump(warnings=False) | {"created_at": found.created_at, "updated_at": found.updated_at},
            counts=CountsOut(resources=counts.resources, files=counts.files),
            survey_open=counts.survey_open,
        )
        return entity(request.headers, overview, tag=_tag(found, counts))

    return router, last


def signed_in_projects(use: Container, limits: Limits, guard: Guard) -> APIRouter:
    create, update, delete, overview = use.create_project(), use.update_project(), use.delete_project(), use.get_project()

    async def tag_of(given: Mapping[str, Any]) -> str:
        return _tag(*await overview(project=given["project"]))

    router, once = router_of("Projects", limits, lookups_of(use), tag_of=tag_of), MakesOnce(use)

    @router.post(
        "/admin/projects",
        status_code=201,
        response_model=ProjectOut,
        responses=problem_responses(409),
        openapi_extra=by_key(201),
        description=create.__doc__,
    )
    @limits.signed_in
    async def post_project(request: Request, body: ProjectIn, by: Annotated[User, Depends(guard(Action.PROJECT_CREATE))]) -> Response:
        return await once(request, create, _made, by=by, **body.model_dump())

    @router.patch(
        "/admin/projects/{project:slug}", response_model=ProjectOut, responses=problem_responses(404, 412), description=update.__doc__
    )
    @limits.signed_in
    async def patch_project(
        request: Request, project: str, body: ProjectChanges, by: Annotated[User, Depends(guard(Action.PROJECT_UPDATE))]
    ) -> Response:
        changed = await update(
            project=project, changes=body.model_dump(exclude_unset=True), expected=expected_versions(request.headers), by=by
        )
        return Json(ProjectOut.of(changed), headers={"etag": f'"{await tag_of({"project": project})}"'})

    @router.delete(
        "/admin/projects/{project:slug}",
        status_code=204,
        response_model=None,
        responses=problem_responses(404, 412),
        description=delete.__doc__,
    )
    @limits.signed_in
    async def delete_project(request: Request, project: str, by: Annotated[User, Depends(guard(Action.PROJECT_DELETE))]) -> Response:
        await delete(project=project, expected=expected_versions(request.headers), by=by)
        return Response(status_code=204)

    return router


def _made(project: Project) -> Response:
    tag = _tag(project, Counts(resources=0, files=0, survey_open=False))
    return Json(ProjectOut.of(project), status=201, headers={"location": f"/{project.slug}", "etag": f'"{tag}"'})


def _tag(project: Project, counts: Counts) -> str:
    """The version first: `If-Match` compares that alone, so that a new resource stands in nobody's way."""
    return f"{project.version}-{project.id}-{counts.resources}-{counts.files}-{int(counts.survey_open)}"


def _after(cursor: str | None) -> str:
    if cursor is None:
        return ""
    place = decode_cursor(cursor)
    if len(place) != 1 or not isinstance(place[0], str) or not is_slug(place[0]):
        raise bad_cursor()
    return place[0]
