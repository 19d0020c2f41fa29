"""Answers and responses of readers over HTTP."""

from collections.abc import AsyncIterator, Awaitable, Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from fastapi import Query as QueryParameters
from pydantic import Field, JsonValue
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response as HttpResponse

from application.response import SavedAnswers
from domain.access import Action
from domain.errors import Fault, Invalid
from domain.export import Format
from domain.response import FINGERPRINT_MAX, FINGERPRINT_MIN, Outcome, Response
from domain.survey import QUESTIONS_MAX, AskedTests
from domain.text import rfc3339
from domain.user import User
from entrypoints.container import Container
from entrypoints.http.lookups import survey_of
from entrypoints.http.problems import problem_responses
from entrypoints.http.query import INT64_MAX, WHOLE, Flag, Moment, PageQuery, Query, id_after, next_page
from entrypoints.http.rate_limit import Limits, network
from entrypoints.http.reply import UNCHANGED, Body, Json, Out, Time, digest, entity, expected_versions
from entrypoints.http.route import router_of
from entrypoints.http.signed_in import Guard
from entrypoints.http.stream import TABLE_FILE, table_file

TOKEN_HEADER = "x-respondent-token"  # noqa: S105 - a header's name

_PRIVATE = {"cache-control": "no-store"}
_TOKEN_PARAMETER = {
    "name": "X-Respondent-Token",
    "in": "header",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{43}$"},
    "description": "The respondent's own token: 256 bits as 43 characters of base64url.",
}


Fingerprint = Annotated[
    Annotated[str, Field(min_length=FINGERPRINT_MIN, max_length=FINGERPRINT_MAX)] | None,
    Field(description="Chosen by the client; never stored. May be left out where the survey goes by `token`."),
]
Token = Annotated[str | None, Field(description="As `X-Respondent-Token`, for who cannot send a header.")]
Seq = Annotated[int | None, Field(ge=0, le=INT64_MAX, description="Rises with each save of a field by this respondent.")]


Test = Annotated[
    bool, Field(description="In a first save: the response is a test, for good, and counts nowhere unless asked for. Later: nothing.")
]


class AnswerBody(Body):
    fingerprint: Fingerprint = None
    field: str
    value: JsonValue = Field(description="The answer; null withdraws it.")
    seq: Seq = None
    test: Test = False
    respondent_token: Token = None


class AnswersBody(Body):
    fingerprint: Fingerprint = None
    answers: Annotated[dict[str, JsonValue], Field(min_length=1, max_length=QUESTIONS_MAX, description="By field; null withdraws.")]
    seq: Seq = None
    test: Test = False
    respondent_token: Token = None


_OWN = " Only to who shows the token."


class SavedOut(Out):
    message: Literal["Created", "Updated", "Stale"] = Field(description="`Stale` only to who shows the token.")
    fingerprint: str | None
    field: str
    value: JsonValue = Field(description="What is stored, to who shows the token; what was sent, to anybody else.")
    code: int | None = Field(None, description="Of a choice.")
    survey_version: int
    revision: int | None = Field(None, description=f"Rises with each change.{_OWN}")
    saved_at: Time | None = Field(None, description=f"When the response last changed.{_OWN}")
    seqs: dict[str, int] | None = Field(None, description="The stored numbers by field, `*` for all; of a `Stale` save.")
    respondent_token: str | None = Field(None, description="Shown once, by the save that made the response.")


class SavedTogetherOut(Out):
    message: Literal["Created", "Updated", "Stale"] = Field(description="`Stale` only to who shows the token.")
    fingerprint: str | None
    answers: dict[str, JsonValue] = Field(
        description="Of the fields that were sent: what is stored, to who shows the token; what was sent, to anybody else."
    )
    stale: list[str] | None = Field(None, description=f"Fields that a newer save had answered already.{_OWN}")
    survey_version: int
    revision: int | None = Field(None, description=f"Rises with each change.{_OWN}")
    saved_at: Time | None = Field(None, description=f"When the response last changed.{_OWN}")
    seqs: dict[str, int] | None = Field(None, description="The stored numbers by field, `*` for all; of a `Stale` save.")
    respondent_token: str | None = Field(None, description="Shown once, by the save that made the response.")


class ResponseOut(Out):
    answers: dict[str, JsonValue]
    seqs: dict[str, int] = Field(description="The stored numbers by field; `*` counts for all.")
    revision: int
    survey_version: int
    created_at: Time
    updated_at: Time | None


