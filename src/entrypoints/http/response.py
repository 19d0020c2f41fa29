"""Answers and responses of readers over HTTP."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import Field, JsonValue
from starlette.requests import Request
from starlette.responses import Response as HttpResponse

from application.response import SavedAnswer
from domain.response import FINGERPRINT_MAX, FINGERPRINT_MIN, Outcome, Response
from entrypoints.container import Container
from entrypoints.http.problems import problem_responses
from entrypoints.http.query import INT64_MAX
from entrypoints.http.rate_limit import Limits
from entrypoints.http.reply import Body, Json, Out, Time
from entrypoints.http.route import router_of

TOKEN_HEADER = "x-respondent-token"  # noqa: S105 - a header's name

_PRIVATE = {"cache-control": "no-store"}
_TOKEN_PARAMETER = {
    "name": "X-Respondent-Token",
    "in": "header",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{43}$"},
    "description": "The respondent's own token: 256 bits as 43 characters of base64url.",
}


class AnswerBody(Body):
    fingerprint: Annotated[
        str, Field(min_length=FINGERPRINT_MIN, max_length=FINGERPRINT_MAX, description="Chosen by the client; never stored.")
    ]
    field: str
    value: JsonValue = Field(description="The answer; null withdraws it.")
    seq: Annotated[int | None, Field(ge=0, le=INT64_MAX, description="Rises with each save of this field by this respondent.")] = None


class SavedOut(Out):
    message: Literal["Created", "Updated", "Stale"]
    fingerprint: str
    field: str
    value: JsonValue
    code: int | None = Field(None, description="Of a choice.")
    survey_version: int
    revision: int
    saved_at: Time
    respondent_token: str | None = Field(None, description="Shown once, by the save that made the response.")


class ResponseOut(Out):
    answers: dict[str, JsonValue]
    revision: int
    survey_version: int
    created_at: Time
    updated_at: Time | None


def public_responses(use: Container, limits: Limits) -> APIRouter:
    upsert, get_own = use.upsert_answer(), use.get_response()
    router = router_of("Responses", limits)  # no lookups: for answers 422 comes before 404

    @router.post(
        "/{project:slug}/survey/upsert",
        response_model=SavedOut,
        responses=problem_responses(400, 401, 404, 409) | {201: {"model": SavedOut}},
        description=upsert.__doc__,
        openapi_extra={"parameters": [_TOKEN_PARAMETER]},
    )
    @limits.survey_write
    async def post_upsert(request: Request, project: str, body: AnswerBody) -> HttpResponse:
        saved = await upsert(
            project=project,
            fingerprint=body.fingerprint,
            field=body.field,
            value=body.value,
            seq=body.seq,
            token=request.headers.get(TOKEN_HEADER),
        )
        return Json(_saved_out(saved, body.fingerprint), status=201 if saved.outcome is Outcome.CREATED else 200, headers=_PRIVATE)

    @router.get(
        "/{project:slug}/survey/response",
        response_model=ResponseOut,
        responses=problem_responses(401, 404),
        description=get_own.__doc__,
        openapi_extra={"parameters": [_TOKEN_PARAMETER | {"required": True}]},
    )
    @limits.public_read
    async def get_response(request: Request, project: str) -> HttpResponse:
        response = await get_own(project=project, token=request.headers.get(TOKEN_HEADER))
        return Json(_response_out(response), headers=_PRIVATE)

    return router


def _saved_out(saved: SavedAnswer, fingerprint: str) -> bytes:
    given: dict[str, Any] = {
        "message": saved.outcome.name.capitalize(),
        "fingerprint": fingerprint,
        "field": saved.field,
        "value": saved.value,
        "survey_version": saved.survey_version,
        "revision": saved.revision,
        "saved_at": saved.saved_at,
    }
    if saved.has_code:
        given["code"] = saved.code
    if saved.token is not None:
        given["respondent_token"] = saved.token
    out = SavedOut.model_construct(**given)
    return out.__pydantic_serializer__.to_json(out, exclude_unset=True)


def _response_out(response: Response) -> ResponseOut:
    return ResponseOut.model_construct(**{name: getattr(response, name) for name in ResponseOut.model_fields})
