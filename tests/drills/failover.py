"""More than one machine: `python -m tests.drills.failover` kills a primary under load, and promotes its replica.

Two instances of the service behind HAProxy, a primary that commits once its replica has it, Valkey, and an S3 server, all of them real
processes. Afterwards every answer that was acknowledged has to be there.
"""

import argparse
import asyncio
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

from tests import object_store
from tests.drills.faults.rounds import RECOVERY_SECONDS
from tests.drills.survey import PROJECT, Reader, _keep_answering, _lost, _publish
from tests.e2e.client import ADMIN_PASSWORD, Service, client, data_folder, free_port, log_in, token_of, until
from tests.replication import Server, replicated
from tests.valkey import redis_server

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "haproxy.cfg"
INSTANCES = 2
BALANCER = shutil.which("haproxy") or "/usr/sbin/haproxy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failover:
    """What the drill came to."""

    acknowledged: int
    acknowledged_after: int
    lost: int
    seconds_without_saves: float
    saves_refused: int
    saves_unanswered: int
    reads: dict[int, int]
    reads_on_replica: int
    shared: bool

    @property
    def is_good(self) -> bool:
        done = self.acknowledged_after > 0 and self.lost == 0 and self.shared and self.reads_on_replica > 0
        is_quick = self.seconds_without_saves <= RECOVERY_SECONDS
        return done and is_quick and set(self.reads) <= {200, 503} and self.reads.get(200, 0) > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Balanced:
    """What stands behind one address."""

    url: str
    instances: list[Service]
    primary: Server
    replica: Server


@contextmanager
def balanced() -> Iterator[Balanced]:
    """Everything, running."""
    with ExitStack() as stack:
        primary, replica = stack.enter_context(replicated())
        valkey, store = stack.enter_context(redis_server()), stack.enter_context(object_store.object_store())
        several = f"postgresql+asyncpg://{primary.user_info}@/postgres?host={primary.place}&host={replica.place}"
        settings = {
            "DATABASE_URL": several,
            "DATABASE_REPLICA_URL": replica.url,
            "REDIS_URL": valkey.url,
            "STORAGE_URL": f"s3://{object_store.make_bucket(store)}",
            "SECRET_KEY": "b7e151628aed2a6abf7158809cf4f3c7",
            "PEPPER": "62e7160f38b4da56a784d9045190cfef",
            "ADMIN_PASSWORD": ADMIN_PASSWORD,
            "TRUSTED_PROXIES": "127.0.0.1",
            "RATE_LIMITS": "public-read=1000000/s,search=1000000/s,survey-write=1000000/s,user=1000000/s",
        }
        with _variables(object_store.environment(store)):
            instances = [Service(stack.enter_context(data_folder()), **settings) for _ in range(INSTANCES)]
        stack.callback(lambda: [each.stop() for each in instances if each.process.poll() is None])
        for each in instances:
            each.wait_ready()
        primary.ask("ALTER SYSTEM SET synchronous_standby_names = '*'")
        primary.ask("SELECT pg_reload_conf()")
        url = stack.enter_context(_balancer(instances, stack.enter_context(data_folder())))
        yield Balanced(url=url, instances=instances, primary=primary, replica=replica)


@contextmanager
def _variables(more: dict[str, str]) -> Iterator[None]:
    os.environ.update(more)
    try:
        yield
    finally:
        for name in more:
            del os.environ[name]


@contextmanager
def _balancer(instances: list[Service], folder: Path) -> Iterator[str]:
    """HAProxy as it is deployed, but for the addresses."""
    port = free_port()
    text = CONFIGURATION.read_text().replace("bind :8000", f"bind 127.0.0.1:{port}")
    for number, instance in enumerate(instances, 1):
        text = re.sub(rf"server api{number} \S+", f"server api{number} 127.0.0.1:{instance.port}", text)
    (folder / "haproxy.cfg").write_text(text)
    with (folder / "out").open("w") as out:
        process = subprocess.Popen([BALANCER, "-f", str(folder / "haproxy.cfg")], stdout=out, stderr=out)
    url = f"http://127.0.0.1:{port}"
    try:
        until(lambda: _status(url) == 200, "the balancer answers")
        yield url
    finally:
        process.terminate()
        process.wait()


