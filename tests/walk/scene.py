"""The service in this process, and for each request somebody new who asks and new things to ask about."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from adapters.postgres.schema import migrate
from application.session import SignedIn
from domain.access import Role
from domain.api_key import Scope
from domain.user import User, new_user
from entrypoints.container import Container
from entrypoints.http.app import Application, make_app
from entrypoints.runtime import Deployment
from entrypoints.settings import Settings
from tests.examples import NOW
from tests.fakes.system import FakeHasher

PASSWORD = "nine-small-brown-birds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A kind of caller: nobody in particular, or somebody of a role who is signed in or, with a scope, acts by an API key."""

    role: Role | None = None
    scope: Scope | None = None

    def __str__(self) -> str:
        who = self.role or "anonymous"
        return f"{who} by a {self.scope} key" if self.scope else str(who)


CALLERS = (Caller(), *(Caller(role=role, scope=scope) for role in Role for scope in (None, *Scope)))


@dataclass(slots=True, kw_only=True)
class Scene:
    """A running application, and ways to make people and things in it."""

    app: Application
    use: Container
    web: httpx.AsyncClient
    _numbers: Any = field(default_factory=lambda: count(1))

    def unique(self, stem: str) -> str:
        return f"{stem}-{next(self._numbers)}"

    async def person(self, role: Role) -> User:
        """Somebody new, whose password is `PASSWORD`."""
        name = self.unique(role)
        hashed = await self.use.hasher().hash(PASSWORD)
        return await self.use.users().add(
            new_user(username=name, email=f"{name}@example.org", role=role, password_hash=hashed, at=NOW),
        )

    async def sign_in(self, user: User) -> SignedIn:
        async with self.use.unit_of_work()() as work:
            signed_in: SignedIn = await self.use.open_session()(work, user)
            await work.commit()
        return signed_in

    async def key(self, user: User, scope: Scope) -> tuple[int, str]:
        """The id and the secret of a new API key."""
        made = await self.use.create_api_key()(name="walk", scopes=[scope], expires_in_days=1, by=user)
        return made.key.id, made.secret

    async def as_user(self, user: User, method: str, path: str, **content: Any) -> Any:
        """What is answered to somebody who may."""
        token = (await self.sign_in(user)).access_token
        answer = await self.web.request(method, path, headers={"authorization": f"Bearer {token}"}, **content)
        assert answer.is_success, f"{method} {path}: {answer.text}"
        return answer.json() if answer.content else None

    async def as_admin(self, method: str, path: str, **content: Any) -> Any:
        return await self.as_user(await self.person(Role.ADMIN), method, path, **content)


@asynccontextmanager
async def scene_in(database_url: str, folder: Path) -> AsyncIterator[Scene]:
    """A scene in an empty database and folder: everything is the service's own but the cost of hashing a password."""
    await migrate(database_url)
    given: dict[str, Any] = {"registration": "open", "rate_limits": "off", "docs": "on", "data_dir": folder}
    settings = Settings(**given)
    use = Deployment(database_url=database_url, secret_keys=("0" * 32,), pepper="0" * 32).container(settings)
    use.hasher.override(FakeHasher())
    app = make_app(settings, use)
    transport = httpx.ASGITransport(app=app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://walk") as web:
        yield Scene(app=app, use=use, web=web)
