"""The audit trail as a chain: each link seals an entry together with the link before it, so that no change goes unseen."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from domain.audit import Recorded
from domain.text import rfc3339

Seal = Callable[[bytes], bytes]

HASH_BYTES = 32
_HEAD = re.compile(r"(0|[1-9][0-9]{0,17}):([0-9a-f]{64})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """How far a chain reaches: the position of its last link, from 1, and that link's hash."""

    position: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.position}:{self.hash.hex()}"


BEGINNING = Head(position=0, hash=bytes(HASH_BYTES))


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A link as it is stored, and the entry that it seals, unless that is gone."""

    position: int
    entry_id: int
    hash: bytes
    record: Recorded | None


class FaultKind(StrEnum):
    """What can be wrong with a chain."""

    CHANGED = "changed"
    MISSING = "missing"
    OUT_OF_ORDER = "out of order"
    CUT_OFF = "cut off"
    UNCHAINED = "unchained"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainFault:
    """The first thing wrong with a chain: at which position, and with which entry, as far as that is known."""

    kind: FaultKind
    position: int | None
    entry_id: int | None


def head_from(text: str) -> Head | None:
    """The head that this text, as `str` of a head writes it, stands for."""
    match = _HEAD.fullmatch(text)
    return Head(position=int(match[1]), hash=bytes.fromhex(match[2])) if match else None


def extended(head: Head, record: Recorded, seal: Seal) -> Head:
    """The head of a chain after this entry; `seal` is a keyed hash that nobody without its key can make."""
    position = head.position + 1
    return Head(position=position, hash=seal(head.hash + position.to_bytes(8) + _encoded(record)))


def fault_in(link: Link, *, after: Head, seal: Seal) -> ChainFault | None:
    """What is wrong with a link that stands after this head."""
    position = after.position + 1
    if link.position != position:
        return ChainFault(kind=FaultKind.MISSING, position=position, entry_id=None)
    if link.record is None:
        return ChainFault(kind=FaultKind.MISSING, position=position, entry_id=link.entry_id)
    if extended(after, link.record, seal).hash != link.hash:
        return ChainFault(kind=FaultKind.CHANGED, position=position, entry_id=link.entry_id)
    return None


def _encoded(record: Recorded) -> bytes:
    """Every field of an entry, one way only."""
    entry = record.entry
    fields = [
        record.id,
        rfc3339(entry.at),
        entry.actor_id,
        entry.action,
        entry.project,
        [entry.target.type, entry.target.id],
        [[each.field, each.before, each.after] for each in entry.changes],
        record.request_id,
    ]
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
