"""The faults, each with what begins and what ends it."""

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from tests.drills.faults.stage import Stage, workers
from tests.drills.faults.traffic import PROJECT
from tests.drills.load import send
from tests.e2e.client import Service

Act = Callable[[Stage, Service], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that goes wrong for so many seconds."""

    name: str
    begin: Act
    mend: Act
    seconds: float = 1.0


async def _nothing(_stage: Stage, _service: Service) -> None:
    pass


async def _mend_network(stage: Stage, _: Service) -> None:
    await stage.proxy.mend()


async def _refuse(stage: Stage, _: Service) -> None:
    await stage.proxy.refuse()


async def _cut(stage: Stage, _: Service) -> None:
    stage.proxy.cut()


async def _slow(stage: Stage, _: Service) -> None:
    stage.proxy.delay = 0.05


async def _hold(stage: Stage, _: Service) -> None:
    stage.proxy.hold()


async def _forget(stage: Stage, _: Service) -> None:
    stage.proxy.forget()


async def _lose_commits(stage: Stage, _: Service) -> None:
    stage.proxy.commits_to_lose = 20


async def _stop_commits(stage: Stage, _: Service) -> None:
    stage.proxy.commits_to_stop = 20


async def _restart_postgres(stage: Stage, _: Service) -> None:
    await asyncio.to_thread(stage.postgres.stop, how=signal.SIGINT)


async def _crash_postgres(stage: Stage, _: Service) -> None:
    await asyncio.to_thread(stage.postgres.stop, how=signal.SIGQUIT)


async def _start_postgres(stage: Stage, _: Service) -> None:
    await asyncio.to_thread(stage.postgres.start)


async def _pause_redis(stage: Stage, _: Service) -> None:
    await asyncio.to_thread(stage.redis.pause)


async def _resume_redis(stage: Stage, _: Service) -> None:
    stage.redis.resume()


async def _restart_redis(stage: Stage, _: Service) -> None:
    await asyncio.to_thread(stage.redis.restart)


async def _kill_worker(_: Stage, service: Service) -> None:
    os.kill(random.choice(workers(service)), signal.SIGKILL)


async def _leave(_stage: Stage, service: Service) -> None:
    """Clients that send a part of a request, any part, and are gone."""
    body = b'{"fingerprint": "reader-that-leaves", "field": "q0", "value": 1}'
    request = send("POST", f"/{PROJECT}/survey/upsert", body)
    for number in range(300):
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", service.port)
            writer.write(request[: number % (len(request) + 1)])
            await asyncio.sleep(0)
            writer.transport.abort()


FAULTS = [
    Fault(name="database gone", begin=_refuse, mend=_mend_network, seconds=2.0),
    Fault(name="database lines cut", begin=_cut, mend=_nothing, seconds=0.2),
    Fault(name="database slow (50 ms a piece)", begin=_slow, mend=_mend_network, seconds=2.0),
    Fault(name="database silent", begin=_hold, mend=_mend_network, seconds=4.0),
    Fault(name="database moved (lines half open)", begin=_forget, mend=_nothing, seconds=0.0),
    Fault(name="line cut after COMMIT", begin=_lose_commits, mend=_mend_network),
    Fault(name="line cut before COMMIT", begin=_stop_commits, mend=_mend_network),
    Fault(name="database restarted", begin=_restart_postgres, mend=_start_postgres, seconds=0.5),
    Fault(name="database crashed and recovered", begin=_crash_postgres, mend=_start_postgres, seconds=0.5),
    Fault(name="Redis held still", begin=_pause_redis, mend=_resume_redis),
    Fault(name="Redis killed and started empty", begin=_restart_redis, mend=_nothing),
    Fault(name="300 clients leave at any byte", begin=_leave, mend=_nothing, seconds=0.0),
    Fault(name="a worker killed", begin=_kill_worker, mend=_nothing, seconds=0.5),
]
