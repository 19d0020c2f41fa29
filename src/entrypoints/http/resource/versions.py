"""What resources were, and whose they are."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import Field, TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from domain.access import Action
from domain.resource import ResourceVersion
from domain.user import User
from entrypoints.container import Container
from entrypoints.http.lookups import lookups_of
from entrypoints.http.problems import problem_responses
from entrypoints.http.query import PageQuery, id_after, page_of
from entrypoints.http.rate_limit import Limits
from entrypoints.http.reply import UNCHANGED, Body, Json, Out, Time, entity, expected_versions, json_list
from entrypoints.http.resource.bodies import ResourceOut, StatusName, as_json
from entrypoints.http.route import router_of
from entrypoints.http.signed_in import Guard

_ADDRESS = "/admin/{project:slug}/resources/{resource_id:id}"


class OwnerIn(Body):
    username: Annotated[str, Field(min_length=1, max_length=255, description="In any case.")]


class OwnedResourceOut(ResourceOut):
    owner: str


class VersionSummaryOut(Out):
    version: int
    made_at: Time
    made_by: str | None = Field(description="Null where nobody knows it any more.")
    owner: str
    name: str
    status: StatusName
    is_active: bool = Field(description="Whether it was not deleted.")

    @classmethod
    def of(cls, version: ResourceVersion) -> "VersionSummaryOut":
        return cls.model_construct(**{name: getattr(version, name) for name in cls.model_fields})


class ResourceVersionOut(VersionSummaryOut):
    description: str | None
    attributes: dict[str, Any]


_LIST = TypeAdapter(list[VersionSummaryOut])


def resource_versions(use: Container, limits: Limits, guard: Guard) -> APIRouter:
    list_them, get_one = use.list_resource_versions(), use.get_resource_version()
    restore, give, resources = use.restore_resource_version(), use.give_resource(), use.resources()

    async def resource(given: Mapping[str, Any]) -> None:
        await resources.get(project=given["project"], resource_id=given["resource_id"])

    async def version(given: Mapping[str, Any]) -> None:
        await get_one(project=given["project"], resource_id=given["resource_id"], version=given["number"], by=given["by"])

    router = router_of("Resources", limits, {**lookups_of(use), "resource_id": resource, "number": version})

    @router.get(
        f"{_ADDRESS}/versions", response_model=list[VersionSummaryOut], responses=problem_responses(404), description=list_them.__doc__
    )
    @limits.signed_in
    async def get_resource_versions(
        request: Request,
        project: str,
        resource_id: int,
        query: Annotated[PageQuery, Query()],
        by: Annotated[User, Depends(guard(Action.RESOURCE_VERSIONS))],
    ) -> Response:
        before = None if query.cursor is None else id_after(query.cursor)
        found = await list_them(project=project, resource_id=resource_id, before=before, limit=query.limit + 1, by=by)
        page, headers = page_of(request, found, limit=query.limit, place=lambda last: last.version)
        return json_list(_LIST, [VersionSummaryOut.of(each) for each in page], headers)

    @router.get(
        f"{_ADDRESS}/versions/{{number:id}}",
        response_model=ResourceVersionOut,
        responses=problem_responses(404) | UNCHANGED,
        description=get_one.__doc__,
    )
    @limits.signed_in
    async def get_resource_version(
        request: Request,
        project: str,
        resource_id: int,
        number: int,
        by: Annotated[User, Depends(guard(Action.RESOURCE_VERSIONS))],
    ) -> Response:
        found = await get_one(project=project, resource_id=resource_id, version=number, by=by)
        return entity(request.headers, ResourceVersionOut.of(found), tag=str(found.version))

    @router.post(
        f"{_ADDRESS}/versions/{{number:id}}/restore",
        response_model=ResourceOut,
        responses=problem_responses(404, 409, 412),
        description=restore.__doc__,
    )
    @limits.signed_in
    async def restore_resource_version(
        request: Request,
        project: str,
        resource_id: int,
        number: int,
        by: Annotated[User, Depends(guard(Action.RESOURCE_UPDATE))],
    ) -> Response:
        expected = expected_versions(request.headers)
        restored = await restore(project=project, resource_id=resource_id, version=number, expected=expected, by=by)
        return Json(as_json(restored), headers={"etag": f'"{restored.version}"'})

    @router.put(f"{_ADDRESS}/owner", response_model=OwnedResourceOut, responses=problem_responses(404, 412), description=give.__doc__)
    @limits.signed_in
    async def put_resource_owner(
        request: Request,
        project: str,
        resource_id: int,
        body: OwnerIn,
        by: Annotated[User, Depends(guard(Action.RESOURCE_GIVE))],
    ) -> Response:
        expected = expected_versions(request.headers)
        given, owner = await give(project=project, resource_id=resource_id, username=body.username, expected=expected, by=by)
        told = {name: getattr(given, name) for name in ResourceOut.model_fields} | {"owner": owner.username}
        return Json(OwnedResourceOut.model_construct(**told), headers={"etag": f'"{given.version}"'})

    return router
