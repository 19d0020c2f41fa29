"""Resources over HTTP."""

from functools import cached_property
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Depends, Query
from pydantic import Field, ModelWrapValidatorHandler, PrivateAttr, model_validator
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from application.ports import After
from domain.access import Action
from domain.errors import Fault, Invalid
from domain.label_set import NAME_PATTERN
from domain.resource import DESCRIPTION_MAX, NAME_MAX, SEARCH_MAX, SKIP_MAX, Filter, Resource, Sort, Status
from domain.text import is_clean, rfc3339
from domain.user import User
from entrypoints.container import Container
from entrypoints.http.idempotency import MakesOnce, by_key
from entrypoints.http.lookups import lookups_of
from entrypoints.http.problems import problem_responses
from entrypoints.http.query import INT64_MAX, PageQuery, Whole, bad_cursor, decode_cursor, is_moment, next_page
from entrypoints.http.query import Query as QueryModel
from entrypoints.http.rate_limit import Limits
from entrypoints.http.reply import Body, Json, Out, Time, entity, expected_versions, without_default
from entrypoints.http.route import router_of
from entrypoints.http.signed_in import Guard

StatusName = Literal["active", "inactive", "pending"]
Name = Annotated[str, Field(min_length=1, max_length=NAME_MAX, examples=["Trust circles"])]
Description = Annotated[str, Field(max_length=DESCRIPTION_MAX)]

PER_PAGE_MAX = 100
PAGE_MAX = 1_000_000


LABEL = "label."
LABELS_PARAMETER = {
    "name": "labels",
    "in": "query",
    "style": "form",
    "explode": True,
    "schema": {
        "type": "object",
        "propertyNames": {"pattern": rf"^label\.{NAME_PATTERN}$"},
        "additionalProperties": {"type": "string"},
        "example": {"label.topic": "health"},
    },
    "description": "`label.<set>=<label>`: only those that most annotators gave this label, each a parameter of its own.",
}


