"""Signing in and out over HTTP."""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import Field, TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from application.session import SignedIn
from domain.access import Action
from domain.errors import NotFound
from domain.session import Session
from domain.user import User
from entrypoints.container import Container
from entrypoints.http.problems import problem_responses
from entrypoints.http.query import PageQuery, page_of, uuid_after
from entrypoints.http.rate_limit import Limits
from entrypoints.http.reply import UNCHANGED, Body, Json, Out, Time, entity, json_list
from entrypoints.http.route import router_of
from entrypoints.http.signed_in import Guard, HoldsToken
from entrypoints.http.user import Email, Identifier, NewPassword, Username, UserOut

TYPED_MAX = 1024

Typed = Annotated[str, Field(max_length=TYPED_MAX)]


class RegisterBody(Body):
    username: Username
    email: Email
    password: NewPassword
    orcid_id: Identifier | None = None
    openalex_id: Identifier | None = None


class LoginBody(Body):
    username: Typed
    password: Typed


class RefreshBody(Body):
    refresh_token: Typed


class TokenAnswer(Out):
    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - RFC 6749, section 7.1
    expires_in: int = Field(description="Seconds.")
    refresh_token: str
    user: UserOut


class SessionOut(Out):
    id: UUID
    created_at: Time
    last_used_at: Time = Field(description="The last refresh, or else the sign-in.")
    expires_at: Time
    current: bool = Field(description="Whether this is the session that asks.")

    @classmethod
    def of(cls, session: Session, current: UUID) -> "SessionOut":
        return cls(
            id=session.id,
            created_at=session.created_at,
            last_used_at=session.last_used_at,
            expires_at=session.expires_at,
            current=session.id == current,
        )


_LIST = TypeAdapter(list[SessionOut])


def session_routes(use: Container, limits: Limits, guard: Guard) -> APIRouter:
    log_in, refresh, log_out = use.log_in(), use.refresh_session(), use.log_out()
    list_them, end_others, end_one = use.list_sessions(), use.end_other_sessions(), use.end_session()

    async def own(given: Mapping[str, Any]) -> None:
        before = UUID(int=max(0, given["session_id"].int - 1))
        if [session.id for session in await list_them(after=before, limit=1, by=given["by"])] != [given["session_id"]]:
            raise NotFound

    router = router_of("Sessions", limits, {"session_id": own})

    @router.post("/auth/login", response_model=TokenAnswer, responses=problem_responses(401), description=log_in.__doc__)
    @limits.login
    async def post_login(request: Request, body: LoginBody) -> Response:
        signed_in = await log_in(username=body.username, password=body.password, network=request.scope["network"])
        return token_answer(signed_in)

    @router.post("/auth/refresh", response_model=TokenAnswer, responses=problem_responses(401), description=refresh.__doc__)
    @limits.refresh
    async def post_refresh(request: Request, body: RefreshBody) -> Response:
        return token_answer(await refresh(refresh_token=body.refresh_token, admit=partial(limits.count_session, request)))

    @router.post("/auth/logout", status_code=204, response_model=None, responses=problem_responses(401), description=log_out.__doc__)
    @limits.signed_in
    async def post_logout(request: Request, session_id: Annotated[UUID, Depends(HoldsToken(use.authenticate()))]) -> Response:
        await log_out(session_id=session_id)
        return Response(status_code=204)

    @router.get("/auth/me", response_model=UserOut, responses=UNCHANGED)
    @limits.signed_in
    async def get_me(request: Request, by: Annotated[User, Depends(guard(Action.SELF_READ))]) -> Response:
        """Who is signed in, as of now."""
        return entity(request.headers, UserOut.of(by), tag=str(by.version))

    @router.get("/auth/sessions", response_model=list[SessionOut], description=list_them.__doc__)
    @limits.signed_in
    async def get_sessions(
        request: Request,
        query: Annotated[PageQuery, Query()],
        by: Annotated[User, Depends(guard(Action.SESSION_LIST))],
    ) -> Response:
        found = await list_them(after=uuid_after(query.cursor), limit=query.limit + 1, by=by)
        page, headers = page_of(request, found, limit=query.limit, place=lambda last: str(last.id))
        return json_list(_LIST, [SessionOut.of(session, request.scope["session_id"]) for session in page], headers)

    @router.delete("/auth/sessions", status_code=204, response_model=None, description=end_others.__doc__)
    @limits.signed_in
    async def delete_sessions(
        request: Request,
        by: Annotated[User, Depends(guard(Action.SESSION_END))],
    ) -> Response:
        await end_others(session_id=request.scope["session_id"], by=by)
        return Response(status_code=204)

    @router.delete(
        "/auth/sessions/{session_id:uuid}",
        status_code=204,
        response_model=None,
        responses=problem_responses(404),
        description=end_one.__doc__,
    )
    @limits.signed_in
    async def delete_session(request: Request, session_id: UUID, by: Annotated[User, Depends(guard(Action.SESSION_END))]) -> Response:
        await end_one(session_id=session_id, by=by)
        return Response(status_code=204)

    return router


def registration_routes(use: Container, limits: Limits) -> APIRouter:
    """Only where registration is open: elsewhere there is no such address."""
    register = use.register()
    router = router_of("Sessions", limits)

    @router.post(
        "/auth/register", status_code=201, response_model=TokenAnswer, responses=problem_responses(404, 409), description=register.__doc__
    )
    @limits.login
    async def post_register(request: Request, body: RegisterBody) -> Response:
        return token_answer(await register(**body.model_dump()), status=201)

    return router


def token_answer(signed_in: SignedIn, status: int = 200) -> Json:
    answer = TokenAnswer(
        access_token=signed_in.access_token,
        expires_in=signed_in.expires_in,
        refresh_token=signed_in.refresh_token,
        user=UserOut.of(signed_in.user),
    )
    return Json(answer, status=status, headers={"cache-control": "no-store"})
