"""The faults, each with what begins and what ends it."""

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from tests.drills.faults import store
from tests.drills.faults.disk import Disk
from tests.drills.faults.stage import Stage, workers
from tests.drills.faults.traffic import PROJECT
from tests.drills.load import form, send
from tests.e2e.client import Service
from tests.pictures import png

Act = Callable[[Stage, Service], Awaitable[None]]

KINDS = ("save", "read", "make", "change", "upload", "download")
CUT_OFF, AWAY, FULL = 0, 503, 507


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that goes wrong for so many seconds. Meanwhile requests of some kinds may be refused, by these statuses, others not."""

    name: str
    begin: Act
    mend: Act
    seconds: float = 1.0
    refusals: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    needs: Callable[[Disk], bool] = lambda _: True


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


async def _leave(stage: Stage, service: Service) -> None:
    """Clients that send a part of a request, any part, and are gone; every third while it uploads."""
    body = b'{"fingerprint": "reader-that-leaves", "field": "q0", "value": 1}'
    save = send("POST", f"/{PROJECT}/survey/upsert", body)
    upload = form(f"/admin/{PROJECT}/upload", png(padding=300_000), "left.png", f"Authorization: Bearer {stage.token}")
    for number in range(300):
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", service.port)
            writer.write(upload[: len(upload) * number // 300] if number % 3 == 0 else save[: number % (len(save) + 1)])
            await asyncio.sleep(0)
            writer.transport.abort()


async def _mend_store(stage: Stage, _: Service) -> None:
    stage.store.door.refusal = None
    await stage.store.proxy.mend()


async def _refuse_store(stage: Stage, _: Service) -> None:
    await stage.store.proxy.refuse()


async def _cut_store(stage: Stage, _service: Service) -> None:
    """Again and again, so that requests of every kind are met."""
    for _ in range(20):
        stage.store.proxy.cut()
        await asyncio.sleep(0.05)


async def _hold_store(stage: Stage, _: Service) -> None:
    stage.store.proxy.hold()


async def _fill_store(stage: Stage, _: Service) -> None:
    stage.store.door.refusal = store.FULL


async def _close_store(stage: Stage, _: Service) -> None:
    stage.store.door.refusal = store.READ_ONLY


def _to_disk(act: Callable[[Disk], None]) -> Act:
    async def acted(stage: Stage, _: Service) -> None:
        await asyncio.to_thread(act, stage.disk)

    return acted


_ALL_AWAY = dict.fromkeys(KINDS, (AWAY,))
_ALL_CUT_OFF = dict.fromkeys(KINDS, (CUT_OFF,))
_FILES_AWAY = {"upload": (AWAY,), "download": (AWAY, CUT_OFF)}  # the latter where the answer has begun

FAULTS = [
    Fault(name="database gone", begin=_refuse, mend=_mend_network, seconds=2.0, refusals=_ALL_AWAY),
    Fault(name="database lines cut", begin=_cut, mend=_nothing, seconds=0.2, refusals=_ALL_AWAY),
    Fault(name="database slow (50 ms a piece)", begin=_slow, mend=_mend_network, seconds=2.0, refusals=_ALL_AWAY),
    Fault(name="database silent", begin=_hold, mend=_mend_network, seconds=4.0, refusals=_ALL_AWAY),
    Fault(name="database moved (lines half open)", begin=_forget, mend=_nothing, seconds=0.0, refusals=_ALL_AWAY),
    Fault(name="line cut after COMMIT", begin=_lose_commits, mend=_mend_network, refusals=_ALL_AWAY),
    Fault(name="line cut before COMMIT", begin=_stop_commits, mend=_mend_network, refusals=_ALL_AWAY),
    Fault(name="database restarted", begin=_restart_postgres, mend=_start_postgres, seconds=0.5, refusals=_ALL_AWAY),
    Fault(name="database crashed and recovered", begin=_crash_postgres, mend=_start_postgres, seconds=0.5, refusals=_ALL_AWAY),
    Fault(name="Redis held still", begin=_pause_redis, mend=_resume_redis),
    Fault(name="Redis killed and started empty", begin=_restart_redis, mend=_nothing),
    Fault(name="bucket gone", begin=_refuse_store, mend=_mend_store, refusals=_FILES_AWAY),
    Fault(name="bucket's lines cut", begin=_cut_store, mend=_nothing, seconds=0.0, refusals=_FILES_AWAY),
    Fault(name="bucket silent", begin=_hold_store, mend=_mend_store, seconds=4.0, refusals=_FILES_AWAY),
    Fault(name="bucket full", begin=_fill_store, mend=_mend_store, refusals={"upload": (FULL,)}),
    Fault(name="bucket read-only", begin=_close_store, mend=_mend_store, refusals={"upload": (AWAY,)}),
    Fault(name="300 clients leave at any byte", begin=_leave, mend=_nothing, seconds=0.0),
    Fault(name="a worker killed", begin=_kill_worker, mend=_nothing, seconds=0.5, refusals=_ALL_CUT_OFF),
]
DISK_FAULTS = [
    Fault(name="disk gone", begin=_to_disk(Disk.take_away), mend=_to_disk(Disk.bring_back), refusals=_FILES_AWAY),
    Fault(
        name="disk full",
        begin=_to_disk(Disk.fill),
        mend=_to_disk(Disk.make_room),
        refusals={"upload": (FULL,)},
        needs=lambda disk: disk.can_be_filled,
    ),
    Fault(
        name="disk read-only",
        begin=_to_disk(Disk.close),
        mend=_to_disk(Disk.open),
        refusals={"upload": (AWAY,)},
        needs=lambda disk: disk.can_be_closed,
    ),
]
