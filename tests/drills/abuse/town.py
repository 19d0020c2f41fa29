"""Where the attacks happen: two workers with a real Valkey and PostgreSQL, default limits, a team and its readers."""

import asyncio
import secrets
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple

import httpx

from tests.drills.faults.stage import end, memory, processes
from tests.e2e.client import ADMIN_PASSWORD, Service, data_folder, log_in, token_of
from tests.postgres import drop_database, make_database, postgres_server
from tests.valkey import redis_server

WORKERS = 2
TOKENS, FINGERPRINTS = "by-token", "by-fingerprint"
QUESTIONS = [
    {"field": "consent", "type": "choice", "choices": [{"value": "accepted"}, {"value": "declined"}]},
    {"field": "secret", "type": "text"},
    {"field": "kept", "type": "text"},
]
_SURVEY = {"title": "What you would not tell", "consent": {"field": "consent", "accept": "accepted"}, "questions": QUESTIONS}
_octets = count(2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loot:
    """What one attack came to; `kept` is bytes beyond the declared bound, `memory` the highest of all processes in bytes."""

    attack: str
    tries: int
    read: int = 0
    locked_out: int = 0
    refused: int = 0
    opened: int = 0
    kept: int = 0
    memory: int = 0
    note: str = ""

    @property
    def is_nothing(self) -> bool:
        return not (self.read or self.locked_out or self.refused or self.opened or self.kept) and self.tries > 0


class Ask(NamedTuple):
    """A request."""

    method: str
    path: str
    body: Any = None
    headers: dict[str, str] = {}  # noqa: RUF012 - read alone


@dataclass(slots=True, kw_only=True)
class Owner:
    """A reader with something to hide, who holds the own token: brought with the first save, or given by its answer."""

    project: str
    brings_token: bool
    fingerprint: str = field(default_factory=lambda: f"reader-{secrets.token_hex(8)}")
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    secret: str = field(default_factory=lambda: f"secret-{secrets.token_hex(12)}")
    seq: int = 0

    async def save(self, web: httpx.AsyncClient, **answers: Any) -> httpx.Response:
        self.seq += 1
        body = {"fingerprint": self.fingerprint, "answers": answers, "seq": self.seq}
        headers = {"x-respondent-token": self.token} if self.brings_token or self.seq > 1 else {}
        answer = await web.post(f"/{self.project}/survey/answers", json=body, headers=headers)
        if "respondent_token" in answer.text:
            self.token = answer.json()["respondent_token"]
        return answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Town:
    """The service and its people."""

    service: Service
    database_url: str
    admin: dict[str, str]
    readers: list[Owner]

    @asynccontextmanager
    async def stranger(self, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
        """Somebody from a network that nobody else is in."""
        async with self._web(next_network(), headers) as web:
            yield web

    @asynccontextmanager
    async def team(self) -> AsyncIterator[httpx.AsyncClient]:
        """An admin, signed in."""
        async with self._web(next_network(), self.admin) as web:
            yield web

    def _web(self, network: str, headers: dict[str, str]) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self.service.url, timeout=60, headers=headers, transport=httpx.AsyncHTTPTransport(local_address=network)
        )


def next_network() -> str:
    """An address of the loopback that nobody has had."""
    octet = next(_octets)
    return f"127.0.{octet // 250}.{octet % 250 + 2}"


@asynccontextmanager
async def town(*, readers: int, resources: int) -> AsyncIterator[Town]:
    """A service with so many readers of each kind, and resources."""
    with postgres_server() as server, data_folder() as folder, redis_server() as valkey:
        url = await make_database(server)
        settings = {"DATABASE_URL": url, "REDIS_URL": valkey.url, "ADMIN_PASSWORD": ADMIN_PASSWORD, "LOG_FORMAT": "json"}
        service = Service(folder, "--workers", str(WORKERS), **settings).wait_ready()
        try:
            admin = {"authorization": f"Bearer {token_of(log_in(service.url, 'admin', ADMIN_PASSWORD))}"}
            kinds = [(TOKENS, True), (FINGERPRINTS, True), (FINGERPRINTS, False)]
            people = [Owner(project=project, brings_token=brings) for project, brings in kinds for _ in range(readers)]
            made = Town(service=service, database_url=url, admin=admin, readers=people)
            async with made.team() as web:
                for project in (TOKENS, FINGERPRINTS):
                    (await web.post("/admin/projects", json={"slug": project, "title": "A story"})).raise_for_status()
                    survey = _SURVEY | {"identity": project.removeprefix("by-")}
                    (await web.put(f"/admin/{project}/survey", json=survey)).raise_for_status()
                await _fill(web, resources)
            for owner in people:
                async with made.stranger() as web:
                    (await owner.save(web, consent="accepted", secret=owner.secret, kept=owner.secret)).raise_for_status()
            yield made
        finally:
            await asyncio.to_thread(end, service)
            await drop_database(url, server=server)


async def _fill(web: httpx.AsyncClient, resources: int) -> None:
    rows = "".join(f"Figure {number},{secrets.token_hex(40)} of what nobody knows\n" for number in range(resources))
    headers = {"content-type": "text/csv"}
    answer = await web.post(f"/admin/{TOKENS}/resources/import", content=f"name,description\n{rows}", headers=headers, timeout=120)
    answer.raise_for_status()


@dataclass(slots=True)
class Peak:
    """The highest resident memory of the service's processes, in bytes."""

    bytes: int = 0


@contextmanager
def watched(service: Service) -> Iterator[Peak]:
    """Look at the memory of all processes of the service, often, while this lasts."""
    peak, over = Peak(), threading.Event()

    def look() -> None:
        while not over.wait(0.02):
            with suppress(OSError):  # one ended meanwhile
                peak.bytes = max(peak.bytes, memory(processes(service)))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peak
    finally:
        over.set()
        thread.join()
