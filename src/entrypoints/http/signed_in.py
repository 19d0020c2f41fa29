"""Who is signed in, and whether the role may ask at all: decided before anything else of a request is read."""

from collections.abc import Callable
from uuid import UUID

from fastapi.security import HTTPBearer
from starlette.requests import HTTPConnection, Request

from application.session import Authenticate
from domain.access import Action, require
from domain.errors import Unauthenticated
from domain.user import User


class MayAsk(HTTPBearer):
    """A dependency that answers the signed-in user. Raises `Unauthenticated`, `InvalidToken`.

    `admit` raises `NotAllowed`. The use case asks the same rule again: here it only comes early enough to be told before the body is
    read.
    """

    def __init__(self, authenticate: Authenticate, action: Action) -> None:
        super().__init__(scheme_name="bearer", description="The access token of a sign-in.", auto_error=False)
        self._authenticate = authenticate
        self.action = action

    async def __call__(self, request: Request) -> User:  # type: ignore[override]
        user = await self._authenticate(access_token=bearer_token(request))
        request.scope["user_id"] = user.id
        return user

    def admit(self, user: User) -> None:
        require(user, self.action)


class HoldsToken(HTTPBearer):
    """A dependency that answers the session of a genuine access token, also when it has ended. Raises `InvalidToken`."""

    def __init__(self, authenticate: Authenticate) -> None:
        super().__init__(scheme_name="bearer", description="The access token of a sign-in.", auto_error=False)
        self._authenticate = authenticate

    async def __call__(self, request: Request) -> UUID:  # type: ignore[override]
        user_id, session_id = self._authenticate.holder(access_token=bearer_token(request))
        request.scope["user_id"] = user_id
        return session_id


def bearer_token(request: HTTPConnection) -> str:
    """The token of the `Authorization` header. Raises `Unauthenticated` when there is not exactly one."""
    given = request.headers.getlist("authorization")
    scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated
    return token.strip()


Guard = Callable[[Action], MayAsk]
