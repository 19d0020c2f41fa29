"""Running use cases for a command."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from domain.user import User
from entrypoints.container import Container, migrate
from entrypoints.runtime import deployed
from entrypoints.settings import SettingsError, load

T = TypeVar("T")


def with_container(run: Callable[[Container], Awaitable[T]]) -> T:
    """Do something with the use cases, on a database that is up to date."""

    async def connected(container: Container) -> T:
        async with container.pool():
            return await run(container)

    settings = load()
    with deployed(settings, beside=True) as deployment:
        asyncio.run(migrate(deployment.database_url))
        return asyncio.run(connected(deployment.container(settings)))


async def actor_named(container: Container, username: str) -> User:
    """Who does what a command asks for. Raises `SettingsError` when there is nobody of that name."""
    actor = await container.users().by_username(username)
    if actor is None:
        raise SettingsError(f"There is no user {username}: start the service once, or name another with --as.")
    return actor