def public_responses(use: Container, limits: Limits) -> APIRouter:
    upsert, save, get_own, erase = use.upsert_answer(), use.save_answers(), use.get_response(), use.erase_response()

    async def held(given: Mapping[str, Any]) -> None:
        await get_own(project=given["project"], token=given["request"].headers.get(TOKEN_HEADER))

    router = router_of("Responses", limits)  # no lookups: for answers 422 comes before 404
    own = router_of("Responses", limits, {"project": held})

    @router.post(
        "/{project:slug}/survey/upsert",
        response_model=SavedOut,
        responses=problem_responses(400, 401, 404, 409) | {201: {"model": SavedOut}},
        description=upsert.__doc__,
        openapi_extra={"parameters": [_TOKEN_PARAMETER]},
    )
    @limits.survey_write
    async def post_upsert(request: Request, project: str, body: AnswerBody) -> HttpResponse:
        saving = upsert(
            project=project,
            field=body.field,
            value=body.value,
            seq=body.seq,
            is_test=body.test,
            **_known_by(request, limits, body),
        )
        saved = await _noted(request, saving)
        return Json(_saved_out(saved, body.fingerprint), status=_status(saved), headers=_PRIVATE)

    @router.post(
        "/{project:slug}/survey/answers",
        response_model=SavedTogetherOut,
        responses=problem_responses(400, 401, 404, 409) | {201: {"model": SavedTogetherOut}},
        description=save.__doc__,
        openapi_extra={"parameters": [_TOKEN_PARAMETER]},
    )
    @limits.survey_write
    async def post_answers(request: Request, project: str, body: AnswersBody) -> HttpResponse:
        saving = save(
            project=project,
            answers=body.answers,
            seq=body.seq,
            is_test=body.test,
            **_known_by(request, limits, body),
        )
        saved = await _noted(request, saving)
        return Json(_saved_together_out(saved, body.fingerprint), status=_status(saved), headers=_PRIVATE)

    @own.get(
        "/{project:slug}/survey/response",
        response_model=ResponseOut,
        responses=problem_responses(401, 404) | UNCHANGED,
        description=get_own.__doc__,
        openapi_extra={"parameters": [_TOKEN_PARAMETER | {"required": True}]},
    )
    @limits.public_read
    async def get_response(request: Request, project: str) -> HttpResponse:
        response = await get_own(project=project, token=request.headers.get(TOKEN_HEADER))
        return entity(request.headers, _response_out(response), tag=_tag(response), cache="no-store")

    @own.delete(
        "/{project:slug}/survey/response",
        status_code=204,
        response_model=None,
        responses=problem_responses(401, 404, 412),
        description=erase.__doc__,
        openapi_extra={"parameters": [_TOKEN_PARAMETER | {"required": True}]},
    )
    @limits.survey_write_by_network
    async def delete_response(request: Request, project: str) -> HttpResponse:
        await erase(project=project, token=request.headers.get(TOKEN_HEADER), expected=expected_versions(request.headers))
        return HttpResponse(status_code=204, headers=_PRIVATE)

    router.routes.extend(own.routes)
    return router


TestsAsked = Annotated[Literal["exclude", "include", "only"], Field(description="What becomes of responses that are tests.")]


class ResponseList(PageQuery):
    test: TestsAsked = "exclude"
    field: Annotated[str | None, Field(description="With `value`: only responses with this answer.")] = None
    value: Annotated[str | None, Field(max_length=2000)] = None
    version: Annotated[Annotated[int, Field(ge=1), WHOLE] | None, Field(description="Only answers given under this version.")] = None
    since: Annotated[Moment | None, Field(description="Last changed at this time or later.")] = None
    until: Annotated[Moment | None, Field(description="Last changed before this time.")] = None


class ResponseExport(Query):
    test: TestsAsked = "exclude"
    format: Literal["json", "ndjson", "csv", "parquet"] = "json"
    version: Annotated[
        Annotated[int, Field(ge=1), WHOLE] | None, Field(description="Only the fields of this version and the answers given under it.")
    ] = None
    raw: Annotated[Flag, Field(description="CSV without the guard against formulas.")] = False


