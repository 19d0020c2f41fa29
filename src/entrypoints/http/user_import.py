"""Accounts from a table over HTTP."""

from dataclasses import fields
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from domain.access import Action
from domain.user import User
from domain.user_import import AccountRow
from entrypoints.container import Container
from entrypoints.http.csv_body import MEDIA_TYPE, read_csv
from entrypoints.http.idempotency import refuse_idempotency_key
from entrypoints.http.problems import problem_responses
from entrypoints.http.rate_limit import Limits
from entrypoints.http.reply import json_list
from entrypoints.http.route import router_of
from entrypoints.http.signed_in import Guard
from entrypoints.http.user import CreatedUserOut

COLUMNS = tuple(field.name for field in fields(AccountRow))

_LIST = TypeAdapter(list[CreatedUserOut])
_EXAMPLE = "username,email,role\nada,ada@example.org,\nemmy,emmy@example.org,annotator\n"
_BODY = {"requestBody": {"required": True, "content": {MEDIA_TYPE: {"schema": {"type": "string"}, "example": _EXAMPLE}}}}


def user_import_routes(use: Container, limits: Limits, guard: Guard) -> APIRouter:
    import_them = use.import_users()
    router = router_of("Users", limits)

    @router.post(
        "/admin/users/import",
        status_code=201,
        response_model=list[CreatedUserOut],
        responses=problem_responses(400, 413, 415),
        description=import_them.__doc__,
        openapi_extra=_BODY,
    )
    @limits.signed_in
    async def post_user_import(request: Request, by: Annotated[User, Depends(guard(Action.USER_IMPORT))]) -> Response:
        rows = await read_csv(request.receive, request.headers, columns=COLUMNS)
        refuse_idempotency_key(request.headers)
        made = await import_them([AccountRow(**row) for row in rows], by=by)
        return json_list(_LIST, [CreatedUserOut.of_setup(setup) for setup in made], status=201)

    return router
