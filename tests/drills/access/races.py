"""Races between what takes access away and those who use it.

*Stale*: a request that was sent after the taking was acknowledged, and answered as if it had not been. *Survivors*: tokens that still
open something afterwards though they must not.
"""

import asyncio
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import httpx

from tests.e2e.client import ADMIN_PASSWORD, PASSWORD, Service, log_in, token_of, unique

CALLERS = 4
LATEST_SECONDS = 0.004  # how long the callers have been at it, at most, when the taking is sent


@dataclass(slots=True, kw_only=True)
class Race:
    """What the rounds of one race came to. `meanwhile` counts the requests that were accepted while the taking was under way."""

    name: str
    rounds: int = 0
    meanwhile: int = 0
    after: int = 0
    stale: int = 0
    survivors: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ring:
    """Where the races take place: the service, an admin, and chance."""

    web: httpx.AsyncClient
    admin: dict[str, str]
    chance: random.Random

    async def person(self) -> tuple[int, str]:
        """The id and the username of somebody new, whose password is `PASSWORD`."""
        username = unique("racer")
        body = {"username": username, "email": "r@example.org", "password": PASSWORD}
        made = await self.web.post("/auth/register", json=body)
        return int(made.raise_for_status().json()["user"]["id"]), username

    async def sign_in(self, username: str, password: str = PASSWORD) -> httpx.Response:
        return await self.web.post("/auth/login", json={"username": username, "password": password})

    async def session(self, username: str, password: str = PASSWORD) -> dict[str, str]:
        tokens: dict[str, str] = (await self.sign_in(username, password)).raise_for_status().json()
        return tokens

    async def refresh(self, token: str) -> httpx.Response:
        return await self.web.post("/auth/refresh", json={"refresh_token": token})

    async def get(self, path: str, token: str) -> int:
        return (await self.web.get(path, headers={"authorization": f"Bearer {token}"})).status_code

    async def administer(self, user_id: int, **changes: Any) -> None:
        (await self.web.patch(f"/admin/users/{user_id}", json=changes, headers=self.admin)).raise_for_status()

    async def opens(self, *, access: tuple[str, ...] = (), refresh: tuple[str, ...] = ()) -> int:
        """How many of these tokens open anything."""
        asked = [self.get("/auth/me", token) for token in access]
        statuses = [await status for status in asked] + [(await self.refresh(token)).status_code for token in refresh]
        return sum(status != 401 for status in statuses)


@asynccontextmanager
async def ring(service: Service, *, seed: int) -> AsyncIterator[Ring]:
    token = await asyncio.to_thread(lambda: token_of(log_in(service.url, "admin", ADMIN_PASSWORD)))
    async with httpx.AsyncClient(base_url=service.url, timeout=60) as web:
        yield Ring(web=web, admin={"authorization": f"Bearer {token}"}, chance=random.Random(seed))


async def _take_away(it: Ring, race: Race, take: Callable[[], Awaitable[Any]], use: Callable[[], Awaitable[int]], *, refused: int) -> None:
    """Use something again and again, by several at once, while it is taken away; each uses it once more after that was acknowledged."""
    taken = asyncio.Event()

    async def keep_using() -> None:
        for _ in count():
            is_after = taken.is_set()
            status = await use()
            if is_after:
                race.after += 1
                race.stale += status != refused
                return
            race.meanwhile += status == 200

    async with asyncio.TaskGroup() as group:
        for _ in range(CALLERS):
            group.create_task(keep_using())
        await asyncio.sleep(it.chance.uniform(0, LATEST_SECONDS))
        await take()
        taken.set()


async def demote(it: Ring, race: Race, rounds: int) -> None:
    """An admin becomes a member: no request sent after that was acknowledged is answered as to an admin."""
    user_id, username = await it.person()
    token = (await it.session(username))["access_token"]
    for _ in _rounds(race, rounds):
        await it.administer(user_id, role="admin")
        assert await it.get("/admin/users", token) == 200
        await _take_away(it, race, lambda: it.administer(user_id, role="member"), lambda: it.get("/admin/users", token), refused=403)


