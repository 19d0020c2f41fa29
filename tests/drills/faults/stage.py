"""Where the faults happen: a PostgreSQL that can be restarted behind a proxy, a Redis that can be held still, a bucket and a disk that can
be taken away, and services on them.
"""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from adapters.postgres.embedded import EmbeddedPostgres
from tests.drills.faults.disk import Disk, disk_to_take_away
from tests.drills.faults.store import Store, store_to_take_away
from tests.drills.faults.traffic import FIELDS, PROJECT
from tests.drills.proxy import Proxy, proxied, through, upstream_of
from tests.e2e.client import ADMIN_PASSWORD, Service, data_folder, log_in, token_of, until
from tests.valkey import RedisServer, redis_server

HIGH = ",".join(
    f"{name}=1000000/min" for name in ("public-read", "survey-write", "survey-write-network", "search", "refresh", "user", "export")
)


class Postgres:
    """A PostgreSQL of one's own, that can be stopped in every way it has."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "postgres"
        self._server = EmbeddedPostgres(self._folder, password="for-drills")
        self._server.start()
        self.url = self._server.url

    def stop(self, *, how: int) -> None:
        """By a signal to its first process: SIGINT cuts everybody off, SIGQUIT leaves a crash to recover from."""
        pid = int((self._folder / "postmaster.pid").read_text().split()[0])
        os.kill(pid, how)
        until(lambda: not Path(f"/proc/{pid}").exists(), "PostgreSQL has ended")

    def start(self) -> None:
        self._server.start()

    def close(self) -> None:
        self._server.stop()


class Stage:
    """One service of two workers, and what it depends on."""

    def __init__(self, folder: Path, postgres: Postgres, proxy: Proxy, redis: RedisServer, store: Store, disk: Disk) -> None:
        self.folder = folder
        self.postgres = postgres
        self.proxy = proxy
        self.redis = redis
        self.store = store
        self.disk = disk
        self.token = ""  # of the admin, once there is one
        self.settings = {
            "DATABASE_URL": through(postgres.url, proxy.port),
            "REDIS_URL": redis.url,
            "ADMIN_PASSWORD": ADMIN_PASSWORD,
            "RATE_LIMITS": HIGH,
            "LOG_FORMAT": "json",
            "ACCESS_TOKEN_MINUTES": "120",
            "UPLOAD_QUOTA_BYTES": str(2**40),
        }

    async def serve(self, *options: str) -> Service:
        return await self.serve_in(self.folder, *options)

    async def serve_in(self, folder: Path, *options: str, on_disk: bool = False) -> Service:
        """A service on the same database, with the secrets that the first one made; its files are in the bucket, or on the disk."""
        if folder != self.folder and not (folder / "secrets.json").exists():
            shutil.copyfile(self.folder / "secrets.json", folder / "secrets.json")
        service = Service(folder, *options, **self.settings, STORAGE_URL=self.disk.url if on_disk else self.store.url)
        await asyncio.to_thread(service.wait_ready)
        return service


def processes(service: Service) -> list[int]:
    """The processes of a service: the first, and its workers."""
    found = [service.process.pid]
    for pid in found:
        children = Path(f"/proc/{pid}/task/{pid}/children")
        found += [int(child) for child in children.read_text().split()] if children.exists() else []
    return found


def workers(service: Service) -> list[int]:
    """The processes that serve."""
    return [pid for pid in processes(service)[1:] if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def descriptors(pids: list[int]) -> int:
    return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids)


def memory(pids: list[int]) -> int:
    """Resident bytes."""
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids]
    return sum(pages) * os.sysconf("SC_PAGE_SIZE")


def publish(service: Service) -> str:
    """The token of the admin, once the project with its survey and first resource is there."""
    token = token_of(log_in(service.url, "admin", ADMIN_PASSWORD))
    survey = {"title": "Drill", "identity": "fingerprint", "questions": [{"field": name, "type": "integer"} for name in FIELDS]}
    with httpx.Client(base_url=service.url, headers={"authorization": f"Bearer {token}"}, timeout=30) as admin:
        admin.post("/admin/projects", json={"slug": PROJECT, "title": "Drill"}).raise_for_status()
        admin.put(f"/admin/{PROJECT}/survey", json=survey).raise_for_status()
        admin.post(f"/admin/{PROJECT}/resources", json={"name": "The first", "description": "0"}).raise_for_status()
    return token


@asynccontextmanager
async def set_stage() -> AsyncIterator[Stage]:
    """A stage with everything on it but a service, while this lasts."""
    with data_folder() as folder, data_folder() as cluster, redis_server() as redis, disk_to_take_away(folder / "disk") as disk:
        postgres = await asyncio.to_thread(Postgres, cluster)
        try:
            async with proxied(upstream_of(postgres.url)) as proxy, store_to_take_away() as store:
                yield Stage(folder, postgres, proxy, redis, store, disk)
        finally:
            postgres.close()


def end(service: Service) -> int:
    """The exit status of a service that was asked to stop."""
    service.process.send_signal(signal.SIGTERM)
    try:
        return service.process.wait(timeout=60)
    except subprocess.TimeoutExpired:
        service.process.kill()
        return -signal.SIGKILL
