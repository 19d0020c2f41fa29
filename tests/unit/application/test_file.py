"""Files, over the fakes: what is stored, what is audited, what a crash at each step leaves, and what is never sent."""

import asyncio
import gc
from collections.abc import AsyncGenerator, AsyncIterator
from contextvars import ContextVar
from functools import partial
from uuid import UUID
from weakref import ref

import pytest

from application.file import (
    CheckContent,
    ContentDamaged,
    DeleteFile,
    Fault,
    NotOurs,
    ReadContent,
    Received,
    ReceiveFile,
    Strangers,
    SweepFiles,
    UploadFile,
    VerifyFiles,
    VerifyNextFile,
)
from application.file.keeping import CRASH_AGE_MAX, CRASH_MAX, VERIFIED_EVERY
from application.ports import Content
from domain.access import NotAllowed
from domain.errors import Full, Invalid, NotFound, Stale, Unavailable
from domain.file import File, UnsupportedContent
from domain.project import new_project
from domain.quota import QuotaExceeded
from domain.user import User
from tests.examples import ADMIN, MEMBER, NOW
from tests.fakes.file import FakeFiles
from tests.fakes.project import FakeProjects
from tests.fakes.storage import FakeFileStore
from tests.fakes.store import Store
from tests.fakes.system import FakeClock, FakeRandom
from tests.fakes.unit_of_work import FakeUnitOfWork
from tests.pictures import jpeg, png

QUOTA = 10_000


class Shelf:
    """A project, a store, and all that can be done with files."""

    def __init__(self) -> None:
        self.tables = Store()
        self.clock = FakeClock()
        self.contents = FakeFileStore(clock=self.clock)
        self.projects, self.files = FakeProjects(self.tables), FakeFiles(self.tables)
        work = partial(FakeUnitOfWork, self.tables)
        self.receive = ReceiveFile(projects=self.projects, store=self.contents)
        self.store = UploadFile(unit_of_work=work, random=FakeRandom(), clock=self.clock, quota=QUOTA)
        self.delete = DeleteFile(unit_of_work=work, store=self.contents, clock=self.clock)
        self.check = CheckContent(store=self.contents)
        self.reading = ReadContent(store=self.contents, check=self.check)
        strangers = Strangers(unit_of_work=work, files=self.files, store=self.contents)
        self.sweep = SweepFiles(store=self.contents, strangers=strangers, clock=self.clock)
        self.verification = VerifyFiles(files=self.files, store=self.contents, check=self.check, strangers=strangers)
        self.verify_next = VerifyNextFile(files=self.files, check=self.check, clock=self.clock)

    async def upload(
        self, content: bytes = png(), *, by: User = ADMIN, filename: str = "a.png", declared: str = "", project: str = "story"
    ) -> File:
        async with self.receive(project=project, filename=filename, declared=declared, parts=_parts(content), by=by) as received:
            return await self.store(project=project, received=received, by=by)

    async def read(self, file: File, start: int = 0, end: int | None = None) -> bytes:
        pieces = await self.reading(file, start=start, end=file.size if end is None else end)
        return b"".join([piece async for piece in pieces])

    async def verify(self) -> list[tuple[Fault, str]]:
        return [(finding.fault, finding.name) async for finding in self.verification()]

    @property
    def audited(self) -> list[tuple[str, object]]:
        return [(entry.action, entry.target.id) for entry in self.tables.tables.audit.values()]


async def _parts(content: bytes) -> AsyncIterator[bytes]:
    for position in range(0, len(content), 50):
        yield content[position : position + 50]


@pytest.fixture
async def shelf() -> Shelf:
    made = Shelf()
    await made.projects.add(new_project(slug="story", title="A story", at=NOW))
    return made


