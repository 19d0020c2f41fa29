"""Which server to connect to, where an address names several."""

import asyncio
from typing import Any

import asyncpg
from sqlalchemy import URL, make_url

CONNECT_SECONDS = 1.5


def addresses(url: str) -> list[str]:
    """What asyncpg takes to connect to each host of an address such as `postgresql+asyncpg://user@/name?host=a:5432&host=b:5432`."""
    address = make_url(url).set(drivername="postgresql")
    hosts = address.query.get("host")
    if not isinstance(hosts, tuple):
        return [address.render_as_string(hide_password=False)]
    rest = address.difference_update_query(["host"])
    return [_at(rest, host).render_as_string(hide_password=False) for host in hosts]


def _at(address: URL, place: str) -> URL:
    host, _, port = place.partition(":")
    return address.set(host=host, port=int(port) if port else address.port)


async def connect_to_primary(*dsns: str, **options: Any) -> Any:
    """A connection to whichever of these is the primary. All are asked at once, so that one which is silent holds nothing up.

    Raises what the last one failed by; but that one is full says more than whatever the others answer, so this is raised where it was so.
    """
    options["timeout"] = min(options.get("timeout") or CONNECT_SECONDS, CONNECT_SECONDS)
    connect: Any = asyncpg.connect
    asked = {asyncio.create_task(connect(dsn, target_session_attrs="primary", **options)) for dsn in dsns}
    failure: BaseException = ConnectionError("no host is named")
    try:
        while asked:
            done, asked = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            found = [each.result() for each in done if each.exception() is None]
            for spare in found[1:]:
                spare.terminate()
            if found:
                return found[0]
            for each in done:
                error = each.exception()
                if error is not None and not isinstance(failure, asyncpg.TooManyConnectionsError):
                    failure = error
        raise failure
    finally:
        for each in asked:
            each.add_done_callback(_let_go)
            each.cancel()


def _let_go(asked: "asyncio.Task[Any]") -> None:
    """Close what came too late."""
    if not asked.cancelled() and asked.exception() is None:
        asked.result().terminate()
