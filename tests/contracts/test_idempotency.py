"""Outcomes kept under idempotency keys: the sentences of `Replays`."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from domain.idempotency import KEPT_FOR, Keyed, KeyReused, StillRunning
from domain.user import User
from tests.contracts.stage import InMemory, InPostgres, Stage
from tests.examples import NOW

MOMENT = timedelta(microseconds=1)


def keyed(by: User, key: str = "key", fingerprint: bytes = b"\x00first") -> Keyed:
    return Keyed(user_id=by.id, key=key, fingerprint=fingerprint)


async def run(stage: Stage, request: Keyed, outcome: bytes, *, at: datetime = NOW, commit: bool = True) -> bytes:
    """What a request came to: this, unless something is kept."""
    async with stage.unit_of_work() as work:
        known = await work.replays.begin(request, at=at)
        if known is not None:
            return known
        await work.replays.keep(request, outcome, at=at)
        if commit:
            await work.commit()
    return outcome


class ReplaysContract:
    async def test_what_was_kept_is_found_byte_for_byte(self, stage: Stage) -> None:
        ada = await stage.user("ada")
        every_byte = bytes(range(256))
        assert await run(stage, keyed(ada), every_byte) == every_byte
        assert await run(stage, keyed(ada), b"another") == every_byte

    async def test_an_empty_outcome_is_one(self, stage: Stage) -> None:
        ada = await stage.user("ada")
        await run(stage, keyed(ada), b"")
        assert await run(stage, keyed(ada), b"another") == b""

    async def test_what_was_not_committed_was_not_kept(self, stage: Stage) -> None:
        ada = await stage.user("ada")
        await run(stage, keyed(ada), b"first", commit=False)
        assert await run(stage, keyed(ada), b"second") == b"second"

    async def test_another_fingerprint_under_the_same_key_is_refused(self, stage: Stage) -> None:
        ada = await stage.user("ada")
        await run(stage, keyed(ada), b"first")
        with pytest.raises(KeyReused):
            await run(stage, keyed(ada, fingerprint=b"second"), b"second")
        assert await run(stage, keyed(ada), b"third") == b"first"

    async def test_a_key_is_its_users_alone_and_compared_exactly(self, stage: Stage) -> None:
        ada, emmy = await stage.user("ada"), await stage.user("emmy")
        requests = [keyed(ada), keyed(emmy), keyed(ada, "KEY"), keyed(ada, "key "), keyed(ada, "k"), keyed(ada, "~" * 255)]
        for number, request in enumerate(requests):
            assert await run(stage, request, bytes([number])) == bytes([number])
        assert [await run(stage, request, b"other") for request in requests] == [bytes([number]) for number in range(6)]

    async def test_after_24_hours_a_key_is_free_for_anything(self, stage: Stage) -> None:
        ada = await stage.user("ada")
        await run(stage, keyed(ada), b"first")
        assert timedelta(hours=24) == KEPT_FOR
        assert await run(stage, keyed(ada), b"late", at=NOW + KEPT_FOR - MOMENT) == b"first"
        second = keyed(ada, fingerprint=b"second")
        assert await run(stage, second, b"second", at=NOW + KEPT_FOR) == b"second"
        assert await run(stage, second, b"third", at=NOW + 2 * KEPT_FOR - MOMENT) == b"second"

    async def test_what_has_expired_is_removed_with_what_is_old(self, stage: Stage) -> None:
        ada = await stage.user("ada")
        for number in range(20):
            await run(stage, keyed(ada, f"key {number}"), b"kept")
        await stage.archive.purge(before=NOW + KEPT_FOR - MOMENT, dry_run=False)
        assert await run(stage, keyed(ada, "key 0"), b"anew") == b"kept"
        await stage.archive.purge(before=NOW + KEPT_FOR, dry_run=True)
        assert await run(stage, keyed(ada, "key 0"), b"anew") == b"kept"
        await stage.archive.purge(before=NOW + KEPT_FOR, dry_run=False)
        assert [await run(stage, keyed(ada, f"key {number}"), b"anew") for number in range(20)] == [b"anew"] * 20

    async def test_of_many_at_once_one_outcome_is_kept(self, stage: Stage) -> None:
        ada = await stage.user("ada")
        told = await asyncio.gather(*(run(stage, keyed(ada), bytes([n])) for n in range(32)), return_exceptions=True)
        outcomes = {each for each in told if not isinstance(each, StillRunning)}
        assert len(outcomes) == 1
        assert await run(stage, keyed(ada), b"late") in outcomes


class TestFakeReplays(InMemory, ReplaysContract):
    pass


class TestPostgresReplays(InPostgres, ReplaysContract):
    async def test_while_a_key_is_begun_nobody_else_begins_it_nor_waits(self, stage: Stage) -> None:
        """In memory only one unit of work is open at a time."""
        ada, emmy = await stage.user("ada"), await stage.user("emmy")
        async with stage.unit_of_work() as work:
            assert await work.replays.begin(keyed(ada), at=NOW) is None
            for other in (keyed(ada), keyed(ada, fingerprint=b"second")):
                with pytest.raises(StillRunning):
                    await run(stage, other, b"other")
            assert await run(stage, keyed(emmy), b"emmy's") == b"emmy's"
            assert await run(stage, keyed(ada, "another"), b"another") == b"another"
        assert await run(stage, keyed(ada), b"second") == b"second"

    async def test_expired_outcomes_go_a_few_at_a_time_as_new_ones_come(self, stage: Stage) -> None:
        ada = await stage.user("ada")
        for number in range(25):
            await run(stage, keyed(ada, f"key {number}"), b"kept")
        later = NOW + KEPT_FOR
        for number in range(3):
            await run(stage, keyed(ada, f"new {number}"), b"new", at=later)
        # A request from before they expired would find each of them still.
        found = [await run(stage, replace(keyed(ada), key=f"key {number}"), b"anew", commit=False) for number in range(25)]
        assert found == [b"anew"] * 25