class ResourceFilter(QueryModel):
    """Parameters that begin with `label.` name label sets; the rest are declared."""

    _labels: dict[str, str] = PrivateAttr(default_factory=dict)

    @model_validator(mode="wrap")
    @classmethod
    def _with_labels(cls, given: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        model = handler({name: text for name, text in given.items() if not name.startswith(LABEL)})
        labels = {name.removeprefix(LABEL): text for name, text in given.items() if name.startswith(LABEL)}
        model._labels = labels  # noqa: SLF001 - the model's own class
        return model

    status: StatusName | None = Field(None, description="Only those with this label.")
    search: str | None = Field(None, max_length=SEARCH_MAX, description="A literal text, in any case, in the name or the description.")

    @cached_property
    def conditions(self) -> dict[str, Any]:
        status = Status(self.status) if self.status else None
        return {"status": status, "search": self.search or None, "labels": tuple(self._labels.items())}

    def where(self, project: str) -> Filter:
        return Filter(project=project, **self.conditions)


class ResourceList(ResourceFilter, PageQuery):
    sort: Literal["id", "-id", "name", "-name", "created_at", "-created_at", "updated_at", "-updated_at"] = "id"
    skip: Annotated[Whole, Field(ge=0, description=f"At most {SKIP_MAX}; further on, use `cursor`.")] = 0


class ResourcePages(ResourceFilter):
    sort: Literal["id", "-id", "name", "-name", "created_at", "-created_at", "updated_at", "-updated_at"] = "id"
    page: Annotated[Whole, Field(ge=1, le=PAGE_MAX)] = 1
    per_page: Annotated[Whole, Field(ge=1, le=PER_PAGE_MAX)] = 20


class ResourceIn(Body):
    name: Name
    description: Description | None = None
    status: StatusName = "active"
    attributes: dict[str, Any] = Field(default_factory=dict, description="Anything, as an object of at most 64 KiB and 16 levels.")


class ResourceChanges(Body):
    """Only the fields sent change."""

    name: Name = Field(default="", json_schema_extra=without_default)
    description: Description | None = None
    status: StatusName = Field(default="active", json_schema_extra=without_default)
    attributes: dict[str, Any] = Field(default_factory=dict)

    def changes(self) -> dict[str, Any]:
        given = self.model_dump(exclude_unset=True)
        return given | {"status": Status(given["status"])} if "status" in given else given


class ResourceOut(Out):
    id: int
    project: str
    name: str
    description: str | None
    status: StatusName
    attributes: dict[str, Any]
    created_by: str
    created_at: Time
    updated_at: Time | None
    is_active: bool
    version: int

    @classmethod
    def of(cls, resource: Resource) -> "ResourceOut":
        return cls.model_construct(**{name: getattr(resource, name) for name in cls.model_fields})


class ResourcePage(Out):
    items: list[ResourceOut]
    page: int
    per_page: int
    total: int
    total_pages: int


class Count(Out):
    count: int


class Message(Out):
    message: str


def public_resources(use: Container, limits: Limits) -> APIRouter:
    get_one, list_them, page_them, count_them = (
        use.get_resource(),
        use.list_resources(),
        use.page_resources(),
        use.count_resources(),
    )

    router = router_of("Resources", limits, lookups_of(use))

    @router.get(
        "/{project:slug}/resources/{resource_id:id}",
        response_model=ResourceOut,
        responses=problem_responses(404),
        description=get_one.__doc__,
    )
    @limits.public_read
    async def get_resource(request: Request, project: str, resource_id: int) -> Response:
        found = await get_one(project=project, resource_id=resource_id)
        return entity(request.headers, found.json, tag=str(found.version))

    @router.get(
        "/{project:slug}/resources",
        response_model=list[ResourceOut],
        responses=problem_responses(404),
        openapi_extra={"parameters": [LABELS_PARAMETER]},
        description=list_them.__doc__,
    )
    @limits.public_read
    async def get_resources(request: Request, project: str, query: Annotated[ResourceList, Query()]) -> Response:
        sort = Sort(query.sort)
        page = await list_them(query.where(project), sort=sort, limit=query.limit, skip=_skip(query), after=_after(query.cursor, sort))
        if page.next is None:
            return Json(page.json)
        return Json(page.json, headers=next_page(request, sort.value, page.next.key, page.next.id))

    @router.get(
        "/{project:slug}/resources/count",
        response_model=Count,
        responses=problem_responses(404),
        openapi_extra={"parameters": [LABELS_PARAMETER]},
        description=count_them.__doc__,
    )
    @limits.public_read
    async def count_resources(request: Request, project: str, query: Annotated[ResourceFilter, Query()]) -> Response:
        return Json(Count(count=await count_them(query.where(project))))

    @router.get(
        "/{project:slug}/resources/paginated",
        response_model=ResourcePage,
        responses=problem_responses(404),
        openapi_extra={"parameters": [LABELS_PARAMETER]},
        description=page_them.__doc__,
    )
    @limits.public_read
    async def paginate_resources(request: Request, project: str, query: Annotated[ResourcePages, Query()]) -> Response:
        found = await page_them(query.where(project), sort=Sort(query.sort), page=query.page, per_page=query.per_page)
        pages = -(-found.total // query.per_page)
        numbers = f'"page":{query.page},"per_page":{query.per_page},"total":{found.total},"total_pages":{pages}'
        return Json(b'{"items":' + found.json + b"," + numbers.encode() + b"}")

    return router


def signed_in_resources(use: Container, limits: Limits, guard: Guard) -> APIRouter:
    create, update, delete, restore = use.create_resource(), use.update_resource(), use.delete_resource(), use.restore_resource()

    router, once = router_of("Resources", limits, lookups_of(use)), MakesOnce(use)

    @router.post(
        "/admin/{project:slug}/resources",
        status_code=201,
        response_model=ResourceOut,
        responses=problem_responses(404, 409),
        openapi_extra=by_key(201),
        description=create.__doc__,
    )
    @limits.signed_in
    async def post_resource(
        request: Request, project: str, body: ResourceIn, by: Annotated[User, Depends(guard(Action.RESOURCE_CREATE))]
    ) -> Response:
        return await once(request, create, _made, project=project, by=by, **(body.model_dump() | {"status": Status(body.status)}))

    @router.put(
        "/admin/{project:slug}/resources/{resource_id:id}",
        name="put_resource",
        response_model=ResourceOut,
        responses=problem_responses(404, 409, 412),
        description=update.__doc__,
    )
    @router.patch(
        "/admin/{project:slug}/resources/{resource_id:id}",
        name="patch_resource",
        response_model=ResourceOut,
        responses=problem_responses(404, 409, 412),
        description=update.__doc__,
    )
    @limits.signed_in
    async def change_resource(
        request: Request,
        project: str,
        resource_id: int,
        body: ResourceChanges,
        by: Annotated[User, Depends(guard(Action.RESOURCE_UPDATE))],
    ) -> Response:
        changed = await update(
            project=project, resource_id=resource_id, changes=body.changes(), expected=expected_versions(request.headers), by=by
        )
        return _tagged(changed)

    @router.delete(
        "/admin/{project:slug}/resources/{resource_id:id}",
        response_model=Message,
        responses=problem_responses(404, 412),
        description=delete.__doc__,
    )
    @limits.signed_in
    async def delete_resource(
        request: Request, project: str, resource_id: int, by: Annotated[User, Depends(guard(Action.RESOURCE_DELETE))]
    ) -> Response:
        await delete(project=project, resource_id=resource_id, expected=expected_versions(request.headers), by=by)
        return Json(Message(message="Resource deleted successfully"))

    @router.post(
        "/admin/{project:slug}/resources/{resource_id:id}/restore",
        response_model=ResourceOut,
        responses=problem_responses(404, 409, 412),
        description=restore.__doc__,
    )
    @limits.signed_in
    async def restore_resource(
        request: Request, project: str, resource_id: int, by: Annotated[User, Depends(guard(Action.RESOURCE_DELETE))]
    ) -> Response:
        return _tagged(await restore(project=project, resource_id=resource_id, expected=expected_versions(request.headers), by=by))

    return router


def _json(resource: Resource) -> bytes:
    """As `ResourceOut` has it, written without making one: each edit pays for this."""
    told = {name: getattr(resource, name) for name in ResourceOut.model_fields}
    told["created_at"] = rfc3339(resource.created_at)
    told["updated_at"] = resource.updated_at and rfc3339(resource.updated_at)
    return to_json(told)


def _made(resource: Resource) -> Json:
    location = f"/{resource.project}/resources/{resource.id}"
    return Json(_json(resource), status=201, headers={"location": location, "etag": f'"{resource.version}"'})


def _tagged(resource: Resource) -> Json:
    return Json(_json(resource), headers={"etag": f'"{resource.version}"'})


def _skip(query: ResourceList) -> int:
    if query.skip > SKIP_MAX:
        raise Invalid(
            Fault(pointer="/skip", code="skip-too-far", detail=f"At most {SKIP_MAX}; to go further, follow `cursor` from the Link header.")
        )
    if query.skip and query.cursor is not None:
        raise Invalid(Fault(pointer="/skip", code="skip-with-cursor", detail="Give skip or cursor, not both."))
    return query.skip


def _after(cursor: str | None, sort: Sort) -> After | None:
    """The place that a cursor names. Raises `Invalid` for one of another order."""
    if cursor is None:
        return None
    place = decode_cursor(cursor)
    if len(place) != 3 or place[0] != sort.value or type(place[2]) is not int or not 1 <= place[2] <= INT64_MAX:
        raise bad_cursor()
    if not _is_key(place[1], sort):
        raise bad_cursor()
    return After(key=place[1], id=place[2])


def _is_key(key: Any, sort: Sort) -> bool:
    match sort.column:
        case "id":
            return type(key) is int
        case "name":
            return isinstance(key, str) and len(key) <= NAME_MAX and is_clean(key)
        case _:
            return (key is None and sort.column == "updated_at") or is_moment(key)
