"""What those who are signed in do with resources."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from domain.access import Action
from domain.resource import Resource, Status
from domain.user import User
from entrypoints.container import Container
from entrypoints.http.idempotency import MakesOnce, by_key
from entrypoints.http.lookups import lookups_of
from entrypoints.http.problems import problem_responses
from entrypoints.http.rate_limit import Limits
from entrypoints.http.reply import Json, expected_versions
from entrypoints.http.resource.bodies import Message, ResourceChanges, ResourceIn, ResourceOut, as_json
from entrypoints.http.route import router_of
from entrypoints.http.signed_in import Guard


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


def _made(resource: Resource) -> Json:
    location = f"/{resource.project}/resources/{resource.id}"
    return Json(as_json(resource), status=201, headers={"location": location, "etag": f'"{resource.version}"'})


def _tagged(resource: Resource) -> Json:
    return Json(as_json(resource), headers={"etag": f'"{resource.version}"'})
