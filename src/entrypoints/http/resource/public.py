"""What anybody may read of resources."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from domain.resource import Sort
from entrypoints.container import Container
from entrypoints.http.lookups import lookups_of
from entrypoints.http.problems import problem_responses
from entrypoints.http.query import next_page
from entrypoints.http.rate_limit import Limits
from entrypoints.http.reply import UNCHANGED, Json, entity
from entrypoints.http.resource.bodies import Count, ResourceOut, ResourcePage
from entrypoints.http.resource.query import LABELS_PARAMETER, ResourceFilter, ResourceList, ResourcePages, after_of, skip_of
from entrypoints.http.route import router_of


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
        responses=problem_responses(404) | UNCHANGED,
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
    @limits.search
    async def get_resources(request: Request, project: str, query: Annotated[ResourceList, Query()]) -> Response:
        sort = Sort(query.sort)
        page = await list_them(query.where(project), sort=sort, limit=query.limit, skip=skip_of(query), after=after_of(query.cursor, sort))
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
    @limits.search
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
    @limits.search
    async def paginate_resources(request: Request, project: str, query: Annotated[ResourcePages, Query()]) -> Response:
        found = await page_them(query.where(project), sort=Sort(query.sort), page=query.page, per_page=query.per_page)
        pages = -(-found.total // query.per_page)
        numbers = f'"page":{query.page},"per_page":{query.per_page},"total":{found.total},"total_pages":{pages}'
        return Json(b'{"items":' + found.json + b"," + numbers.encode() + b"}")

    return router
