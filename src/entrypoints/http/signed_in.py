"""Who is signed in, or acts by an API key, and whether that may ask at all: decided before anything else of a request is read."""

import asyncio
from collections.abc import Callable
from uuid import UUID

from fastapi.security import HTTPBearer
from starlette.requests import HTTPConnection, Request

from application.api_key import AuthenticateKey, NoteKeyUse
from application.session import Authenticate
from domain.access import Action, require
from domain.api_key import ApiKey, is_key
from domain.errors import Unauthenticated
from domain.user import User
from entrypoints.container import Container
from entrypoints.logs import logger


class KeyUses:
    """Notes when keys were used, beside the requests that use them: none waits for it, none fails by it."""

    def __init__(self, note: NoteKeyUse) -> None:
        self._note = note
        self._underway: dict[int, asyncio.Task[None]] = {}

    def begin(self, key: ApiKey) -> None:
        """See to it that this use is noted, where it is due and not being noted already."""
        if key.id not in self._underway and self._note.is_due(key):
            self._underway[key.id] = asyncio.create_task(self._keep(key))

    async def _keep(self, key: ApiKey) -> None:
        try:
            await self._note(key)
        except Exception as error:  # noqa: BLE001 - whatever it is, the request has been answered well
            logger.warning("use of a key not noted", cause=repr(error))
        finally:
            del self._underway[key.id]


class Credentials:
    """Whom the token of a request speaks for: the access token of a sign-in, or an API key."""

    def __init__(self, use: Container) -> None:
        self._by_session: Authenticate = use.authenticate()
        self._by_key: AuthenticateKey = use.authenticate_key()
        self._uses = KeyUses(use.note_key_use())

    async def user(self, request: Request) -> User:
        """The user; the request's scope then holds `session_id`, or `api_key`. Raises `Unauthenticated`, `InvalidToken`."""
        token = bearer_token(request)
        if is_key(token):
            user, request.scope["api_key"] = await self._by_key(secret=token)
            self._uses.begin(request.scope["api_key"])
        else:
            user, request.scope["session_id"] = await self._by_session.in_session(access_token=token)
        request.scope["user_id"] = user.id
        return user

    async def user_if_any(self, request: Request) -> User | None:
        """The user, where anybody may ask: None without credentials, and with such as are not valid."""
        if "authorization" not in request.headers:
            return None
        try:
            return await self.user(request)
        except Unauthenticated:
            return None


class MayAsk(HTTPBearer):
    """A dependency that answers the user. Raises `Unauthenticated`, `InvalidToken`.

    `admit` raises `NotAllowed`, and `SessionRequired` or `ScopeMissing` where a key does not open this. The use case asks for the role
    again: here it only comes early enough to be told before the body is read.
    """

    def __init__(self, credentials: Credentials, action: Action) -> None:
        super().__init__(scheme_name="bearer", description="The access token of a sign-in, or an API key.", auto_error=False)
        self._credentials = credentials
        self.action = action

    async def __call__(self, request: Request) -> User:  # type: ignore[override]
        return await self._credentials.user(request)

    def admit(self, request: Request, user: User) -> None:
        key: ApiKey | None = request.scope.get("api_key")
        if key is not None:
            key.require(self.action)
        require(user, self.action)


class HoldsToken(HTTPBearer):
    """A dependency that answers the session of a genuine access token, also when it has ended. Raises `InvalidToken`."""

    def __init__(self, authenticate: Authenticate) -> None:
        super().__init__(scheme_name="bearer", description="The access token of a sign-in, or an API key.", auto_error=False)
        self._authenticate = authenticate

    async def __call__(self, request: Request) -> UUID:  # type: ignore[override]
        user_id, session_id = self._authenticate.holder(access_token=bearer_token(request))
        request.scope["user_id"] = user_id
        return session_id


def bearer_token(request: HTTPConnection) -> str:
    """The token of the `Authorization` header. Raises `Unauthenticated` when there is not exactly one."""
    given = request.headers.getlist("authorization")
    scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    token = token.strip(" ")  # of all that Python calls space, the only one that RFC 6750 allows here
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated
    return token


Guard = Callable[[Action], MayAsk]
