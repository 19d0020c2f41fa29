"""From settings to a running container: the data folder, the secrets, the database, the first admin, the demo."""

import asyncio
import hmac
import os
import secrets
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from tempfile import TemporaryDirectory
from time import monotonic
from typing import TypeVar

from domain.errors import Invalid, Unavailable
from domain.user import UsernameTaken
from entrypoints.container import Container, EmbeddedPostgres, expect_current, migrate
from entrypoints.data_folder import DataFolder
from entrypoints.settings import METRICS_FOLDER, PREFIX, Settings, SettingsError
from entrypoints.story import story_from

FIRST_ADMIN = "admin"
FIRST_ADMIN_EMAIL = "admin@localhost"
DEMO = "dark-data"
DATABASE_WAIT_SECONDS = 60.0
DATABASE_RETRY_SECONDS = 0.5
DATABASE_TOLD_SECONDS = 5.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """Where the database is, and the secrets: given by the settings, or made in the data folder."""

    database_url: str
    secret_keys: tuple[str, ...]
    pepper: str

    def container(self, settings: Settings) -> Container:
        """The container for this deployment; nothing is connected yet."""
        container = Container()
        container.config.from_dict(
            {
                "database_url": self.database_url,
                "database_replica_url": settings.database_replica_url,
                "replica_lag_seconds": settings.database_replica_lag_seconds,
                "secret_keys": [key.encode() for key in self.secret_keys],
                "pepper": self.pepper.encode(),
                "access_token_minutes": settings.access_token_minutes,
                "max_import_bytes": settings.max_import_bytes,
                "limits_on": settings.rate_limits is not None,
                "redis_url": settings.redis_url if settings.rate_limits is not None else None,
                "counting_key": hmac.digest(self.pepper.encode(), b"what hits are counted by", "sha256"),
                "storage_url": settings.storage_url or (settings.data_dir.resolve() / "files").as_uri(),
                "upload_quota_bytes": settings.upload_quota_bytes,
            }
        )
        return container

    def export(self) -> None:
        """Put this into the environment, for the worker processes that this one starts."""
        os.environ[f"{PREFIX}DATABASE_URL"] = self.database_url
        os.environ[f"{PREFIX}SECRET_KEY"] = ",".join(self.secret_keys)
        os.environ[f"{PREFIX}PEPPER"] = self.pepper


@contextmanager
def deployed(settings: Settings, *, beside: bool = False, pepper: str | None = None) -> Iterator[Deployment]:
    """A database that runs and secrets that exist, while this lasts; the embedded PostgreSQL stops with it.

    With `beside`, a service that runs on the same data folder is used and left running. A new data folder takes on this `pepper`.
    Raises `DataFolderError` and `EmbeddedPostgresError`.
    """
    if settings.database_url and settings.secret_key and settings.pepper:
        yield Deployment(database_url=settings.database_url, secret_keys=settings.secret_key, pepper=settings.pepper)
        return
    folder = DataFolder(settings.data_dir, beside=beside)
    keys = settings.secret_key or (folder.secret("secret_key"),)
    pepper = settings.pepper or folder.secret("pepper", first=pepper)
    if settings.database_url:
        yield Deployment(database_url=settings.database_url, secret_keys=keys, pepper=pepper)
        return
    embedded = EmbeddedPostgres(folder.postgres, password=folder.secret("database_password"))
    if folder.is_held:
        embedded.start()
    try:
        yield Deployment(database_url=embedded.url, secret_keys=keys, pepper=pepper)
    finally:
        if folder.is_held:
            embedded.stop()


@contextmanager
def shared_metrics() -> Iterator[None]:
    """A folder for the metrics of all the worker processes that are started while this lasts."""
    with TemporaryDirectory(prefix="complex-stories-metrics-") as folder:
        os.environ[METRICS_FOLDER] = folder
        yield


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What a start made: the password of the first admin when it was drawn now, and whether the demo was loaded now."""

    admin_password: str | None
    demo_loaded: bool


async def prepare(
    deployment: Deployment, settings: Settings, *, demo: bool, migrating: bool = True, told: Callable[[float], None] = lambda _: None
) -> Prepared:
    """Migrate, see that an admin exists, and load the demo where it was never loaded. Raises `SchemaError`, `SettingsError`.

    Without `migrating` the schema has to be this program's already. A database that does not answer is waited for, as long as
    `told` is told; then this raises `Unavailable`.
    """
    bring_or_see = migrate if migrating else expect_current
    await when_there(lambda: bring_or_see(deployment.database_url), told=told)
    container = deployment.container(settings)
    async with container.pool():
        drawn = await _first_admin(container, settings)
        loaded = await _load_demo(container) if demo else False
    return Prepared(admin_password=drawn, demo_loaded=loaded)


async def when_there(do: Callable[[], Awaitable[T]], *, told: Callable[[float], None]) -> T:
    """Do it as soon as the database answers. Raises `Unavailable` when it has not for a minute; until then tells how long it may take."""
    until = monotonic() + DATABASE_WAIT_SECONDS
    told_at = 0.0
    while True:
        try:
            return await do()
        except Unavailable:
            now = monotonic()
            if now >= until:
                raise
            if now - told_at >= DATABASE_TOLD_SECONDS:
                told(until - now)
                told_at = now
            await asyncio.sleep(DATABASE_RETRY_SECONDS)


def check_admin_password(settings: Settings) -> None:
    """Raise `SettingsError` for an `ADMIN_PASSWORD` that no admin could have, whether or not it is used now."""
    try:
        if settings.admin_password is not None:
            Container().hash_new().check(settings.admin_password, username=FIRST_ADMIN)
    except Invalid as error:
        raise SettingsError(f"{PREFIX}ADMIN_PASSWORD: {' '.join(fault.detail for fault in error.faults)}") from None


async def _first_admin(container: Container, settings: Settings) -> str | None:
    if await container.users().by_username(FIRST_ADMIN):
        return None
    password = settings.admin_password or secrets.token_urlsafe(18)
    try:
        await container.create_admin()(username=FIRST_ADMIN, email=FIRST_ADMIN_EMAIL, password=password)
    except UsernameTaken:
        return None  # another instance, starting at the same time, was first
    return None if settings.admin_password else password


async def _load_demo(container: Container) -> bool:
    story = story_from((files("entrypoints") / "demo" / f"{DEMO}.json").read_bytes())
    admin = await container.users().by_username(FIRST_ADMIN)
    if admin is None or await container.projects().was_used(story.slug):
        return False
    await container.apply_story()(story, by=admin)
    return True