def _status(url: str) -> int:
    try:
        return httpx.get(f"{url}/health", timeout=5).status_code
    except httpx.TransportError:
        return 0


def _holds_over_both(stage: Balanced) -> bool:
    """Sign-ins, idempotency and what somebody wrote, asked at the one instance and then at the other."""
    one, other = (each.url for each in stage.instances)
    token = token_of(log_in(one, "admin", ADMIN_PASSWORD))
    key = {"idempotency-key": "the same"}
    with client(one, token) as here, client(other, token) as there:
        made = here.post(f"/admin/{PROJECT}/resources", json={"name": "Trust circles"}, headers=key)
        again = there.post(f"/admin/{PROJECT}/resources", json={"name": "Trust circles"}, headers=key)
        seen = there.get(f"/{PROJECT}/resources/{made.json()['id']}")
        ended = here.post("/auth/logout").status_code == 204 and there.get("/auth/me").status_code == 401
    replayed = again.headers.get("idempotency-replayed") == "true" and again.content == made.content
    return made.status_code == 201 and replayed and seen.status_code == 200 and ended


async def _keep_reading(url: str, over: asyncio.Event, statuses: Counter[int]) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=15) as web:
        while not over.is_set():
            try:
                statuses[(await web.get(f"/{PROJECT}/resources")).status_code] += 1
            except httpx.TransportError:
                statuses[0] += 1
            await asyncio.sleep(0.02)


async def _drill(stage: Balanced, *, readers: int, seconds: float) -> Failover:
    service: Any = stage  # of a service, only its address is asked
    _publish(service)
    shared = _holds_over_both(stage)
    people = [Reader(fingerprint=f"reader-{number:06}") for number in range(readers)]
    outcomes: defaultdict[str, int] = defaultdict(int)
    statuses, over, rng = Counter[int](), asyncio.Event(), random.Random(22)
    async with httpx.AsyncClient(timeout=15) as web, asyncio.TaskGroup() as group:
        for person in people:
            group.create_task(_keep_answering(person, web, {"url": stage.url}, over, outcomes, random.Random(rng.random())))
        group.create_task(_keep_reading(stage.url, over, statuses))
        await asyncio.sleep(seconds)
        on_replica = int(stage.replica.ask("SELECT coalesce(idx_scan + seq_scan, 0) FROM pg_stat_user_tables WHERE relname = 'resources'"))
        await asyncio.to_thread(stage.primary.kill)
        before, killed = outcomes["acknowledged"], time.monotonic()
        await asyncio.to_thread(stage.replica.promote)
        await asyncio.to_thread(until, lambda: outcomes["acknowledged"] > before, "saves go on", seconds=60)
        without = time.monotonic() - killed
        await asyncio.sleep(seconds)
        over.set()
    return Failover(
        acknowledged=outcomes["acknowledged"],
        acknowledged_after=outcomes["acknowledged"] - before,
        lost=await _lost(service, people),
        seconds_without_saves=round(without, 2),
        saves_refused=outcomes["refused"],
        saves_unanswered=outcomes["unanswered"],
        reads=dict(statuses),
        reads_on_replica=on_replica,
        shared=shared,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readers", type=int, default=20, help="readers who save without a pause")
    parser.add_argument("--seconds", type=float, default=6.0, help="how long before and after")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not Path(BALANCER).exists():
        print("This drill needs HAProxy (apt-get install haproxy).", file=sys.stderr)
        return 2
    with balanced() as stage:
        done = asyncio.run(_drill(stage, readers=options.readers, seconds=options.seconds))
    print(json.dumps(asdict(done) | {"good": done.is_good}) if options.json else _told(done))
    return 0 if done.is_good else 1


def _told(done: Failover) -> str:
    lines = [f"{name.replace('_', ' '):24} {value}" for name, value in asdict(done).items()]
    return "\n".join([*lines, "Good." if done.is_good else "NOT GOOD."])


if __name__ == "__main__":
    sys.exit(main())
