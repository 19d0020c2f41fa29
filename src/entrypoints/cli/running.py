"""Running use cases for a command."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from domain.user import User
from entrypoints import logs
from entrypoints.container import Container, expect_current, migrate
from entrypoints.runtime import deployed
from entrypoints.settings import SettingsError, load

T = TypeVar("T")


def with_container(run: Callable[[Container], Awaitable[T]]) -> T:
    """Do something with the use cases, on a database that is up to date: an empty one is brought there, and an older one refused,
    since the service that is in use may be older as well. Raises `SchemaError`.
    """

    async def ready(url: str) -> None:
        await expect_current(url, or_none=True)
        await migrate(url)

    async def connected(container: Container) -> T:
        async with container.pool():
            return await run(container)

    settings = load()
    logs.configure(settings.log_format)  # to standard error: a command's standard output may be a file of data
    with deployed(settings, beside=True) as deployment:
        asyncio.run(ready(deployment.database_url))
        return asyncio.run(connected(deployment.container(settings)))


async def actor_named(container: Container, username: str) -> User:
    """Who does what a command asks for. Raises `SettingsError` when there is nobody of that name."""
    actor = await container.users().by_username(username)
    if actor is None:
        raise SettingsError(f"There is no user {username}: start the service once, or name another with --as.")
    return actor
