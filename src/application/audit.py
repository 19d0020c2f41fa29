"""The audit trail: read it, chain it, verify the chain."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from application.ports import AuditChain, AuditReader, ChainSnapshot, Resources, Sealer
from domain.access import Action, require, require_on
from domain.audit import AuditFilter, Recorded, Target, Told
from domain.audit_chain import BEGINNING, ChainFault, FaultKind, Head, extended, fault_in
from domain.user import User

BATCH = 1000

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListAudit:
    """What happened, newest first; by action, project and the username of whoever did it.

    Every change of users, roles, keys, projects, surveys, resources, files, label sets and annotations, every import, export and sign-in,
    field by field; nothing of readers. Without an actor, an operator did it at the command line.
    """

    audit: AuditReader

    async def __call__(self, where: AuditFilter, *, before: int | None, limit: int, by: User) -> list[Told]:
        require(by, Action.AUDIT_READ)
        return await self.audit.page(where, before=before, limit=limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListHistory:
    """What happened to a resource, newest first and field by field, also when it is deleted; for its owner, annotators and admins."""

    resources: Resources
    audit: AuditReader

    async def __call__(self, *, project: str, resource_id: int, before: int | None, limit: int, by: User) -> list[Told]:
        require(by, Action.RESOURCE_HISTORY)
        resource = await self.resources.get(project=project, resource_id=resource_id)
        require_on(by, Action.RESOURCE_HISTORY, owner_id=resource.owner_id)
        return await self.audit.page(AuditFilter(target=Target(type="resource", id=resource_id)), before=before, limit=limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainAudit:
    """Chain entries that were committed since the last time: whether there are more."""

    chain: AuditChain
    sealer: Sealer

    async def __call__(self) -> bool:
        return await self.chain.extend(self._link, limit=BATCH) == BATCH

    def _link(self, head: Head, record: Recorded) -> Head:
        return extended(head, record, self.sealer.seal)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How the trail was found. `waiting` entries were committed a moment ago, or while no service ran to chain them."""

    entries: int
    chained: int
    waiting: int
    head: Head
    fault: ChainFault | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyAudit:
    """Make every link anew and tell the first that does not fit.

    What is left of a chain whose end was cut off is whole in itself: only `expected`, the head that an earlier run told, shows that.
    """

    chain: AuditChain
    sealer: Sealer

    async def __call__(self, *, expected: Head | None = None, progress: Progress = lambda _done, _all: None) -> Verdict:
        async with self.chain.snapshot() as snapshot:
            reached, fault = await self._links(snapshot, expected, progress)
            entries, waiting, unchained = await _count(snapshot)
            fault = fault or await _left_out(snapshot, unchained)
            if fault is not None and fault.kind is FaultKind.MISSING and fault.entry_id is None:
                fault = replace(fault, entry_id=unchained)
            return Verdict(entries=entries, chained=reached.position, waiting=waiting, head=reached, fault=fault)

    async def _links(self, snapshot: ChainSnapshot, expected: Head | None, progress: Progress) -> tuple[Head, ChainFault | None]:
        """The head of what is whole, and what comes after it."""
        head, last = BEGINNING, (await snapshot.head()).position
        async for links in snapshot.links():
            for link in links:
                fault = fault_in(link, after=head, seal=self.sealer.seal)
                if fault is not None:
                    return head, await self._told_apart(snapshot, fault, head, link.hash)
                head = Head(position=link.position, hash=link.hash)
                if expected is not None and expected.position == head.position and expected.hash != head.hash:
                    return head, ChainFault(kind=FaultKind.CHANGED, position=head.position, entry_id=link.entry_id)
            progress(head.position, last)
        if expected is not None and expected.position > head.position:
            return head, ChainFault(kind=FaultKind.CUT_OFF, position=head.position + 1, entry_id=None)
        return head, None

    async def _told_apart(self, snapshot: ChainSnapshot, fault: ChainFault, head: Head, stored: bytes) -> ChainFault:
        """A change told from a change of places: there the hash fits another entry."""
        if fault.kind is not FaultKind.CHANGED:
            return fault
        async for links in snapshot.links():
            for link in links:
                if link.record is not None and self._link(head, link.record) == stored:
                    return replace(fault, kind=FaultKind.OUT_OF_ORDER)
        return fault

    def _link(self, head: Head, record: Recorded) -> bytes:
        return extended(head, record, self.sealer.seal).hash


async def _count(snapshot: ChainSnapshot) -> tuple[int, int, int | None]:
    """How many entries there are, how many wait, and the first that does neither wait nor have a link."""
    entries, waiting, unchained = 0, 0, None
    async for stretch in snapshot.stretches():
        entries += stretch.entries
        waiting += stretch.waiting
        unchained = stretch.unchained if unchained is None else unchained
    return entries, waiting, unchained


async def _left_out(snapshot: ChainSnapshot, unchained: int | None) -> ChainFault | None:
    """An entry that was never chained and will not be, or that went before it was."""
    if unchained is not None:
        return ChainFault(kind=FaultKind.UNCHAINED, position=None, entry_id=unchained)
    lost = await snapshot.lost()
    return None if lost is None else ChainFault(kind=FaultKind.MISSING, position=None, entry_id=lost)
