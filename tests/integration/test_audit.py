"""The audit trail in PostgreSQL: it is only added to, every committed entry is chained once, and no fault goes unseen."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import asyncpg
import pytest

from adapters.postgres.audit_chain import PostgresAuditChain
from adapters.postgres.database import Pool
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from adapters.postgres.user import PostgresUsers
from adapters.security.seal import HmacSealer
from application.audit import ChainAudit, Verdict, VerifyAudit
from domain.audit import Difference, Entry, Target, entry
from domain.audit_chain import FaultKind, Head
from tests.examples import NOW, user
from tests.postgres import connected, lent

SEALER = HmacSealer(b"a pepper of thirty-two bytes and more")
OTHER_SEALER = HmacSealer(b"another one, by who lacks the pepper")
WRITERS = 16


def happened(number: int) -> Entry:
    changes = (Difference(field="name", before="old", after=f"new {number}"),)
    return entry("resource.update", Target(type="resource", id=number), by=None, at=NOW, project="story", changes=changes)


async def put_down(pool: Pool, *numbers: int) -> None:
    async with PostgresUnitOfWork(pool) as work:
        await work.audit.add(*map(happened, numbers))
        await work.commit()


async def chain_all(pool: Pool, sealer: HmacSealer = SEALER) -> None:
    chain = ChainAudit(chain=PostgresAuditChain(pool), sealer=sealer)
    while await chain():
        pass


async def verify(pool: Pool, expected: Head | None = None) -> Verdict:
    return await VerifyAudit(chain=PostgresAuditChain(pool), sealer=SEALER)(expected=expected)


# --- only added to -----------------------------------------------------------------------------------------------------------

REFUSED = [
    "UPDATE audit_entries SET action = 'nothing.happened'",
    "UPDATE audit_entries SET action = action WHERE false",
    "DELETE FROM audit_entries",
    "TRUNCATE audit_entries",
    "UPDATE audit_links SET hash = hash",
    "DELETE FROM audit_links",
    "TRUNCATE audit_links",
    "INSERT INTO audit_links SELECT 1, 1, '' ON CONFLICT (position) DO UPDATE SET hash = ''",
    "MERGE INTO audit_entries e USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE",
]


@pytest.mark.parametrize("statement", REFUSED)
async def test_the_trail_and_its_chain_are_only_added_to_also_by_their_owner(pool: Pool, database_url: str, statement: str) -> None:
    await put_down(pool, 1, 2, 3)
    await chain_all(pool)
    async with connected(database_url) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="only added to"):
            await connection.execute(statement)
    verdict = await verify(pool)
    assert (verdict.entries, verdict.chained, verdict.fault) == (3, 3, None)


@pytest.mark.parametrize("statement", ["DELETE FROM users", "DELETE FROM users WHERE false", "TRUNCATE users CASCADE"])
async def test_who_acted_is_never_removed(pool: Pool, database_url: str, statement: str) -> None:
    async with connected(database_url) as connection:
        with pytest.raises(asyncpg.RestrictViolationError, match="never removed"):
            await connection.execute(statement)


async def test_an_entry_names_nobody_or_somebody_who_is_there(pool: Pool, database_url: str) -> None:
    async with connected(database_url) as connection:
        made = """
            INSERT INTO users (username, email, search_text, role, is_active, created_at, version)
            VALUES ('ada', 'ada@example.org', 'ada', 'admin', true, now(), 1) RETURNING id
        """
        ada = await connection.fetchval(made)
        add = """
            INSERT INTO audit_entries (at, actor_id, action, target_type, target_id, changes)
            SELECT now(), actor, 'user.create', 'user', '1', '[]' FROM unnest($1::bigint[]) AS actor
        """
        with pytest.raises(asyncpg.ForeignKeyViolationError, match="not there"):
            await connection.execute(add, [ada, None, ada + 1])
        assert await connection.fetchval("SELECT count(*) FROM audit_entries") == 0
        await connection.execute(add, [ada, None, ada])
        assert await connection.fetchval("SELECT count(*) FROM audit_entries") == 3


# --- every committed entry is chained once -----------------------------------------------------------------------------------


async def test_every_committed_entry_is_chained_once_however_writers_interleave(pool: Pool) -> None:
    chance = random.Random(7)
    committed: set[int] = set()
    writing = True

    async def write(writer: int) -> None:
        for round in range(25):
            first = (writer * 100 + round) * 10
            numbers = range(first, first + chance.randint(1, 5))
            async with PostgresUnitOfWork(pool) as work:
                for number in numbers:
                    await work.audit.add(happened(number))
                    await asyncio.sleep(0)
                if chance.random() < 0.7:
                    await work.commit()
                    committed.update(numbers)

    async def chain() -> None:
        step = ChainAudit(chain=PostgresAuditChain(pool), sealer=SEALER)
        while writing:
            await step()
            await asyncio.sleep(0)

    chainers = [asyncio.create_task(chain()) for _ in range(3)]
    await asyncio.gather(*map(write, range(WRITERS)))
    writing = False
    await asyncio.gather(*chainers)
    await chain_all(pool)
    verdict = await verify(pool)
    assert (verdict.entries, verdict.chained, verdict.waiting, verdict.fault) == (len(committed), len(committed), 0, None)
    async with PostgresAuditChain(pool).snapshot() as snapshot:
        links = [link async for links in snapshot.links() for link in links]
    assert sorted(int(link.record.entry.target.id) for link in links if link.record) == sorted(committed)


async def test_an_entry_that_commits_late_is_chained_after_those_that_overtook_it(pool: Pool) -> None:
    async with PostgresUnitOfWork(pool) as late:
        await late.audit.add(happened(1))
        await put_down(pool, 2)
        await chain_all(pool)
        assert (await verify(pool)).chained == 1
        await late.commit()
    assert (await verify(pool)).waiting == 1
    await chain_all(pool)
    verdict = await verify(pool)
    assert (verdict.entries, verdict.chained, verdict.waiting, verdict.fault) == (2, 2, 0, None)


async def test_many_entries_of_one_statement_all_come_to_wait(pool: Pool) -> None:
    async with lent(pool) as connection:
        await connection.execute(
            "INSERT INTO audit_entries (at, action, target_type, target_id, changes)"
            " SELECT now(), 'resource.create', 'resource', to_jsonb(n), '[]' FROM generate_series(1, 2500) n"
        )
    assert (await verify(pool)).waiting == 2500
    await chain_all(pool)
    verdict = await verify(pool)
    assert (verdict.chained, verdict.waiting, verdict.fault) == (2500, 0, None)


# --- no fault goes unseen ----------------------------------------------------------------------------------------------------


@pytest.fixture
async def meddle(pool: Pool, database_url: str) -> AsyncIterator[Callable[..., Any]]:
    """Does to a chain of ten entries what only who turns the triggers off can do."""
    await put_down(pool, *range(1, 11))
    await chain_all(pool)
    async with connected(database_url) as connection:

        async def do(*statements: str) -> None:
            for table in ("audit_entries", "audit_links"):
                await connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
            for statement in statements:
                assert await connection.execute(statement) != "UPDATE 0"
            for table in ("audit_entries", "audit_links"):
                await connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")

        yield do


def found(verdict: Verdict) -> tuple[FaultKind, int | None, int | None]:
    assert verdict.fault is not None
    return verdict.fault.kind, verdict.fault.position, verdict.fault.entry_id


CHANGES = {
    "at": "at + interval '1 microsecond'",
    "actor_id": "1",
    "action": "'resource.delete'",
    "project": "NULL",
    "target_type": "'user'",
    "target_id": "'\"4\"'",
    "changes": """'[{"field": "name", "from": "old", "to": "New 4"}]'""",
    "request_id": "'another'",
}


@pytest.mark.parametrize("column", CHANGES)
async def test_a_change_of_any_field_is_found(pool: Pool, meddle: Callable[..., Any], column: str) -> None:
    if column == "actor_id":
        await PostgresUsers(pool).add(user("eve"))
    await meddle(f"UPDATE audit_entries SET {column} = {CHANGES[column]} WHERE id = 4")
    verdict = await verify(pool)
    assert found(verdict) == (FaultKind.CHANGED, 4, 4)
    assert verdict.chained == 3


async def test_the_fields_of_an_entry_are_all_changed_above(pool: Pool) -> None:
    async with lent(pool) as connection:
        columns = await connection.fetch(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'audit_entries'::regclass AND attnum > 0 AND NOT attisdropped"
        )
    assert {row["attname"] for row in columns} == {"id", *CHANGES}


async def test_a_deleted_entry_is_found(pool: Pool, meddle: Callable[..., Any]) -> None:
    await meddle("DELETE FROM audit_entries WHERE id = 6")
    assert found(await verify(pool)) == (FaultKind.MISSING, 6, 6)


async def test_a_deleted_link_is_found_with_its_entry(pool: Pool, meddle: Callable[..., Any]) -> None:
    await meddle("DELETE FROM audit_links WHERE position = 6")
    assert found(await verify(pool)) == (FaultKind.MISSING, 6, 6)


async def test_an_entry_deleted_together_with_its_link_is_found(pool: Pool, meddle: Callable[..., Any]) -> None:
    await meddle("DELETE FROM audit_links WHERE position = 6", "DELETE FROM audit_entries WHERE id = 6")
    assert found(await verify(pool)) == (FaultKind.MISSING, 6, None)
    await meddle("UPDATE audit_links SET position = position - 1 WHERE position > 6")
    assert found(await verify(pool)) == (FaultKind.CHANGED, 6, 7)


@pytest.mark.parametrize("other", [4, 9])
async def test_entries_that_changed_places_are_found(pool: Pool, meddle: Callable[..., Any], other: int) -> None:
    await meddle(
        f"UPDATE audit_links SET entry_id = -entry_id WHERE position IN (3, {other})",
        f"UPDATE audit_links SET entry_id = CASE position WHEN 3 THEN {other} ELSE 3 END WHERE entry_id < 0",
    )
    assert found(await verify(pool)) == (FaultKind.OUT_OF_ORDER, 3, other)


async def test_an_entry_that_was_never_to_be_chained_is_found(pool: Pool, meddle: Callable[..., Any]) -> None:
    await meddle("INSERT INTO audit_entries (at, action, target_type, target_id, changes) VALUES (now(), 'user.role', 'user', '1', '[]')")
    assert found(await verify(pool)) == (FaultKind.UNCHAINED, None, 11)


async def test_an_entry_that_went_before_it_was_chained_is_found_and_the_others_are_chained(pool: Pool, meddle: Callable[..., Any]) -> None:
    await put_down(pool, 11, 12)
    await meddle("DELETE FROM audit_entries WHERE id = 11")
    await chain_all(pool)
    verdict = await verify(pool)
    assert found(verdict) == (FaultKind.MISSING, None, 11)
    assert verdict.chained == 11


async def test_an_end_that_was_cut_off_is_found_by_who_knows_an_earlier_head(pool: Pool, meddle: Callable[..., Any]) -> None:
    earlier = (await verify(pool)).head
    assert earlier.position == 10
    await put_down(pool, 11)
    await chain_all(pool)
    assert (await verify(pool, earlier)).fault is None
    await meddle("DELETE FROM audit_links WHERE position > 8", "DELETE FROM audit_entries WHERE id > 8")
    assert (await verify(pool)).fault is None
    assert found(await verify(pool, earlier)) == (FaultKind.CUT_OFF, 9, None)
    await put_down(pool, 12, 13)
    await chain_all(pool)
    assert found(await verify(pool, earlier)) == (FaultKind.CHANGED, 10, 13)


async def test_a_chain_made_anew_without_the_key_is_found(pool: Pool, meddle: Callable[..., Any]) -> None:
    await meddle(
        "UPDATE audit_entries SET action = 'nothing.happened' WHERE id = 4",
        "DELETE FROM audit_links",
        "INSERT INTO audit_waiting SELECT id FROM audit_entries",
    )
    await chain_all(pool, OTHER_SEALER)
    assert found(await verify(pool)) == (FaultKind.CHANGED, 1, 1)


async def test_progress_is_told_up_to_the_end(pool: Pool) -> None:
    await put_down(pool, *range(2500))
    await chain_all(pool)
    seen: list[tuple[int, int]] = []
    check = partial(VerifyAudit(chain=PostgresAuditChain(pool), sealer=SEALER), progress=lambda *told: seen.append(told))
    assert (await check()).fault is None
    assert seen == [(1000, 2500), (2000, 2500), (2500, 2500)]