def signed_in_responses(use: Container, limits: Limits, guard: Guard) -> APIRouter:
    list_them, export = use.list_responses(), use.export_responses()
    router = router_of("Responses", limits, {"project": survey_of(use)})

    @router.get(
        "/admin/{project:slug}/survey/responses",
        response_model=list[dict[str, JsonValue]],
        responses=problem_responses(404),
        description=list_them.__doc__,
    )
    @limits.signed_in
    async def get_responses(
        request: Request,
        project: str,
        query: Annotated[ResponseList, QueryParameters()],
        by: Annotated[User, Depends(guard(Action.RESPONSE_READ))],
    ) -> HttpResponse:
        given = query.model_dump(exclude={"limit", "cursor"}) | {"test": AskedTests(query.test)}
        found = await list_them(project=project, after=id_after(query.cursor), limit=query.limit, by=by, **given)
        return Json(found.json, headers=None if found.next is None else next_page(request, found.next))

    @router.get(
        "/admin/{project:slug}/survey/responses/export",
        response_class=HttpResponse,
        responses=problem_responses(404) | TABLE_FILE,
        description=export.__doc__,
    )
    @limits.export
    async def export_responses(
        request: Request,
        project: str,
        query: Annotated[ResponseExport, QueryParameters()],
        by: Annotated[User, Depends(guard(Action.RESPONSE_READ))],
    ) -> HttpResponse:
        kind = Format(query.format)

        def content() -> AsyncIterator[bytes]:
            return export(project=project, kind=kind, version=query.version, test=AskedTests(query.test), guarded=not query.raw, by=by)

        return await table_file(request, content, kind=kind, filename=f"{project}-responses.{kind}")

    return router


async def _noted(request: Request, saving: Awaitable[SavedAnswers]) -> SavedAnswers:
    """A save whose outcome the edge counts; one that does not come to an end was refused, or failed, as its answer tells."""
    request.scope["save"] = "refused"
    saved = await saving
    request.scope["save"] = saved.outcome.name.lower()
    return saved


def _status(saved: SavedAnswers) -> int:
    return 201 if saved.outcome is Outcome.CREATED else 200


def _known_by(request: Request, limits: Limits, body: AnswerBody | AnswersBody) -> dict[str, Any]:
    """How the reader is known, and who is counted: a respondent of a project, by the token shown, else by fingerprint and network."""
    token = _token(request, body.respondent_token)
    who = ("fingerprint", network(request), body.fingerprint or "") if token is None else ("token", token)

    async def admit(project_id: int) -> None:
        await limits.count_respondent(request, str(project_id), *who)

    return {"fingerprint": body.fingerprint, "token": token, "admit": admit}


def _token(request: Request, in_body: str | None) -> str | None:
    """The respondent token, wherever it was sent. Raises `Invalid` when two were that differ."""
    in_header = request.headers.get(TOKEN_HEADER)
    if in_body is not None and in_header is not None and in_body != in_header:
        raise Invalid(Fault(pointer="/respondent_token", code="two-tokens", detail="The header has another token."))
    return in_body if in_header is None else in_header


def _tag(response: Response) -> str:
    """Numbers may change where answers do not, and the revision with them."""
    return f"{response.revision}-{digest(to_json(response.seqs))}" if response.seqs else str(response.revision)


def _saved_out(saved: SavedAnswers, fingerprint: str | None) -> bytes:
    ((field, value),) = saved.answers.items()
    code = {"code": saved.codes[field]} if field in saved.codes else {}
    return _json(saved, fingerprint=fingerprint, field=field, value=value, **code)


def _saved_together_out(saved: SavedAnswers, fingerprint: str | None) -> bytes:
    stale = {} if saved.own is None else {"stale": saved.own.stale}
    return _json(saved, fingerprint=fingerprint, answers=saved.answers, **stale)


def _json(saved: SavedAnswers, **given: Any) -> bytes:
    """As `SavedOut` and `SavedTogetherOut` have it, written without making one: each save pays for this."""
    if saved.token is not None:
        given["respondent_token"] = saved.token
    given["message"] = saved.outcome.name.capitalize()
    given["survey_version"] = saved.survey_version
    if saved.own is not None:
        given["revision"] = saved.own.revision
        given["saved_at"] = rfc3339(saved.own.saved_at)
        if saved.own.seqs is not None:
            given["seqs"] = saved.own.seqs
    return to_json(given)


def _response_out(response: Response) -> ResponseOut:
    return ResponseOut.model_construct(**{name: getattr(response, name) for name in ResponseOut.model_fields})
