"""Two instances behind a balancer, restarted in turn under load: no request may fail."""

import asyncio
from collections import Counter

from tests.drills.faults.stage import Stage, end
from tests.drills.faults.traffic import Traffic
from tests.drills.load import Told, Web, get
from tests.e2e.client import Service, data_folder

LOOK_SECONDS = 0.5


class Balancer:
    """Sends each request to an instance that was ready when it last looked; nothing is sent twice."""

    def __init__(self) -> None:
        self._ready: list[Web] = []
        self._looking: dict[int, asyncio.Task[None]] = {}
        self._turn = 0

    def add(self, service: Service) -> None:
        self._looking[service.port] = asyncio.create_task(self._look(Web(service.port), Web(service.port)))

    def remove(self, service: Service) -> None:
        self._looking.pop(service.port).cancel()

    async def _look(self, web: Web, apart: Web) -> None:
        try:
            while True:
                is_ready = (await apart.ask(get("/health/ready"), within=1.0)).status == 200
                if is_ready and web not in self._ready:
                    self._ready.append(web)
                if not is_ready and web in self._ready:
                    self._ready.remove(web)
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            if web in self._ready:
                self._ready.remove(web)

    async def ask(self, request: bytes) -> Told:
        self._turn += 1
        return await self._ready[self._turn % len(self._ready)].ask(request)

    async def ready(self, number: int) -> None:
        while len(self._ready) != number:  # noqa: ASYNC110 - it is looked again twice a second
            await asyncio.sleep(0.05)


async def roll(stage: Stage, *, times: int) -> dict[int, int]:
    """The answers by status while each of two instances is restarted so often. Fails where one does not end with status 0."""
    with data_folder() as other:
        instances = [await stage.serve(), await stage.serve_in(other)]
        balancer = Balancer()
        for instance in instances:
            balancer.add(instance)
        await balancer.ready(2)
        traffic = Traffic(balancer.ask, stage.token, seed=2, first=1_000_000)
        load = asyncio.create_task(traffic.run())
        try:
            for _ in range(times):
                for number in range(2):
                    old = instances[number]
                    status = await asyncio.to_thread(end, old)
                    balancer.remove(old)
                    assert status == 0, f"ended with {status}"
                    instances[number] = await stage.serve_in(old.folder)
                    balancer.add(instances[number])
                    await balancer.ready(2)
        finally:
            traffic.end()
            await load
            for instance in instances:
                await asyncio.to_thread(end, instance)
        answers = traffic.ledger.answers
        return dict(sorted(Counter(answer.status for answer in answers).items()))
