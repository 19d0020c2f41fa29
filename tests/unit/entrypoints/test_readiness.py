"""A process that is about to end: it says so to whoever sends requests there, and still answers."""

import httpx
import pytest
from dependency_injector import providers
from structlog.testing import capture_logs

from entrypoints.http.app import Application, make_app
from entrypoints.readiness import Readiness
from entrypoints.runtime import Deployment
from entrypoints.settings import Settings

NOWHERE = Deployment(database_url="postgresql+asyncpg://nowhere", secret_keys=("0" * 32,), pepper="0" * 32)


async def all_is_well() -> None:
    """Everything that requests need is there."""


@pytest.mark.parametrize("address", ["/health", "/health/ready"])
async def test_who_leaves_is_not_ready_and_still_answers(address: str) -> None:
    container = NOWHERE.container(Settings())
    with container.check_health.override(providers.Object(all_is_well)):
        app = make_app(Settings(), container)
    with capture_logs():
        await leave_and_ask(app, container.readiness(), address)


async def leave_and_ask(app: Application, readiness: Readiness, address: str) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as web:
        assert (await web.get(address)).json() == {"status": "healthy"}
        readiness.stop()
        left = await web.get(address)
        assert (left.status_code, left.json()["code"], left.headers["retry-after"]) == (503, "stopping", "1")
        assert (await web.get("/health/live")).status_code == 200
        assert (await web.get("/")).status_code == 200
