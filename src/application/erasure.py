"""The journal of erasures: kept in the store, outside of the database, so that what readers had erased stays erased after a restore."""

from dataclasses import dataclass

from application.ports import FileStore, Random, Sealer
from domain.erasure import Erasure

KIND = "erasures"
_SEAL, _ENTRY = 32, 40


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteErasure:
    """Put an erasure into the journal; it is durable when this returns. Raises `Full`, `Unavailable`.

    What is kept is a seal of 32 bytes and a revision: of no use to whoever has not the pepper and the response itself.
    """

    store: FileStore
    random: Random
    sealer: Sealer

    async def __call__(self, erasure: Erasure) -> None:
        async with self.store.incoming() as content:
            await content.write(self.sealer.seal(erasure.subject) + erasure.revision.to_bytes(_ENTRY - _SEAL, "big"))
            await content.keep(f"{KIND}/{self.random.uuid()}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """The erasures that are known, by their seals, each up to which revision."""

    sealer: Sealer
    revisions: dict[bytes, int]

    def holds(self, copy: Erasure) -> bool:
        """Whether this is a copy of a response that was erased."""
        return copy.revision <= self.revisions.get(self.sealer.seal(copy.subject), -1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadJournal:
    """All that the journal holds. Entries that are not whole are passed over: they were never acknowledged."""

    store: FileStore
    sealer: Sealer

    async def __call__(self) -> Journal:
        revisions: dict[bytes, int] = {}
        async for entry in self.store.stored(KIND):
            text = b"".join([piece async for piece in self.store.read(entry.name)])
            if len(text) == _ENTRY:
                seal, revision = text[:_SEAL], int.from_bytes(text[_SEAL:], "big")
                revisions[seal] = max(revision, revisions.get(seal, -1))
        return Journal(sealer=self.sealer, revisions=revisions)
