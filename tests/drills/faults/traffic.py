"""Mixed load that remembers what was acknowledged, and looks afterwards whether it is there."""

import asyncio
import json
import random
import secrets
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count
from time import perf_counter
from typing import Any

from tests.drills.load import Told, form, get, send
from tests.pictures import png

PROJECT = "drill"
FIELDS = [f"q{number}" for number in range(5)]
PAUSE_SECONDS = 0.02
FILE_PAUSE_SECONDS = 0.2
SIZES = [0, 20_000, 20_000, 100_000, 400_000]  # of files, and now and then more than a store takes in one request
LARGE, LARGE_SHARE = 6_000_000, 0.03

Ask = Callable[[bytes], Awaitable[Told]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer: when it was asked for and came, and the code of its problem, if it is one."""

    kind: str
    began: float
    ended: float
    status: int
    code: str
    has_retry_after: bool = False


@dataclass(slots=True, kw_only=True)
class Ledger:
    """For each register (an answer of a reader, a description of a resource) what was acknowledged last and sent last; and all answers.

    Of files, the hash of each that was sent by its name, the acknowledged ones by their id, and those that were read and were others.
    """

    acknowledged: dict[tuple[str, str], int] = field(default_factory=dict)
    sent: dict[tuple[str, str], int] = field(default_factory=dict)
    made: dict[str, int] = field(default_factory=dict)
    sent_files: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)

    async def ask(self, kind: str, request: bytes, ask: Ask) -> Told:
        began = perf_counter()
        told = await ask(request)
        code = json.loads(told.body).get("code", "") if told.status >= 400 and told.body else ""
        ended = perf_counter()
        self.answers.append(
            Answer(kind=kind, began=began, ended=ended, status=told.status, code=code, has_retry_after=told.has_retry_after)
        )
        return told


class Traffic:
    """Readers who save and read, and an admin who makes and changes resources, and uploads and reads files, until it is over."""

    def __init__(self, ask: Ask, token: str, *, readers: int = 10, seed: int = 1, first: int = 1) -> None:
        self.ledger = Ledger()
        self._ask = ask
        self._admin = f"Authorization: Bearer {token}"
        self._readers = readers
        self._rng = random.Random(seed)
        self._first = first
        self._over = asyncio.Event()
        self._tokens: dict[str, str] = {}
        self.listed: set[str] = set()  # the ids of files that are there at last, acknowledged or not

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
            group.create_task(self._upload(random.Random(self._rng.random())))
            group.create_task(self._download(random.Random(self._rng.random())))

    def end(self) -> None:
        self._over.set()

    async def _again(self, pause: float = PAUSE_SECONDS) -> bool:
        await asyncio.sleep(pause)
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

    async def _upload(self, rng: random.Random) -> None:
        """Each file by a key of its own, sent again until there is an answer, as with resources."""
        for number in count(self._first):
            content = png(padding=LARGE if rng.random() < LARGE_SHARE else rng.choice(SIZES)) + rng.randbytes(16)
            name, digest, key = f"file-{number}.png", sha256(content).hexdigest(), secrets.token_hex(16)
            self.ledger.sent_files[name] = digest
            while True:
                if not await self._again(FILE_PAUSE_SECONDS):
                    return
                request = form(f"/admin/{PROJECT}/upload", content, name, self._admin, f"Idempotency-Key: {key}")
                told = await self.ledger.ask("upload", request, self._ask)
                if told.status == 201:
                    self.ledger.files[json.loads(told.body)["id"]] = digest
                if told.status in (201, 401):
                    break

    async def _download(self, rng: random.Random) -> None:
        while await self._again(FILE_PAUSE_SECONDS):
            if self.ledger.files:
                id, digest = rng.choice(list(self.ledger.files.items())[-200:])
                told = await self.ledger.ask("download", get(f"/{PROJECT}/files/{id}/content"), self._ask)
                if told.status == 200 and sha256(told.body).hexdigest() != digest:
                    self.ledger.damaged.append(id)

    async def _all(self, path: str) -> list[dict[str, Any]]:
        """Every entry of a list, page by page."""
        found: list[dict[str, Any]] = []
        after = ""
        while True:
            told = await self._ask(get(f"{path}?limit=1000{after}"))
            assert told.status == 200, told
            found += json.loads(told.body)
            _, mark, rest = told.head.partition(b"cursor=")
            if not mark:
                return found
            after = "&cursor=" + rest.split(b">", 1)[0].split(b"&", 1)[0].decode()

    async def lost_files(self) -> list[str]:
        """Files that were acknowledged and are not there byte for byte, or are there more than once; and all that are not what was sent."""
        ledger = self.ledger
        mine = {file["id"]: file for file in await self._all(f"/{PROJECT}/files") if file["filename"] in ledger.sent_files}
        self.listed = set(mine)
        lost = [f"file {id}: acknowledged, not found" for id in ledger.files if id not in mine]
        lost += [f"file {id}: read, and not what was sent" for id in ledger.damaged]
        names = Counter(file["filename"] for file in mine.values())
        lost += [f"{name}: kept {number} times" for name, number in names.items() if number > 1]
        for id, file in mine.items():
            told = await self._ask(get(f"/{PROJECT}/files/{id}/content"))
            if told.status != 200 or sha256(told.body).hexdigest() != ledger.sent_files[file["filename"]]:
                lost.append(f"file {id}: {told.status}, {len(told.body)} bytes of {file['size']}")
        return lost

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
        for each in await self._all(f"/{PROJECT}/resources"):
            names[each["name"]].append(each["id"])
        lost += [f"{name}: made as {id}, found {names[name]}" for name, id in ledger.made.items() if names[name] != [id]]
        return lost + [f"{name}: made {len(ids)} times" for name, ids in names.items() if len(ids) > 1]
