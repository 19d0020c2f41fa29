"""The audit trail in memory, and its chain."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

from application.ports import AuditChain, AuditReader, AuditTrail, ChainSnapshot, Stretch
from domain.audit import AuditFilter, Entry, Recorded, Told
from domain.audit_chain import BEGINNING, Head, Link
from tests.fakes.store import Access, Store, Tables


class FakeAuditTrail(AuditTrail):
    def __init__(self, access: Access, *, request_id: Callable[[], str | None] = lambda: None) -> None:
        self._access = access
        self._request_id = request_id

    async def add(self, *entries: Entry) -> None:
        async with self._access.write() as tables:
            for entry in entries:
                add_entry(tables, self._access.new_id(), entry, self._request_id())

    async def add_once(self, entry: Entry, *, every: timedelta) -> bool:
        async with self._access.write() as tables:
            kept = [each for each in tables.audit.values() if each.at > entry.at - every]
            if any((each.actor_id, each.action, each.project) == (entry.actor_id, entry.action, entry.project) for each in kept):
                return False
            add_entry(tables, self._access.new_id(), entry, self._request_id())
        return True


def add_entry(tables: Tables, id: int, entry: Entry, request_id: str | None) -> None:
    tables.audit[id] = entry
    tables.audit_requests[id] = request_id


class FakeAuditReader(AuditReader):
    def __init__(self, access: Access) -> None:
        self._access = access

    async def page(self, where: AuditFilter, *, before: int | None, limit: int) -> list[Told]:
        tables = self._access.read
        told = [_told(tables, id) for id in sorted(tables.audit, reverse=True) if before is None or id < before]
        return [each for each in told if _is_meant(each, where)][:limit]


class FakeAuditChain(AuditChain):
    def __init__(self, store: Store) -> None:
        self._store = store

    async def extend(self, link: Callable[[Head, Recorded], Head], *, limit: int) -> int:
        async with self._store.write() as tables:
            waiting = _waiting(tables)[:limit]
            for id in waiting:
                head = link(_head(tables), _recorded(tables, id))
                tables.audit_links[head.position] = id, head.hash
        return len(waiting)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[ChainSnapshot]:
        yield _Snapshot(self._store.read.copy())


class _Snapshot(ChainSnapshot):
    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def head(self) -> Head:
        return _head(self._tables)

    async def links(self) -> AsyncIterator[list[Link]]:
        for position, (id, hash) in sorted(self._tables.audit_links.items()):
            record = _recorded(self._tables, id) if id in self._tables.audit else None
            yield [Link(position=position, entry_id=id, hash=hash, record=record)]

    async def stretches(self) -> AsyncIterator[Stretch]:
        if self._tables.audit:
            yield Stretch(entries=len(self._tables.audit), waiting=len(_waiting(self._tables)), unchained=None)

    async def lost(self) -> int | None:
        return None


def _waiting(tables: Tables) -> list[int]:
    linked = {id for id, _ in tables.audit_links.values()}
    return [id for id in sorted(tables.audit) if id not in linked]


def _head(tables: Tables) -> Head:
    position = max(tables.audit_links, default=0)
    return Head(position=position, hash=tables.audit_links[position][1]) if position else BEGINNING


def _recorded(tables: Tables, id: int) -> Recorded:
    return Recorded(id=id, entry=tables.audit[id], request_id=tables.audit_requests.get(id))


def _told(tables: Tables, id: int) -> Told:
    actor_id = tables.audit[id].actor_id
    return Told(record=_recorded(tables, id), actor=None if actor_id is None else tables.users[actor_id].username)


def _is_meant(told: Told, where: AuditFilter) -> bool:
    entry = told.record.entry
    asked = [(where.action, entry.action), (where.project, entry.project), (where.actor, told.actor), (where.target, entry.target)]
    return all(wanted in (None, found) for wanted, found in asked)
