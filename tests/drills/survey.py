"""Saves under fire: `python -m tests.drills.survey` kills the service again and again, and compares what it had acknowledged.

Two drills on a service of their own. *Kills*: readers save answers, each with a rising `seq`, while the service is killed with SIGKILL
at random moments and started again; afterwards every answer must be the last acknowledged one, or one sent after it. *Registers*:
clients write and read the same few answers at once, and each answer's history must be linearizable.
"""

import argparse
import asyncio
import json
import random
import secrets
import signal
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import count
from math import inf
from typing import Any

import httpx

from tests.drills.registers import Operation, violation
from tests.e2e.client import ADMIN_PASSWORD, Service, data_folder, log_in, token_of

PROJECT = "drill"
FIELDS = [f"q{number}" for number in range(10)]
SETTINGS = {"ADMIN_PASSWORD": ADMIN_PASSWORD, "RATE_LIMITS": "off", "LOG_FORMAT": "json"}


@dataclass(slots=True, kw_only=True)
class Reader:
    """Somebody who answers; for each field, the last seq that was acknowledged and the last that was sent."""

    fingerprint: str
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    acknowledged: dict[str, int] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kills:
    """What the drill of kills came to."""

    kills: int
    acknowledged: int
    unanswered: int
    refused: int
    lost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Registers:
    """What the drill of registers came to."""

    registers: int
    operations: int
    violations: list[str]


def _publish(service: Service) -> None:
    headers = {"authorization": f"Bearer {token_of(log_in(service.url, 'admin', ADMIN_PASSWORD))}"}
    survey = {"title": "Drill", "identity": "fingerprint", "questions": [{"field": name, "type": "integer"} for name in FIELDS]}
    with httpx.Client(base_url=service.url, headers=headers) as admin:
        admin.post("/admin/projects", json={"slug": PROJECT, "title": "Drill"}).raise_for_status()
        admin.put(f"/admin/{PROJECT}/survey", json=survey).raise_for_status()


async def _kill_again_and_again(service: Service, *, kills: int, readers: int, rng: random.Random) -> tuple[Service, Kills]:
    people = [Reader(fingerprint=f"reader-{number:06}") for number in range(readers)]
    address = {"url": service.url}
    over = asyncio.Event()
    outcomes: defaultdict[str, int] = defaultdict(int)
    async with httpx.AsyncClient(timeout=5) as web, asyncio.TaskGroup() as group:
        for person in people:
            group.create_task(_keep_answering(person, web, address, over, outcomes, random.Random(rng.random())))
        for number in range(kills):
            await asyncio.sleep(rng.uniform(0.2, 1.5))
            service.process.send_signal(signal.SIGKILL)
            service.process.wait()
            service = await asyncio.to_thread(lambda killed: Service(killed.folder, **SETTINGS).wait_ready(), service)
            address["url"] = service.url
            print(f"\rkilled {number + 1} of {kills}", end="", file=sys.stderr, flush=True)
        await asyncio.sleep(0.5)
        over.set()
    print(file=sys.stderr)
    lost = await _lost(service, people)
    return service, Kills(
        kills=kills, acknowledged=outcomes["acknowledged"], unanswered=outcomes["unanswered"], refused=outcomes["refused"], lost=lost
    )


async def _keep_answering(
    person: Reader,
    web: httpx.AsyncClient,
    address: dict[str, str],
    over: asyncio.Event,
    outcomes: defaultdict[str, int],
    rng: random.Random,
) -> None:
    for seq in count(1):
        if over.is_set():
            return
        name = rng.choice(FIELDS)
        person.sent[name] = seq
        body = {"fingerprint": person.fingerprint, "field": name, "value": seq, "seq": seq}
        headers = {"x-respondent-token": person.token}
        try:
            answer = await web.post(f"{address['url']}/{PROJECT}/survey/upsert", json=body, headers=headers)
        except httpx.TransportError:
            outcomes["unanswered"] += 1
            await asyncio.sleep(0.05)
            continue
        if answer.status_code in (200, 201) and answer.json()["message"] != "Stale":
            outcomes["acknowledged"] += 1
            person.acknowledged[name] = seq
        else:
            outcomes["refused"] += 1


