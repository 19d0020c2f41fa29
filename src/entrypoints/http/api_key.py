"""API keys over HTTP."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import Field, TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from domain.access import Action
from domain.api_key import DAYS_MAX, NAME_MAX, ApiKey, Scope
from domain.errors import NotFound
from domain.user import User
from entrypoints.container import Container
from entrypoints.http.idempotency import refuse_idempotency_key
from entrypoints.http.problems import problem_responses
from entrypoints.http.query import PageQuery, id_after, page_of
from entrypoints.http.rate_limit import Limits
from entrypoints.http.reply import Body, Json, Out, Time, json_list
from entrypoints.http.route import router_of
from entrypoints.http.signed_in import Guard

ScopeName = Literal["read", "write"]


class ApiKeyIn(Body):
    name: Annotated[str, Field(min_length=1, max_length=NAME_MAX, examples=["nightly import"])]
    scopes: Annotated[list[ScopeName], Field(min_length=1, max_length=len(Scope), json_schema_extra={"uniqueItems": True})]
    expires_in_days: Annotated[int, Field(ge=1, le=DAYS_MAX)]


class ApiKeyOut(Out):
    id: int
    name: str
    scopes: list[ScopeName]
    prefix: str = Field(description="How the key begins, to tell it from others.")
    created_at: Time
    expires_at: Time
    last_used_at: Time | None = Field(description="Right to the minute.")

    @classmethod
    def of(cls, key: ApiKey) -> "ApiKeyOut":
        fields = {name: getattr(key, name) for name in ApiKeyOut.model_fields}
        return cls.model_construct(**fields | {"scopes": [scope.value for scope in Scope if scope in key.scopes]})


class CreatedApiKeyOut(ApiKeyOut):
    key: str = Field(description="The key itself; shown only here.")


_LIST = TypeAdapter(list[ApiKeyOut])


def api_key_routes(use: Container, limits: Limits, guard: Guard) -> APIRouter:
    create, list_them, revoke = use.create_api_key(), use.list_api_keys(), use.revoke_api_key()

    async def own(given: Mapping[str, Any]) -> None:
        if [key.id for key in await list_them(after=given["key_id"] - 1, limit=1, by=given["by"])] != [given["key_id"]]:
            raise NotFound

    router = router_of("API keys", limits, {"key_id": own})

    @router.post(
        "/auth/api-keys", status_code=201, response_model=CreatedApiKeyOut, responses=problem_responses(409), description=create.__doc__
    )
    @limits.signed_in
    async def post_api_key(request: Request, body: ApiKeyIn, by: Annotated[User, Depends(guard(Action.API_KEY_CREATE))]) -> Response:
        refuse_idempotency_key(request.headers)
        made = await create(name=body.name, scopes=[Scope(name) for name in body.scopes], expires_in_days=body.expires_in_days, by=by)
        return Json(CreatedApiKeyOut.model_construct(**vars(ApiKeyOut.of(made.key)), key=made.secret), status=201)

    @router.get("/auth/api-keys", response_model=list[ApiKeyOut], description=list_them.__doc__)
    @limits.signed_in
    async def get_api_keys(
        request: Request, query: Annotated[PageQuery, Query()], by: Annotated[User, Depends(guard(Action.API_KEY_LIST))]
    ) -> Response:
        found = await list_them(after=id_after(query.cursor), limit=query.limit + 1, by=by)
        page, headers = page_of(request, found, limit=query.limit, place=lambda last: last.id)
        return json_list(_LIST, [ApiKeyOut.of(key) for key in page], headers)

    @router.delete(
        "/auth/api-keys/{key_id:id}",
        status_code=204,
        response_model=None,
        responses=problem_responses(404),
        description=revoke.__doc__,
    )
    @limits.signed_in
    async def delete_api_key(request: Request, key_id: int, by: Annotated[User, Depends(guard(Action.API_KEY_REVOKE))]) -> Response:
        await revoke(key_id=key_id, by=by)
        return Response(status_code=204)

    return router
