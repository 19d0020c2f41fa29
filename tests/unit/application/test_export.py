"""Stored exports, over the fakes: that what is kept of them is what was made."""

from collections.abc import Sequence
from functools import partial
from hashlib import sha256
from uuid import UUID

import pytest

from application.export.keeping import SweepExports, UnnamedContents, VerifyExports, VerifyNextExport
from application.export.stored import RESUMED_WITHIN, RecordRead, name_of
from application.file import VERIFIED_EVERY, CheckContent, Fault
from domain.access import Role
from domain.export import Export, Format, Manifest, Quota, Subject, new_export
from domain.project import new_project
from domain.user import User
from tests.examples import NOW, user
from tests.fakes.audit import FakeAuditReader
from tests.fakes.export import FakeExports
from tests.fakes.project import FakeProjects
from tests.fakes.storage import FakeFileStore
from tests.fakes.store import Store
from tests.fakes.system import FakeClock
from tests.fakes.unit_of_work import FakeUnitOfWork
from tests.fakes.user import FakeUsers

CONTENT = b"id,name\n1,One\n"
MANIFEST = Manifest(rows=1, size=len(CONTENT), sha256=sha256(CONTENT).hexdigest(), columns=(), survey_version=None, package=b"{}")
FLIPPED = CONTENT[:3] + bytes([CONTENT[3] ^ 1]) + CONTENT[4:]


class Shelf:
    """Exports, their contents, and who sees to them."""

    def __init__(self) -> None:
        self.tables, self.clock = Store(), FakeClock()
        self.contents, self.exports = FakeFileStore(clock=self.clock), FakeExports(self.tables)
        check = CheckContent(store=self.contents)
        unnamed = UnnamedContents(exports=self.exports, store=self.contents)
        self.sweep = SweepExports(unnamed=unnamed, store=self.contents)
        self.verification = VerifyExports(exports=self.exports, check=check, unnamed=unnamed)
        self.verify_next = VerifyNextExport(exports=self.exports, check=check, clock=self.clock)
        work = partial(FakeUnitOfWork, self.tables)
        self.record = RecordRead(audit=FakeAuditReader(self.tables), unit_of_work=work, clock=self.clock)

    async def made(self, number: int, content: bytes | None = CONTENT) -> Export:
        """An export that is done, whose content in the store is this."""
        id = UUID(int=number)
        await self.exports.add(
            new_export(
                id=id, project="story", what=Subject.RESOURCES, format=Format.CSV, filters={}, by=user(role=Role.ADMIN), at=self.clock.now()
            ),
            quota=Quota(),
        )
        claim = await self.exports.claim(at=self.clock.now(), until=self.clock.now() + VERIFIED_EVERY)
        assert claim is not None
        if content is not None:
            self.contents.contents[name_of(claim.content)] = content
        await self.exports.finish(claim, MANIFEST, quota=Quota())
        return await self.exports.get(project="story", export_id=id)

    async def verify(self, looked_at: Sequence[Export] = ()) -> list[tuple[Fault, str]]:
        seen: list[Export] = []
        found = [(finding.fault, finding.name) async for finding in self.verification(looked_at=seen.append)]
        assert seen == list(looked_at)
        return found


@pytest.fixture
async def shelf() -> Shelf:
    made = Shelf()
    await FakeProjects(made.tables).add(new_project(slug="story", title="A story", at=NOW))
    return made


def name(export: Export) -> str:
    return name_of(export.whole()[1])


async def test_verifying_finds_a_flipped_byte_what_is_missing_and_what_nobody_names(shelf: Shelf) -> None:
    made = [await shelf.made(1), await shelf.made(2, FLIPPED), await shelf.made(3, None), await shelf.made(4, CONTENT + b"\n")]
    stranger, underway = f"exports/{UUID(int=1)}", f"exports/{UUID(int=2)}"
    shelf.contents.contents |= {stranger: b"x", underway: b"y"}
    shelf.contents.underway.add(underway)
    assert await shelf.verify(made) == [
        (Fault.DAMAGED, name(made[1])),
        (Fault.MISSING, name(made[2])),
        (Fault.DAMAGED, name(made[3])),
        (Fault.STRANGER, stranger),
    ]
    assert await shelf.sweep() == 1
    assert [fault for fault, _ in await shelf.verify(made)] == [Fault.DAMAGED, Fault.MISSING, Fault.DAMAGED]


async def test_what_is_removed_meanwhile_is_not_missed(shelf: Shelf) -> None:
    export = await shelf.made(1)
    content = name(export)

    async def size(name: str) -> int:
        async with shelf.tables.write() as tables:
            del tables.exports[export.id]
        return 0

    shelf.contents.size = size  # type: ignore[method-assign]
    del shelf.contents.contents[content]
    assert await shelf.verify([export]) == []


async def test_each_export_is_verified_once_a_day(shelf: Shelf) -> None:
    exports = [await shelf.made(1), await shelf.made(2, FLIPPED)]
    assert await shelf.verify_next() is None
    for _ in range(2):
        shelf.clock.advance(VERIFIED_EVERY * 1.01)
        found = [await shelf.verify_next() for _ in range(4)]
        assert [(finding.fault, finding.owner) for finding in found if finding] == [(Fault.DAMAGED, exports[1])]


async def test_a_download_that_goes_on_is_told_once_a_day(shelf: Shelf) -> None:
    one, another = await shelf.made(1), await shelf.made(2)
    ada, grace = [await FakeUsers(shelf.tables).add(user(name, role=Role.ADMIN)) for name in ("ada", "grace")]

    async def told(export: Export, start: int, by: User) -> int:
        before = len(shelf.tables.read.audit)
        await shelf.record(export, start=start, by=by)
        return len(shelf.tables.read.audit) - before

    assert [await told(one, start, ada) for start in (9, 1, 0, 5, 0, 9)] == [1, 0, 1, 0, 1, 0]
    assert [await told(one, 9, grace), await told(another, 9, ada)] == [1, 1]
    shelf.clock.advance(RESUMED_WITHIN)
    assert [await told(one, start, ada) for start in (9, 9)] == [1, 0]
