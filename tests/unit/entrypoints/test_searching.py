"""A network searches twice at once and no more, whatever comes of the searches."""

import asyncio
from typing import Any

import pytest
from starlette.requests import Request

from entrypoints.http.rate_limit import Limits, TooManySearches
from entrypoints.settings import RATES
from tests.fakes.windows import FakeWindows


def from_network(name: str) -> Request:
    scope: dict[str, Any] = {"type": "http", "network": name, "limits": [], "headers": []}
    return Request(scope)


@pytest.fixture
def limits() -> Limits:
    return Limits(dict(RATES), windows=FakeWindows())


async def searching(limits: Limits, network: str, until: asyncio.Event) -> None:
    async with limits.searching(from_network(network), "/{project}/resources", ()):
        await until.wait()


async def test_a_third_search_at_once_is_refused_and_another_network_is_not(limits: Limits) -> None:
    until = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for network in ("here", "here", "there"):
            group.create_task(searching(limits, network, until))
        await asyncio.sleep(0)
        with pytest.raises(TooManySearches) as refused:
            await searching(limits, "here", until)
        assert refused.value.retry_after == 1
        until.set()
    await searching(limits, "here", until)


async def test_a_search_that_fails_or_is_given_up_leaves_its_place(limits: Limits) -> None:
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            async with limits.searching(from_network("here"), "/{project}/resources", ()):
                raise ZeroDivisionError
        given_up = asyncio.create_task(searching(limits, "here", asyncio.Event()))
        await asyncio.sleep(0)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up


async def test_without_limits_nothing_is_counted() -> None:
    until = asyncio.Event()
    until.set()
    for _ in range(3):
        await searching(Limits(dict(RATES)), "here", until)
