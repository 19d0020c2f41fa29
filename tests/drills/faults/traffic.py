"""Mixed load that remembers what was acknowledged, and looks afterwards whether it is there."""

import asyncio
import json
import random
import secrets
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from time import perf_counter

from tests.drills.load import Told, get, send

PROJECT = "drill"
FIELDS = [f"q{number}" for number in range(5)]
PAUSE_SECONDS = 0.02

Ask = Callable[[bytes], Awaitable[Told]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer: when it was asked for and came, and the code of its problem, if it is one."""

    kind: str
    began: float
    ended: float
    status: int
    code: str


@dataclass(slots=True, kw_only=True)
class Ledger:
    """For each register (an answer of a reader, a description of a resource) what was acknowledged last and sent last; and all answers."""

    acknowledged: dict[tuple[str, str], int] = field(default_factory=dict)
    sent: dict[tuple[str, str], int] = field(default_factory=dict)
    made: dict[str, int] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)

    async def ask(self, kind: str, request: bytes, ask: Ask) -> Told:
        began = perf_counter()
        told = await ask(request)
        code = json.loads(told.body).get("code", "") if told.status >= 400 and told.body else ""
        self.answers.append(Answer(kind=kind, began=began, ended=perf_counter(), status=told.status, code=code))
        return told


class Traffic:
    """Readers who save and read, and an admin who makes and changes resources, until it is over."""

    def __init__(self, ask: Ask, token: str, *, readers: int = 10, seed: int = 1, first: int = 1) -> None:
        self.ledger = Ledger()
        self._ask = ask
        self._admin = f"Authorization: Bearer {token}"
        self._readers = readers
        self._rng = random.Random(seed)
        self._first = first
        self._over = asyncio.Event()
        self._tokens: dict[str, str] = {}

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(self._first, self._first + self._readers):
                fingerprint = f"reader-{number:07}"
                self._tokens[fingerprint] = secrets.token_urlsafe(32)
                group.create_task(self._save(fingerprint, random.Random(self._rng.random())))
            for number in range(3):
                group.create_task(self._read(random.Random(number)))
            group.create_task(self._make())
            group.create_task(self._change())

    def end(self) -> None:
        self._over.set()

    async def _again(self) -> bool:
        await asyncio.sleep(PAUSE_SECONDS)
        return not self._over.is_set()

    async def _save(self, fingerprint: str, rng: random.Random) -> None:
        ledger = self.ledger
        for seq in count(1):
            if not await self._again():
                return
            name = rng.choice(FIELDS)
            register = (fingerprint, name)
            ledger.sent[register] = seq
            body = json.dumps({"fingerprint": fingerprint, "field": name, "value": seq, "seq": seq}).encode()
            path = f"/{PROJECT}/survey/upsert"
            told = await ledger.ask("save", send("POST", path, body, f"X-Respondent-Token: {self._tokens[fingerprint]}"), self._ask)
            if told.status in (200, 201) and json.loads(told.body)["message"] != "Stale":
                ledger.acknowledged[register] = seq

    async def _read(self, rng: random.Random) -> None:
        while await self._again():
            path = rng.choice([f"/{PROJECT}", f"/{PROJECT}/resources?limit=5", f"/{PROJECT}/resources/1", "/projects"])
            await self.ledger.ask("read", get(path), self._ask)

    async def _make(self) -> None:
        """Each resource by a key of its own, asked for again until there is an answer: made once, however often it was asked for."""
        for number in count(self._first):
            body = json.dumps({"name": f"Resource {number}"}).encode()
            key = secrets.token_hex(16)
            while True:
                if not await self._again():
                    return
                request = send("POST", f"/admin/{PROJECT}/resources", body, self._admin, f"Idempotency-Key: {key}")
                told = await self.ledger.ask("make", request, self._ask)
                if told.status == 201:
                    self.ledger.made[f"Resource {number}"] = json.loads(told.body)["id"]
                if told.status in (201, 401):
                    break

    async def _change(self) -> None:
        for number in count(self._first):
            if not await self._again():
                return
            register = ("resource", "1")
            self.ledger.sent[register] = number
            body = json.dumps({"description": str(number)}).encode()
            told = await self.ledger.ask("change", send("PATCH", f"/admin/{PROJECT}/resources/1", body, self._admin), self._ask)
            if told.status == 200:
                self.ledger.acknowledged[register] = number

    async def lost(self) -> list[str]:
        """What was acknowledged and is neither there nor replaced by something sent later; and what was made twice."""
        ledger, found = self.ledger, defaultdict[tuple[str, str], int](int)
        for fingerprint, token in self._tokens.items():
            told = await self._ask(get(f"/{PROJECT}/survey/response", f"X-Respondent-Token: {token}"))
            for name, value in (json.loads(told.body)["answers"] if told.status == 200 else {}).items():
                found[fingerprint, name] = value
        told = await self._ask(get(f"/{PROJECT}/resources/1"))
        found["resource", "1"] = int(json.loads(told.body)["description"] or 0)
        lost = [
            f"{register}: acknowledged {acknowledged}, sent {ledger.sent[register]}, found {found[register]}"
            for register, acknowledged in ledger.acknowledged.items()
            if not acknowledged <= found[register] <= ledger.sent[register]
        ]
        names: defaultdict[str, list[int]] = defaultdict(list)
        after = ""
        while True:
            told = await self._ask(get(f"/{PROJECT}/resources?limit=1000{after}"))
            assert told.status == 200, told
            for each in json.loads(told.body):
                names[each["name"]].append(each["id"])
            _, mark, rest = told.head.partition(b"cursor=")
            if not mark:
                break
            after = "&cursor=" + rest.split(b">", 1)[0].split(b"&", 1)[0].decode()
        lost += [f"{name}: made as {id}, found {names[name]}" for name, id in ledger.made.items() if names[name] != [id]]
        return lost + [f"{name}: made {len(ids)} times" for name, ids in names.items() if len(ids) > 1]