async def deactivate(it: Ring, race: Race, rounds: int) -> None:
    """An account is put out: neither token opens anything from then on, nor once the account is let in again."""
    user_id, username = await it.person()
    for _ in _rounds(race, rounds):
        session = await it.session(username)
        token = session["access_token"]
        assert await it.get("/auth/me", token) == 200
        await _take_away(it, race, lambda: it.administer(user_id, is_active=False), lambda t=token: it.get("/auth/me", t), refused=401)  # type: ignore[misc]
        race.after += 2
        race.stale += (await it.refresh(session["refresh_token"])).status_code != 401
        race.stale += (await it.sign_in(username)).status_code != 401
        await it.administer(user_id, is_active=True)
        race.survivors += await it.opens(access=(token,), refresh=(session["refresh_token"],))


async def change_password(it: Ring, race: Race, rounds: int) -> None:
    """A password changes while another session refreshes and somebody signs in by the old one: both are out, who asked stays."""
    _, username = await it.person()
    own = (await it.session(username))["access_token"]
    passwords = (PASSWORD, f"{PASSWORD}-too")
    for number in _rounds(race, rounds):
        old, new = passwords[number % 2], passwords[(number + 1) % 2]
        held = [await it.session(username, old)]
        by_old = asyncio.create_task(it.sign_in(username, old))

        async def use(held: list[dict[str, str]] = held) -> int:
            answer = await it.refresh(held[-1]["refresh_token"])
            if answer.status_code == 200:
                held.append(answer.json())
            return answer.status_code

        async def take(old: str = old, new: str = new) -> None:
            body = {"current_password": old, "new_password": new}
            changed = await it.web.put("/auth/change-password", json=body, headers={"authorization": f"Bearer {own}"})
            changed.raise_for_status()

        await _take_away(it, race, take, use, refused=401)
        race.after += 1
        race.stale += (await it.sign_in(username, old)).status_code != 401
        signed_in = await by_old
        held += [signed_in.json()] if signed_in.status_code == 200 else []
        race.survivors += await it.opens(access=_all(held, "access_token"), refresh=_all(held, "refresh_token"))
        assert await it.get("/auth/me", own) == 200


async def replay(it: Ring, race: Race, rounds: int) -> None:
    """An old refresh token against the newest: where it was answered 401, nothing of the session opens anything, its successors included.

    In every other round the old one is the predecessor, which may still lead to the same successor while that is unused.
    """
    _, username = await it.person()
    for number in _rounds(race, rounds):
        family = [await it.session(username)]
        for _ in range(2):
            family.append((await it.refresh(family[-1]["refresh_token"])).raise_for_status().json())
        newest, old = family[-1]["refresh_token"], family[number % 2]["refresh_token"]
        honest, again = await asyncio.gather(_late(it, it.refresh(newest)), _late(it, it.refresh(old)))
        family += [answer.json() for answer in (honest, again) if answer.status_code == 200]
        if again.status_code == 200:
            race.meanwhile += 1
            race.stale += number % 2 == 0  # two generations old: never an honest repetition
            continue
        race.after += len(family) * 2
        race.survivors += await it.opens(access=_all(family, "access_token"), refresh=_all(family, "refresh_token"))


async def _late(it: Ring, asked: Awaitable[httpx.Response]) -> httpx.Response:
    """The same, after a moment, so that neither is always the first."""
    await asyncio.sleep(it.chance.uniform(0, LATEST_SECONDS))
    return await asked


RACES: dict[str, Callable[[Ring, Race, int], Awaitable[None]]] = {
    "demote, then call": demote,
    "deactivate, then call": deactivate,
    "change password, then refresh": change_password,
    "replay against honest refresh": replay,
}


async def run(service: Service, *, rounds: int, seed: int) -> list[Race]:
    """What each race came to."""
    races = [Race(name=name) for name in RACES]
    async with ring(service, seed=seed) as it:
        for race in races:
            await RACES[race.name](it, race, rounds)
    return races


def _rounds(race: Race, rounds: int) -> Iterator[int]:
    """The numbers of the rounds, counted as they are done."""
    for number in range(rounds):
        yield number
        race.rounds += 1
        if sys.stderr.isatty() or race.rounds % 100 == 0:
            print(f"\r{race.name}: {race.rounds} of {rounds}", end="\n" if race.rounds == rounds else "", file=sys.stderr, flush=True)


def _all(tokens: list[dict[str, str]], name: str) -> tuple[str, ...]:
    return tuple(answer[name] for answer in tokens)