async def _lost(service: Service, people: list[Reader]) -> int:
    """How many acknowledged answers are neither there nor replaced by one sent later."""
    lost = 0
    async with httpx.AsyncClient(base_url=service.url) as web:
        for person in people:
            if not person.acknowledged:
                continue
            answer = await web.get(f"/{PROJECT}/survey/response", headers={"x-respondent-token": person.token})
            stored: dict[str, int] = answer.json()["answers"] if answer.status_code == 200 else {}
            lost += sum(not seq <= stored.get(name, -1) <= person.sent[name] for name, seq in person.acknowledged.items())
    return lost


async def _write_and_read(service: Service, *, registers: int, operations: int, clients: int, rng: random.Random) -> Registers:
    people = [Reader(fingerprint=f"register-{number:06}") for number in range(-(-registers // len(FIELDS)))]
    keys = [(person, name) for person in people for name in FIELDS][:registers]
    histories: defaultdict[tuple[str, str], list[Operation]] = defaultdict(list)
    values = count(1)
    remaining = count(registers * operations, -1)

    async def work(web: httpx.AsyncClient, own: random.Random) -> None:
        while next(remaining) > 0:
            person, name = own.choice(keys)
            operation = await (_write(web, person, name, next(values)) if own.random() < 0.5 else _read(web, person, name))
            histories[person.fingerprint, name].append(operation)

    async with httpx.AsyncClient(base_url=service.url, timeout=30) as web:
        for person in people:  # so that a read finds a response
            await _write(web, person, FIELDS[-1] if registers < len(FIELDS) else "q0", next(values), histories)
        async with asyncio.TaskGroup() as group:
            for _ in range(clients):
                group.create_task(work(web, random.Random(rng.random())))
    found = {key: violation(history) for key, history in histories.items()}
    return Registers(
        registers=len(histories),
        operations=sum(map(len, histories.values())),
        violations=[f"{key[0]} {key[1]}: {why}" for key, why in found.items() if why is not None],
    )


async def _write(
    web: httpx.AsyncClient, person: Reader, name: str, value: int, histories: defaultdict[tuple[str, str], list[Operation]] | None = None
) -> Operation:
    body = {"fingerprint": person.fingerprint, "field": name, "value": value}
    began = time.monotonic()
    answer = await web.post(f"/{PROJECT}/survey/upsert", json=body, headers={"x-respondent-token": person.token})
    heard = answer.status_code in (200, 201)
    operation = Operation(is_write=True, value=value, began=began, ended=time.monotonic() if heard else inf)
    if histories is not None:
        histories[person.fingerprint, name].append(operation)
    return operation


async def _read(web: httpx.AsyncClient, person: Reader, name: str) -> Operation:
    began = time.monotonic()
    answer = await web.get(f"/{PROJECT}/survey/response", headers={"x-respondent-token": person.token})
    value: Any = answer.raise_for_status().json()["answers"].get(name)
    return Operation(is_write=False, value=value, began=began, ended=time.monotonic())


async def _drill(options: argparse.Namespace) -> tuple[Kills, Registers]:
    rng = random.Random(options.seed)
    with data_folder() as folder:
        service = Service(folder, **SETTINGS).wait_ready()
        try:
            _publish(service)
            registers = await _write_and_read(
                service, registers=options.registers, operations=options.operations, clients=options.clients, rng=rng
            )
            service, kills = await _kill_again_and_again(service, kills=options.kills, readers=options.clients, rng=rng)
        finally:
            service.stop()
    return kills, registers


def main() -> int:
    """Run both drills; 1 when an acknowledged answer was lost or a history is impossible."""
    parser = argparse.ArgumentParser(prog="python -m tests.drills.survey", description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--registers", type=int, default=100)
    parser.add_argument("--operations", type=int, default=1000, help="for each register")
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    kills, registers = asyncio.run(_drill(options))
    if options.json:
        figures = {name: getattr(kills, name) for name in ("kills", "acknowledged", "unanswered", "refused", "lost")}
        print(
            json.dumps(figures | {"registers": registers.registers, "operations": registers.operations, "violations": registers.violations})
        )
    else:
        print(f"kills {kills.kills}, acknowledged saves {kills.acknowledged}, unanswered {kills.unanswered}, refused {kills.refused}")
        print(f"acknowledged answers lost: {kills.lost}")
        print(f"registers {registers.registers}, operations {registers.operations}, impossible histories: {len(registers.violations)}")
        for line in registers.violations[:10]:
            print(f"  {line}")
    return 1 if kills.lost or registers.violations else 0


if __name__ == "__main__":
    sys.exit(main())