async def test_an_upload_is_stored_and_audited(shelf: Shelf) -> None:
    file = await shelf.upload(filename="../x/a.png")
    assert shelf.contents.contents == {file.content_name: png()}
    assert (file.filename, file.size, file.content_type, file.created_by) == ("a.png", len(png()), "image/png", "grace")
    assert await shelf.files.get(project="story", file_id=file.id) == file
    assert await shelf.read(file) == png()
    assert shelf.audited == [("file.upload", str(file.id))]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"by": MEMBER}, NotAllowed),
        ({"project": "none"}, NotFound),
        ({"content": b"text"}, UnsupportedContent),
        ({"content": b""}, UnsupportedContent),
        ({"declared": "image/jpeg"}, UnsupportedContent),
        ({"filename": ".."}, Invalid),
        ({"content": b"text", "filename": ".."}, UnsupportedContent),
        ({"content": png(padding=QUOTA)}, QuotaExceeded),
    ],
)
async def test_what_is_refused_leaves_nothing(shelf: Shelf, arguments: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        await shelf.upload(**arguments)  # type: ignore[arg-type]
    assert shelf.contents.contents == {}
    assert shelf.audited == []
    assert await shelf.files.every(after=UUID(int=0), limit=9) == []


async def test_a_full_store_leaves_nothing_and_what_is_there_is_read(shelf: Shelf) -> None:
    file = await shelf.upload()
    shelf.contents.room = file.size + 10
    with pytest.raises(Full):
        await shelf.upload(png(padding=500))
    assert list(shelf.contents.contents) == [file.content_name]
    assert len(await shelf.files.page("story", after=UUID(int=0), limit=9)) == 1
    assert await shelf.read(file) == png()


async def test_a_store_that_fails_to_keep_leaves_no_file(shelf: Shelf) -> None:
    async with shelf.receive(project="story", filename="a.png", declared="", parts=_parts(png()), by=ADMIN) as received:
        shelf.contents.away = True
        with pytest.raises(Unavailable):
            await shelf.store(project="story", received=received, by=ADMIN)
    assert await shelf.files.every(after=UUID(int=0), limit=9) == []


async def test_content_without_a_file_is_swept_once_nobody_is_at_it(shelf: Shelf) -> None:
    file = await shelf.upload()

    async def crash(received: Received) -> None:
        async with FakeUnitOfWork(shelf.tables) as work:
            await shelf.store.within(work, project="story", received=received, by=ADMIN)

    async with shelf.receive(project="story", filename="b.png", declared="", parts=_parts(jpeg()), by=ADMIN) as received:
        await crash(received)
        assert len(shelf.contents.contents) == 2
        assert await shelf.sweep() == 0
    assert await shelf.sweep() == 1
    assert list(shelf.contents.contents) == [file.content_name]
    assert await shelf.sweep() == 0


async def test_deleting_removes_the_content_and_is_audited(shelf: Shelf) -> None:
    file = await shelf.upload()
    with pytest.raises(NotAllowed):
        await shelf.delete(project="story", file_id=file.id, expected=None, by=MEMBER)
    with pytest.raises(Stale):
        await shelf.delete(project="story", file_id=file.id, expected=frozenset([2]), by=ADMIN)
    await shelf.delete(project="story", file_id=file.id, expected=frozenset([1]), by=ADMIN)
    assert shelf.contents.contents == {}
    assert shelf.audited == [("file.upload", str(file.id)), ("file.delete", str(file.id))]
    with pytest.raises(NotFound):
        await shelf.delete(project="story", file_id=file.id, expected=None, by=ADMIN)


async def test_a_file_is_deleted_while_the_store_is_away_and_swept_later(shelf: Shelf) -> None:
    file = await shelf.upload()
    shelf.contents.away = True
    await shelf.delete(project="story", file_id=file.id, expected=None, by=ADMIN)
    shelf.contents.away = False
    assert await shelf.sweep() == 1
    assert shelf.contents.contents == {}


async def test_what_no_crash_explains_is_removed_only_when_asked_for(shelf: Shelf) -> None:
    file = await shelf.upload()
    shelf.tables.tables.files.clear()  # another database, by mistake
    shelf.clock.advance(CRASH_AGE_MAX * 0.9)
    for number in range(CRASH_MAX):
        shelf.contents.contents[f"files/{UUID(int=number)}"] = b"x"
    with pytest.raises(NotOurs):
        await shelf.sweep()
    del shelf.contents.contents[f"files/{UUID(int=0)}"]
    shelf.clock.advance(CRASH_AGE_MAX * 0.2)
    with pytest.raises(NotOurs):
        await shelf.sweep()
    assert len(shelf.contents.contents) == CRASH_MAX
    assert file.content_name in shelf.contents.contents
    assert await shelf.sweep(everything=True) == CRASH_MAX
    assert shelf.contents.contents == {}


@pytest.mark.parametrize("damaged", [png()[:-1], png() + b"x", png()[:-1] + b"x", b""])
async def test_damaged_content_is_never_read(shelf: Shelf, damaged: bytes) -> None:
    file = await shelf.upload()
    assert await shelf.read(file, 1, 3) == png()[1:3]
    shelf.contents.contents[file.content_name] = damaged
    for _ in range(2):
        with pytest.raises(ContentDamaged):
            await shelf.read(file, 0, 1)
    shelf.contents.contents[file.content_name] = png()
    assert await shelf.read(file) == png()


async def test_missing_content_is_damaged_and_a_store_that_is_away_is_not(shelf: Shelf) -> None:
    file = await shelf.upload()
    shelf.contents.away = True
    with pytest.raises(Unavailable) as away:
        await shelf.read(file)
    assert away.type is Unavailable
    shelf.contents.away = False
    assert await shelf.read(file) == png()
    del shelf.contents.contents[file.content_name]
    with pytest.raises(ContentDamaged):
        await shelf.read(file)


async def test_an_untouched_content_is_hashed_once(shelf: Shelf) -> None:
    file = await shelf.upload()
    reads = 0
    read = shelf.contents.read

    def counted(name: str, *, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        nonlocal reads
        reads += 1
        return read(name, start=start, end=end)

    shelf.contents.read = counted  # type: ignore[method-assign]
    for _ in range(5):
        await shelf.read(file, 0, 1)
    assert reads == 1 + 5


async def test_a_content_is_hashed_once_for_all_who_ask_at_once(shelf: Shelf) -> None:
    file = await shelf.upload()
    checks = 0

    class Counted(CheckContent):
        async def __call__(self, content: Content) -> bool:
            nonlocal checks
            checks += 1
            await asyncio.sleep(0)
            return await super().__call__(content)

    shelf.reading = ReadContent(store=shelf.contents, check=Counted(store=shelf.contents))
    assert await asyncio.gather(*(shelf.read(file) for _ in range(5))) == [png()] * 5
    assert checks == 1


async def test_what_is_known_of_a_content_holds_nothing_of_the_request_that_had_it_hashed(shelf: Shelf) -> None:
    file = await shelf.upload()
    of_request = ContextVar[set[int]]("of_request")

    async def ask() -> "ref[set[int]]":
        held = set[int]()
        of_request.set(held)
        await shelf.read(file)
        return ref(held)

    held = await asyncio.create_task(ask())
    await asyncio.sleep(0)  # the loop lets go of it
    gc.collect()
    assert held() is None


async def test_verifying_finds_all_that_is_wrong(shelf: Shelf) -> None:
    good, damaged, missing = [await shelf.upload() for _ in range(3)]
    assert await shelf.verify() == []
    shelf.contents.contents[damaged.content_name] = jpeg()
    del shelf.contents.contents[missing.content_name]
    stranger = f"files/{UUID(int=1)}"
    shelf.contents.contents[stranger] = b"x"
    assert await shelf.verify() == [
        (Fault.DAMAGED, damaged.content_name),
        (Fault.MISSING, missing.content_name),
        (Fault.STRANGER, stranger),
    ]
    assert good.content_name in shelf.contents.contents


async def test_each_file_is_verified_once_a_day(shelf: Shelf) -> None:
    files = [await shelf.upload() for _ in range(2)]
    shelf.contents.contents[files[1].content_name] = jpeg()
    assert await shelf.verify_next() is None
    shelf.clock.advance(VERIFIED_EVERY * 1.01)
    found = [await shelf.verify_next() for _ in range(4)]
    assert [(finding.fault, finding.owner) for finding in found if finding] == [(Fault.DAMAGED, files[1])]
