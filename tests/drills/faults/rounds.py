"""Faults of one service, one after the other and again, under load; then all that was acknowledged is looked for."""

import asyncio
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter

from tests.drills.faults.disk import Disk
from tests.drills.faults.faults import KINDS, Fault
from tests.drills.faults.stage import Stage, descriptors, end, workers
from tests.drills.faults.store import Store
from tests.drills.faults.traffic import Answer, Traffic
from tests.drills.load import Web
from tests.e2e.client import Service

CALM_SECONDS = 0.4
PATIENCE_SECONDS = 15.0
ANSWER_SECONDS = 3.0
RECOVERY_SECONDS = 5.0
WELL = (200, 201)


@dataclass(slots=True, kw_only=True)
class Row:
    """What one fault came to, over all its times. `unexpected` are answers that it may not have, by kind, status and code."""

    fault: str
    times: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    unexpected: Counter[str] = field(default_factory=Counter)
    unknown: int = 0
    longest_answer: float = 0.0
    longest_recovery: float = 0.0

    @property
    def is_good(self) -> bool:
        in_time = self.longest_answer <= ANSWER_SECONDS and self.longest_recovery <= RECOVERY_SECONDS
        return not self.unexpected and not self.statuses[500] and in_time

    def add(self, fault: Fault, answers: list[Answer], recovery: float) -> None:
        self.times += 1
        self.statuses.update(answer.status for answer in answers)
        self.unexpected.update(_told(answer) for answer in answers if not _is_right(fault, answer))
        self.unknown += sum(answer.code == "outcome-unknown" for answer in answers)
        self.longest_answer = max([self.longest_answer, *(answer.ended - answer.began for answer in answers)])
        self.longest_recovery = max(self.longest_recovery, recovery)


def _is_right(fault: Fault, answer: Answer) -> bool:
    """Whether this may be answered while that is the matter: a refusal says when to ask again."""
    if answer.status in WELL:
        return True
    return answer.status in fault.refusals.get(answer.kind, ()) and (answer.has_retry_after or not answer.status)


def _told(answer: Answer) -> str:
    return f"{answer.kind} {answer.status} {answer.code}{'' if answer.has_retry_after else ' without Retry-After'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is in a store at the end: contents, those of no file, those not whole, and those on their way or left so."""

    contents: int
    strangers: int
    torn: int
    unfinished: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """What the faults of one service came to."""

    rows: list[Row]
    acknowledged: int
    files: int
    lost: list[str]
    kept: Kept
    descriptors: tuple[int, int]
    connections: tuple[int, int]
    tracebacks: list[str]
    exit_status: int

    @property
    def is_good(self) -> bool:
        leaks = self.descriptors[1] > self.descriptors[0] + 4
        bad = self.lost or leaks or self.tracebacks or self.exit_status or self.kept.torn
        return all(row.is_good for row in self.rows) and not bad


async def rounds(stage: Stage, service: Service, faults: Sequence[Fault], *, times: int, seed: int, first: int, on_disk: bool) -> Rounds:
    """Do each of these faults so often to a service, which is ended."""
    web = Web(service.port)
    rows = {fault.name: Row(fault=fault.name) for fault in faults}
    try:
        before = await _at_rest(stage, service, web)
        traffic = Traffic(web.ask, stage.token, seed=seed, first=first)
        load = asyncio.create_task(traffic.run())
        await asyncio.sleep(1)
        for number in range(times):
            for fault in faults:
                print(f"\r{number + 1}: {fault.name:60}", end="", file=sys.stderr, flush=True)
                await _do(fault, stage, service, traffic, rows[fault.name])
        print(file=sys.stderr)
        traffic.end()
        await load
        lost = await traffic.lost() + await traffic.lost_files()
        after = await _at_rest(stage, service, web)
    finally:
        status = await asyncio.to_thread(end, service)
    return Rounds(
        rows=list(rows.values()),
        acknowledged=sum(answer.status in WELL and answer.kind not in ("read", "download") for answer in traffic.ledger.answers),
        files=len(traffic.ledger.files),
        lost=lost,
        kept=await asyncio.to_thread(_look_into, stage.disk if on_disk else stage.store, traffic),
        descriptors=(before[0], after[0]),
        connections=(before[1], after[1]),
        tracebacks=_tracebacks(service.err),
        exit_status=status,
    )


def _tracebacks(log: str) -> list[str]:
    """Errors that nobody foresaw, and what was printed beside the log, with what follows."""
    lines = log.splitlines()
    found = [number for number, line in enumerate(lines) if line.startswith("Traceback") or '"unexpected error"' in line]
    return ["\n".join(lines[number : number + 40]) for number in found]


def _look_into(store: Store | Disk, traffic: Traffic) -> Kept:
    contents = {key.rpartition("/")[2]: digest for key, digest in store.contents().items() if "files/" in key}
    sent = set(traffic.ledger.sent_files.values())
    return Kept(
        contents=len(contents),
        strangers=len(contents.keys() - traffic.listed),
        torn=sum(digest not in sent for digest in contents.values()),
        unfinished=store.unfinished(),
    )


async def _do(fault: Fault, stage: Stage, service: Service, traffic: Traffic, row: Row) -> None:
    first = len(traffic.ledger.answers)
    await fault.begin(stage, service)
    await asyncio.sleep(fault.seconds)
    await fault.mend(stage, service)
    recovery = await _recovered(traffic, perf_counter())
    row.add(fault, traffic.ledger.answers[first:], recovery)
    await asyncio.sleep(CALM_SECONDS)


async def _recovered(traffic: Traffic, since: float) -> float:
    """Seconds until each kind of request, asked from `since` on, was answered well; the patience where that never came."""
    while perf_counter() - since < PATIENCE_SECONDS:
        answers = [answer for answer in traffic.ledger.answers[-5000:] if answer.began >= since]
        well = {kind: min((a.ended for a in answers if a.kind == kind and a.status in WELL), default=None) for kind in KINDS}
        if all(well.values()):
            return max(ended for ended in well.values() if ended is not None) - since
        await asyncio.sleep(0.05)
    return PATIENCE_SECONDS


async def _at_rest(stage: Stage, service: Service, web: Web) -> tuple[int, int]:
    """The descriptors of all workers but those of connections to the database and the bucket, and those to the database."""
    web.close()
    await asyncio.sleep(2)
    connections = stage.proxy.connections
    return descriptors(workers(service)) - connections - stage.store.proxy.connections, connections
