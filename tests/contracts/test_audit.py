"""The audit trail: the sentences of `AuditTrail`, `AuditReader`, `AuditChain` and `Sealer`."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from adapters.security.seal import HmacSealer
from application.ports import Sealer, Stretch
from domain.access import Role
from domain.audit import AuditFilter, Difference, Entry, Target, entry
from domain.audit_chain import BEGINNING, Link, extended
from domain.user import User
from tests.contracts.stage import REQUEST, InMemory, InPostgres, Stage
from tests.examples import NOW
from tests.fakes.system import FakeSealer

ALL = AuditFilter()
SEAL = FakeSealer().seal


def happened(action: str = "resource.update", target: int | str = 7, *, by: User | None = None, **rest: Any) -> Entry:
    return entry(action, Target(type=action.partition(".")[0], id=target), by=by, at=rest.pop("at", NOW), **rest)


async def put_down(stage: Stage, *entries: Entry, commit: bool = True) -> None:
    async with stage.unit_of_work() as work:
        await work.audit.add(*entries)
        if commit:
            await work.commit()


async def told(stage: Stage, where: AuditFilter = ALL, *, before: int | None = None, limit: int = 100) -> list[Entry]:
    return [each.record.entry for each in await stage.audit.page(where, before=before, limit=limit)]


class AuditTrailContract:
    async def test_entries_stand_in_the_order_in_which_they_were_added_as_they_were(self, stage: Stage) -> None:
        ada = await stage.user()
        changes = (
            Difference(field="attributes", before={}, after={"a": [1, 1.0, 1e16, True, None, "é\n\t\\u0041"], "b": {"c": -0.5}}),
            Difference(field="description", before=None, after=""),
        )
        entries = [
            happened(by=ada, project="story", changes=changes),
            happened("project.create", "story", by=ada, project="story", at=NOW + timedelta(microseconds=1)),
            happened("session.start", "019aa000-0000-7000-8000-000000000001", by=ada),
            happened("user.create", 3),
            *(happened(target=number) for number in range(100, 120)),
        ]
        await put_down(stage, *entries[:3])
        await put_down(stage, *entries[3:])
        found = await told(stage)
        assert found == entries[::-1]
        assert repr(found[-1].changes) == repr(changes)

    async def test_what_is_put_down_once_is_put_down_anew_after_that_time_and_for_others(self, stage: Stage) -> None:
        ada, emmy, hour = await stage.user("ada"), await stage.user("emmy"), timedelta(hours=1)
        asked = [
            (ada, "story", "response.read", NOW, True),
            (ada, "story", "response.read", NOW + hour - timedelta(microseconds=1), False),
            (ada, "other", "response.read", NOW, True),
            (emmy, "story", "response.read", NOW, True),
            (ada, "story", "results.read", NOW, True),
            (ada, "story", "response.read", NOW + hour, True),
        ]
        for by, project, action, at, is_added in asked:
            async with stage.unit_of_work() as work:
                assert await work.audit.add_once(happened(action, project, by=by, project=project, at=at), every=hour) is is_added
                await work.commit()
        assert len(await told(stage)) == 5

    async def test_of_many_at_once_one_is_put_down(self, stage: Stage) -> None:
        ada = await stage.user()

        async def once() -> bool:
            async with stage.unit_of_work() as work:
                added = await work.audit.add_once(happened("response.read", "story", by=ada, project="story"), every=timedelta(hours=1))
                await work.commit()
            return added

        assert sum(await asyncio.gather(*(once() for _ in range(8)))) == 1
        assert len(await told(stage)) == 1

    async def test_an_entry_bears_the_id_of_the_request(self, stage: Stage) -> None:
        await put_down(stage, happened())
        (only,) = await stage.audit.page(ALL, before=None, limit=1)
        assert only.record.request_id == REQUEST

    async def test_adding_none_adds_none(self, stage: Stage) -> None:
        await put_down(stage)
        assert await told(stage) == []

    async def test_what_is_undone_leaves_no_entry(self, stage: Stage) -> None:
        await put_down(stage, happened(), commit=False)
        assert await told(stage) == []

    async def test_nobody_reads_an_entry_before_its_commit(self, stage: Stage) -> None:
        async with stage.unit_of_work() as work:
            await work.audit.add(happened())
            assert await told(stage) == []
            await work.commit()
        assert len(await told(stage)) == 1


class TestFakeAuditTrail(InMemory, AuditTrailContract):
    pass


class TestPostgresAuditTrail(InPostgres, AuditTrailContract):
    pass


class AuditReaderContract:
    async def test_the_newest_come_first_page_by_page_and_none_is_lost(self, stage: Stage) -> None:
        await put_down(stage, *(happened(target=number) for number in range(1, 8)))
        found: list[int | str] = []
        before: int | None = None
        while page := await stage.audit.page(ALL, before=before, limit=3):
            found += [each.record.entry.target.id for each in page]
            before = page[-1].record.id
        assert found == [7, 6, 5, 4, 3, 2, 1]

    async def test_an_entry_names_its_actor_if_there_is_one(self, stage: Stage) -> None:
        await put_down(stage, happened(by=await stage.user("ada")), happened())
        assert [each.actor for each in await stage.audit.page(ALL, before=None, limit=5)] == [None, "ada"]

    async def test_each_filter_lets_through_what_it_names_and_all_of_them_what_all_name(self, stage: Stage) -> None:
        ada, grace = await stage.user("ada"), await stage.user("grace", role=Role.ADMIN)
        wanted = happened(by=ada, project="story", target=1)
        others = [
            replace(wanted, action="resource.delete"),
            replace(wanted, project="other"),
            replace(wanted, project=None),
            replace(wanted, actor_id=grace.id),
            replace(wanted, actor_id=None),
            replace(wanted, target=Target(type="resource", id=2)),
            replace(wanted, target=Target(type="resource", id="1")),
            replace(wanted, target=Target(type="user", id=1)),
        ]
        await put_down(stage, wanted, *others)
        every = AuditFilter(action="resource.update", project="story", actor="ada", target=Target(type="resource", id=1))
        assert await told(stage, every) == [wanted]
        assert len(await told(stage, AuditFilter(action="resource.update"))) == 8
        assert len(await told(stage, AuditFilter(project="story"))) == 7
        assert len(await told(stage, AuditFilter(actor="ada"))) == 7
        assert len(await told(stage, AuditFilter(target=Target(type="resource", id=1)))) == 6
        for nothing in (AuditFilter(action="resource"), AuditFilter(project="Story"), AuditFilter(actor="emmy"), AuditFilter(actor="")):
            assert await told(stage, nothing) == []


class TestFakeAuditReader(InMemory, AuditReaderContract):
    pass


class TestPostgresAuditReader(InPostgres, AuditReaderContract):
    pass


async def links_of(stage: Stage) -> list[Link]:
    async with stage.chain.snapshot() as snapshot:
        return [link async for links in snapshot.links() for link in links]


async def stretches_of(stage: Stage) -> list[Stretch]:
    async with stage.chain.snapshot() as snapshot:
        assert await snapshot.lost() is None
        return [stretch async for stretch in snapshot.stretches()]


chained = partial(extended, seal=SEAL)


class AuditChainContract:
    async def test_a_trail_without_entries_has_no_chain(self, stage: Stage) -> None:
        assert await stage.chain.extend(chained, limit=10) == 0
        assert await links_of(stage) == []
        assert await stretches_of(stage) == []
        async with stage.chain.snapshot() as snapshot:
            assert await snapshot.head() == BEGINNING

    async def test_each_entry_is_chained_once_in_batches(self, stage: Stage) -> None:
        await put_down(stage, *(happened(target=number) for number in range(1, 8)))
        assert await stretches_of(stage) == [Stretch(entries=7, waiting=7, unchained=None)]
        assert [await stage.chain.extend(chained, limit=3) for _ in range(4)] == [3, 3, 1, 0]
        links = await links_of(stage)
        head = BEGINNING
        for number, link in enumerate(links, start=1):
            assert link.record is not None
            assert link.record.id == link.entry_id
            assert link.record.entry.target.id == link.position == number
            assert link.record.request_id == REQUEST
            head = extended(head, link.record, SEAL)
            assert head.hash == link.hash
        async with stage.chain.snapshot() as snapshot:
            assert await snapshot.head() == head
        assert await stretches_of(stage) == [Stretch(entries=7, waiting=0, unchained=None)]

    async def test_what_is_not_committed_is_not_chained(self, stage: Stage) -> None:
        await put_down(stage, happened(target=1), commit=False)
        await put_down(stage, happened(target=2))
        assert await stage.chain.extend(chained, limit=10) == 1
        assert [link.record and link.record.entry.target.id for link in await links_of(stage)] == [2]

    async def test_a_link_that_fails_leaves_the_chain_as_it_was(self, stage: Stage) -> None:
        await put_down(stage, happened())

        def fail(*_: object) -> Any:
            raise RuntimeError

        with pytest.raises(RuntimeError):
            await stage.chain.extend(fail, limit=10)
        assert await links_of(stage) == []
        assert await stage.chain.extend(chained, limit=10) == 1

    async def test_many_chainers_at_once_chain_each_entry_once(self, stage: Stage) -> None:
        await put_down(stage, *(happened(target=number) for number in range(1, 41)))
        while sum(await asyncio.gather(*(stage.chain.extend(chained, limit=7) for _ in range(8)))):
            pass
        links = await links_of(stage)
        assert [link.position for link in links] == list(range(1, 41))
        assert len({link.entry_id for link in links}) == 40


class TestFakeAuditChain(InMemory, AuditChainContract):
    pass


class TestPostgresAuditChain(InPostgres, AuditChainContract):
    pass


class SealerContract:
    def test_a_seal_is_32_bytes_of_this_message_and_no_other(self, sealer: Sealer) -> None:
        messages = [bytes([byte]) * length for byte in (0, 1, 255) for length in range(1, 200)] + [b""]
        seals = {sealer.seal(message) for message in messages}
        assert {len(seal) for seal in seals} == {32}
        assert len(seals) == len(messages)
        assert seals == {sealer.seal(message) for message in messages}

    def test_another_key_makes_another_seal(self, sealer: Sealer, another: Sealer) -> None:
        assert sealer.seal(b"message") != another.seal(b"message")


class TestFakeSealer(SealerContract):
    @pytest.fixture
    def sealer(self) -> Sealer:
        return FakeSealer()

    @pytest.fixture
    def another(self) -> Sealer:
        return FakeSealer(b"another key")


class TestHmacSealer(SealerContract):
    @pytest.fixture
    def sealer(self) -> Sealer:
        return HmacSealer(b"0" * 32)

    @pytest.fixture
    def another(self) -> Sealer:
        return HmacSealer(b"1" * 32)

    def test_the_seal_never_changes_or_older_chains_could_not_be_verified(self, sealer: Sealer) -> None:
        assert sealer.seal(b"message").hex() == "6777f903006c0fb09d810a17cc11e93f10896afc41c1fac8e98aba9bbaff8873"
