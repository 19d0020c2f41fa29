"""Clients that leave: `python -m tests.drills.disconnects` cuts 10 000 connections, at any byte of a request or while its answer is made.

The service runs in this process, so that its tasks, its descriptors and its connections to the database can be counted before and after.
"""

import argparse
import asyncio
import gc
import json
import os
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

from entrypoints import logs
from entrypoints.container import Container
from entrypoints.http.app import make_app
from entrypoints.http.server import config_of
from entrypoints.http.stopping import Server
from entrypoints.leaving import Leaving
from entrypoints.runtime import deployed, prepare
from entrypoints.settings import load
from tests.drills.load import get, send
from tests.e2e.client import ADMIN_PASSWORD, PREFIX, data_folder, free_port

CLIENTS = 40
_BODY = b'{"fingerprint": "reader-that-leaves-%06d", "field": "consent", "value": "accepted"}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What a process holds."""

    tasks: int
    descriptors: int
    connections: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What the drill came to."""

    disconnects: int
    before: Counts
    after: Counts
    healthy: bool

    @property
    def is_good(self) -> bool:
        return self.healthy and self.after == self.before


@asynccontextmanager
async def serving_here(folder: Path) -> AsyncIterator[tuple[Container, int]]:
    """A service within this process, and its port."""
    own = {"DATA_DIR": str(folder), "ADMIN_PASSWORD": ADMIN_PASSWORD, "RATE_LIMITS": "off", "LOG_FORMAT": "json"}
    os.environ.update({PREFIX + name: value for name, value in own.items()})
    settings = load()
    logs.configure(settings.log_format)
    with deployed(settings) as deployment:
        await prepare(deployment, settings, demo=True)
        container = deployment.container(settings)
        config, port = config_of(make_app(settings, container)), free_port()
        config.port = port
        server = Server(config, container.readiness(), Leaving())
        running = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn tells no other way
            await asyncio.sleep(0.05)
        try:
            yield container, port
        finally:
            server.should_exit = True
            await running


async def _leave(port: int, rng: random.Random) -> None:
    request = rng.choice(
        [
            get("/dark-data/resources"),
            get("/dark-data/resources/paginated?per_page=2"),
            get("/dark-data/survey"),
            get("/health"),
            send("POST", "/dark-data/survey/upsert", _BODY % rng.randrange(1000)),
            send("POST", "/auth/login", b'{"username": "nobody", "password": 5}'),
        ]
    )
    with suppress(OSError):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request if rng.random() < 0.5 else request[: rng.randrange(len(request))])
        pause = rng.choice([None, 0.0, 0.001, 0.005])
        if pause is not None:
            await asyncio.sleep(pause)
        if rng.random() < 0.2:
            with suppress(TimeoutError):
                await asyncio.wait_for(reader.read(rng.randrange(1, 200)), 0.02)
        if rng.random() < 0.5:
            writer.transport.abort()
        else:
            writer.close()


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def _counts(container: Container) -> Counts:
    """What is held, once that no longer falls."""
    found = None
    for _ in range(40):
        gc.collect()
        pool = container.pool()
        now = Counts(
            tasks=len(asyncio.all_tasks()),
            descriptors=_descriptors() - pool.idle - pool.used,
            connections=pool.used,
        )
        if now == found:
            return now
        found = now
        await asyncio.sleep(0.5)
    assert found is not None
    return found


async def drill(disconnects: int, *, seed: int) -> Left:
    with data_folder() as folder:
        async with serving_here(folder) as (container, port):
            warm = random.Random(seed + 1)
            await asyncio.gather(*(_leave(port, warm) for _ in range(CLIENTS)))
            before = await _counts(container)

            async def keep_leaving(rng: random.Random) -> None:
                for _ in range(disconnects // CLIENTS):
                    await _leave(port, rng)

            await asyncio.gather(*(keep_leaving(random.Random(seed + number)) for number in range(CLIENTS)))
            after = await _counts(container)
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as web:
                healthy = (await web.get("/health")).status_code == 200 and (await web.get("/dark-data")).status_code == 200
    return Left(disconnects=disconnects // CLIENTS * CLIENTS, before=before, after=after, healthy=healthy)


def main() -> int:
    """Run the drill; 1 when anything is held that was not before."""
    parser = argparse.ArgumentParser(prog="python -m tests.drills.disconnects", description=__doc__)
    parser.add_argument("--disconnects", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the log of the service has a line for each
    left = asyncio.run(drill(options.disconnects, seed=options.seed))
    if options.json:
        print(json.dumps(asdict(left)))
    else:
        print(f"clients that left: {left.disconnects}, healthy after: {left.healthy}")
        for name in ("tasks", "descriptors", "connections"):
            print(f"{name:12} {getattr(left.before, name):>5} before, {getattr(left.after, name):>5} after")
    return 0 if left.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
