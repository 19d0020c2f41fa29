"""Accounts over HTTP."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import Field, TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from application.user import Setup
from domain.access import Action, Role
from domain.user import EMAIL_MAX, PASSWORD_MAX, PASSWORD_MIN, User
from entrypoints.container import Container
from entrypoints.http.idempotency import refuse_idempotency_key
from entrypoints.http.lookups import lookups_of
from entrypoints.http.problems import problem_responses
from entrypoints.http.query import PageQuery, id_after, page_of
from entrypoints.http.rate_limit import Limits
from entrypoints.http.reply import UNCHANGED, Body, Json, Out, Time, entity, expected_versions, json_list, without_default
from entrypoints.http.route import router_of
from entrypoints.http.signed_in import Guard

RoleName = Literal["member", "annotator", "admin"]
Username = Annotated[str, Field(max_length=255, examples=["ada"])]
Email = Annotated[str, Field(max_length=EMAIL_MAX, examples=["ada@example.org"])]
NewPassword = Annotated[str, Field(max_length=1024, description=f"{PASSWORD_MIN} to {PASSWORD_MAX} characters; not a common password.")]
Identifier = Annotated[str, Field(max_length=255)]


class SetPasswordBody(Body):
    token: Annotated[str, Field(max_length=1024)]
    new_password: NewPassword


class ChangePasswordBody(Body):
    current_password: Annotated[str, Field(max_length=1024)]
    new_password: NewPassword


class ProfileChanges(Body):
    """Only the fields sent change."""

    orcid_id: Identifier | None = Field(default=None, examples=["0000-0002-1825-0097"], json_schema_extra=without_default)
    openalex_id: Identifier | None = Field(default=None, examples=["A5023888391"], json_schema_extra=without_default)
    email: Email = Field(default="", json_schema_extra=without_default)

    def changes(self) -> dict[str, str]:
        """What was sent; null clears as the empty text does."""
        return {name: value or "" for name, value in self.model_dump(exclude_unset=True).items()}


class UserIn(Body):
    username: Username
    email: Email
    role: RoleName = "member"


class UserChanges(Body):
    """Only the fields sent change."""

    role: RoleName = Field(default="member", json_schema_extra=without_default)
    is_active: bool = Field(default=True, json_schema_extra=without_default)

    def changes(self) -> dict[str, Any]:
        given = self.model_dump(exclude_unset=True)
        return given | {"role": Role(given["role"])} if "role" in given else given


class UserOut(Out):
    id: int
    username: str
    email: str
    role: RoleName
    is_active: bool
    orcid_id: str | None
    openalex_id: str | None
    created_at: Time
    updated_at: Time | None
    version: int

    @classmethod
    def of(cls, user: User) -> "UserOut":
        return cls.model_construct(**{name: getattr(user, name) for name in UserOut.model_fields})


class CreatedUserOut(UserOut):
    setup_token: str = Field(description="Sets the password, once; shown only here.")
    setup_token_expires_at: Time

    @classmethod
    def of_setup(cls, setup: Setup) -> "CreatedUserOut":
        fields = vars(UserOut.of(setup.user))
        return cls.model_construct(**fields, setup_token=setup.token, setup_token_expires_at=setup.expires_at)


class UserList(PageQuery):
    search: str | None = Field(None, max_length=200, description="A literal part of the username or the address, in any case.")


_LIST = TypeAdapter(list[UserOut])


def account_routes(use: Container, limits: Limits, guard: Guard) -> APIRouter:
    set_password, change_password, update_profile = use.set_password(), use.change_password(), use.update_profile()
    router = router_of("Users", limits)

    @router.post(
        "/auth/set-password", status_code=204, response_model=None, responses=problem_responses(401), description=set_password.__doc__
    )
    @limits.login
    async def post_set_password(request: Request, body: SetPasswordBody) -> Response:
        await set_password(token=body.token, new_password=body.new_password)
        return Response(status_code=204)

    @router.put("/auth/change-password", response_model=UserOut, responses=problem_responses(412), description=change_password.__doc__)
    @limits.login
    async def put_password(
        request: Request,
        body: ChangePasswordBody,
        by: Annotated[User, Depends(guard(Action.PASSWORD_CHANGE))],
    ) -> Response:
        changed = await change_password(
            current_password=body.current_password,
            new_password=body.new_password,
            network=request.scope["network"],
            session_id=request.scope["session_id"],
            expected=expected_versions(request.headers),
            by=by,
        )
        return _tagged(changed)

    @router.put("/auth/profile", response_model=UserOut, responses=problem_responses(412), description=update_profile.__doc__)
    @limits.signed_in
    async def put_profile(request: Request, body: ProfileChanges, by: Annotated[User, Depends(guard(Action.SELF_UPDATE))]) -> Response:
        return _tagged(await update_profile(**body.changes(), expected=expected_versions(request.headers), by=by))

    return router


def admin_user_routes(use: Container, limits: Limits, guard: Guard) -> APIRouter:
    list_them, get_one, create, administer = use.list_users(), use.get_user(), use.create_user(), use.administer_user()
    reset = use.reset_user()

    router = router_of("Users", limits, lookups_of(use))

    @router.get("/admin/users", response_model=list[UserOut], description=list_them.__doc__)
    @limits.signed_in
    async def get_users(
        request: Request, query: Annotated[UserList, Query()], by: Annotated[User, Depends(guard(Action.USER_LIST))]
    ) -> Response:
        found = await list_them(search=query.search, after=id_after(query.cursor), limit=query.limit + 1, by=by)
        page, headers = page_of(request, found, limit=query.limit, place=lambda last: last.id)
        return json_list(_LIST, [UserOut.of(user) for user in page], headers)

    @router.post(
        "/admin/users", status_code=201, response_model=CreatedUserOut, responses=problem_responses(409), description=create.__doc__
    )
    @limits.signed_in
    async def post_user(request: Request, body: UserIn, by: Annotated[User, Depends(guard(Action.USER_CREATE))]) -> Response:
        refuse_idempotency_key(request.headers)
        setup = await create(username=body.username, email=body.email, role=Role(body.role), by=by)
        headers = {"location": f"/admin/users/{setup.user.id}", "etag": f'"{setup.user.version}"'}
        return Json(CreatedUserOut.of_setup(setup), status=201, headers=headers)

    @router.get(
        "/admin/users/{user_id:id}", response_model=UserOut, responses=problem_responses(404) | UNCHANGED, description=get_one.__doc__
    )
    @limits.signed_in
    async def get_user(request: Request, user_id: int, by: Annotated[User, Depends(guard(Action.USER_LIST))]) -> Response:
        user = await get_one(user_id=user_id, by=by)
        return entity(request.headers, UserOut.of(user), tag=str(user.version))

    @router.patch(
        "/admin/users/{user_id:id}", response_model=UserOut, responses=problem_responses(404, 409, 412), description=administer.__doc__
    )
    @limits.signed_in
    async def patch_user(
        request: Request, user_id: int, body: UserChanges, by: Annotated[User, Depends(guard(Action.USER_UPDATE))]
    ) -> Response:
        changed = await administer(user_id=user_id, expected=expected_versions(request.headers), by=by, **body.changes())
        return _tagged(changed)

    @router.post(
        "/admin/users/{user_id:id}/reset", response_model=CreatedUserOut, responses=problem_responses(404), description=reset.__doc__
    )
    @limits.signed_in
    async def post_user_reset(request: Request, user_id: int, by: Annotated[User, Depends(guard(Action.USER_RESET))]) -> Response:
        refuse_idempotency_key(request.headers)
        setup = await reset(user_id=user_id, by=by)
        return Json(CreatedUserOut.of_setup(setup), headers={"etag": f'"{setup.user.version}"'})

    return router


def _tagged(user: User) -> Json:
    return Json(UserOut.of(user), headers={"etag": f'"{user.version}"'})
