"""Attacks by load: what anonymous people ask for takes nothing from readers who save and from the team."""

import asyncio
import secrets
import socket
from collections import Counter
from contextlib import AsyncExitStack, ExitStack
from itertools import count
from time import monotonic

import httpx

from tests.drills.abuse.town import FINGERPRINTS, TOKENS, Loot, Town, next_network

SLOW_NETWORKS = 8
SEARCHING_NETWORKS = 12
SAVES_A_SECOND = 10


def _slow_takers(town: Town, held: ExitStack, *, path: str, networks: int, each: int) -> None:
    """Clients that ask for a whole table and read nothing of it."""
    for _ in range(networks):
        network = next_network()
        for _ in range(each):
            taker = held.enter_context(socket.socket())
            taker.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            taker.bind((network, 0))
            taker.connect(("127.0.0.1", town.service.port))
            taker.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())


async def slow_downloads(town: Town) -> Loot:
    """Hold as many anonymous exports open as let in, then see whether the team gets its tables."""
    statuses: Counter[int] = Counter()
    with ExitStack() as held:
        _slow_takers(town, held, path=f"/{TOKENS}/export?format=csv", networks=SLOW_NETWORKS, each=4)
        await asyncio.sleep(2)  # so that they are under way, and not only sent
        async with town.team() as web:
            for path in (f"/admin/{FINGERPRINTS}/survey/responses/export?format=csv", f"/{TOKENS}/export?format=csv"):
                answers = await asyncio.gather(*(web.get(path) for _ in range(3)), return_exceptions=True)
                statuses.update(answer.status_code if isinstance(answer, httpx.Response) else 0 for answer in answers)
    refused = statuses.total() - statuses[200]
    note = f"the team was answered {dict(statuses)} beside {SLOW_NETWORKS * 4} slow downloads"
    return Loot(attack="deny the team its tables by slow downloads", tries=SLOW_NETWORKS * 4, refused=refused, note=note)


async def searches(town: Town, *, seconds: float) -> Loot:
    """Search without end from many networks; readers save and the team edits meanwhile."""
    over = monotonic() + seconds
    found: Counter[int] = Counter()
    saved: Counter[int] = Counter()

    async def search(web: httpx.AsyncClient) -> None:
        while monotonic() < over:
            query = secrets.choice(["nobody", "zzzzzz", secrets.token_hex(2), "o"])
            path = secrets.choice(["resources", "resources/count", "resources/paginated"])
            found[await _status(web, "GET", f"/{TOKENS}/{path}?search={query}")] += 1

    async def save(web: httpx.AsyncClient) -> None:
        headers = {"x-respondent-token": secrets.token_urlsafe(32)}
        body = {"fingerprint": f"reader-{secrets.token_hex(8)}", "field": "consent", "value": "accepted"}
        saved[await _status(web, "POST", f"/{TOKENS}/survey/upsert", json=body, headers=headers)] += 1

    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        for _ in range(SEARCHING_NETWORKS):
            web = await stack.enter_async_context(town.stranger())
            for _ in range(4):
                group.create_task(search(web))
        readers = [await stack.enter_async_context(town.stranger()) for _ in range(5)]
        team = await stack.enter_async_context(town.team())
        for number in count():
            if monotonic() >= over:
                break
            group.create_task(save(readers[number % len(readers)]))
            if number % 5 == 0:
                body = {"name": f"Made meanwhile {number}"}
                saved[await _status(team, "POST", f"/admin/{FINGERPRINTS}/resources", json=body)] += 1
            await asyncio.sleep(1 / SAVES_A_SECOND)
    refused = saved.total() - saved[200] - saved[201]
    note = f"saves and edits were answered {dict(saved)}, searches {dict(found)}"
    return Loot(attack="starve saves and edits by searches", tries=found.total(), refused=refused, note=note)


async def _status(web: httpx.AsyncClient, method: str, path: str, **content: object) -> int:
    try:
        return (await web.request(method, path, **content)).status_code  # type: ignore[arg-type]
    except httpx.TransportError:
        return 0


async def wrong_passwords(town: Town, *, password: str) -> Loot:
    """Fail to sign in as an admin from several networks; the admin comes from another."""
    tries = 0
    for _ in range(4):
        async with town.stranger() as web:
            for _ in range(9):
                await web.post("/auth/login", json={"username": "admin", "password": "a wrong guess at it"})
                tries += 1
    async with town.stranger() as web:
        answer = await web.post("/auth/login", json={"username": "admin", "password": password})
    return Loot(attack="lock an admin out by wrong passwords", tries=tries, refused=answer.status_code != 200)
