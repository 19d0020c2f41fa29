"""How many resources there are, told without looking at them: exact, whoever changes them at once, and nobody waits for it."""

import asyncio
import json
from random import Random
from typing import Any

import pytest

from adapters.postgres.database import Pool
from adapters.postgres.resource.counters import counted_statement
from adapters.postgres.resource.filters import count_statement
from adapters.postgres.schema import migrate
from domain.access import Role
from domain.resource import Filter, Sort, Status
from tests.contracts.stage import Stage, stage_in_postgres
from tests.postgres import connected, lent

SEED = """
INSERT INTO resources (project_id, name, name_key, search_text, status, attributes, created_by, owner_id, created_at, version)
SELECT projects.id, $1 || n, $1 || n, $1 || n, (ARRAY['active', 'inactive', 'pending'])[1 + n % 3], '{}', users.id, users.id, now(), 1
FROM projects, users, generate_series(1, $2::integer) AS n WHERE projects.slug = 'story'
"""
CHANGES = (
    SEED,
    "UPDATE resources SET status = 'pending' WHERE left(name, 1) = $1 AND id % 5 = $2",
    "UPDATE resources SET deleted_at = now() WHERE left(name, 1) = $1 AND id % 7 = $2",
    "UPDATE resources SET deleted_at = NULL WHERE left(name, 1) = $1 AND id % 7 = $2",
    "UPDATE resources SET description = 'edited', version = version + 1 WHERE left(name, 1) = $1 AND id % 3 <> $2",
    "DELETE FROM resources WHERE left(name, 1) = $1 AND id % 11 = $2",
)
ACTUAL = "SELECT count(*) FROM resources WHERE deleted_at IS NULL AND ($1::text IS NULL OR status = $1)"


async def scene(pool: Pool) -> Stage:
    stage = stage_in_postgres(pool)
    await stage.user("grace", role=Role.ADMIN)
    await stage.project("story")
    return stage


async def assert_exact(pool: Pool, stage: Stage) -> None:
    for status in (None, *Status):
        where = Filter(project="story", status=status)
        async with lent(pool) as connection:
            actual = await connection.fetchval(ACTUAL, status and status.value)
        page = await stage.reader.numbered_page(where, sort=Sort("id"), page=1, per_page=1)
        assert (await stage.reader.count(where), page.total) == (actual, actual)


async def test_many_who_change_resources_at_once_are_all_counted(pool: Pool) -> None:
    stage = await scene(pool)

    async def change(number: int) -> None:
        chance, mine = Random(number), "abcdefgh"[number]
        async with lent(pool) as connection:
            await connection.execute(SEED, mine, 30)
            for _ in range(20):
                transaction = connection.transaction()
                await transaction.start()
                statement = chance.choice(CHANGES[1:])
                await connection.execute(statement, mine, chance.randint(0, 4))
                await (transaction.commit() if chance.random() < 0.8 else transaction.rollback())

    await asyncio.gather(*(change(number) for number in range(8)))
    await assert_exact(pool, stage)


async def test_nobody_waits_for_an_import_that_is_not_done_yet(pool: Pool) -> None:
    stage = await scene(pool)
    async with lent(pool) as importing, lent(pool) as other:
        await importing.execute(SEED, "a", 3)
        async with importing.transaction():
            await importing.execute(SEED, "b", 300)
            await other.execute("SET lock_timeout = '2s'")
            await other.execute(SEED, "c", 30)
            await other.execute(CHANGES[2], "c", 1)
            await other.execute("RESET lock_timeout")
    await assert_exact(pool, stage)
    async with lent(pool) as connection:
        assert await connection.fetchval("SELECT count(*) FROM resource_counts") <= 6  # two for each status, and no more


@pytest.mark.parametrize("status", [None, "pending"])
async def test_without_other_conditions_no_resource_is_looked_at(pool: Pool, status: str | None) -> None:
    await scene(pool)
    given = {"project": "story", "status": status}
    async with lent(pool) as connection:
        await connection.execute(SEED, "a", 100)
        for statement, looks in (
            (counted_statement(status=status is not None), False),
            (count_statement(status=status is not None, search=False, labels=0), True),
        ):
            found = await connection.fetchval(f"EXPLAIN (FORMAT JSON) {statement.sql}", *statement.arguments(given))
            assert ("resources" in set(relations(json.loads(found)[0]["Plan"]))) is looks


def relations(plan: dict[str, Any]) -> list[str]:
    """The tables that a plan reads."""
    mine = [plan["Relation Name"]] if "Relation Name" in plan else []
    return mine + [name for inner in plan.get("Plans", []) for name in relations(inner)]


async def test_what_was_there_before_is_counted(empty_database: str) -> None:
    await migrate(empty_database, to="0018")
    async with connected(empty_database) as connection:
        await connection.execute("INSERT INTO projects (slug, title, created_at, version) VALUES ('story', 'A story', now(), 1)")
        await connection.execute(
            "INSERT INTO users (username, email, search_text, role, is_active, created_at, version)"
            " VALUES ('a', 'a', 'a', 'admin', true, now(), 1)"
        )
        await connection.execute(SEED, "a", 30)
        await connection.execute(CHANGES[2], "a", 1)
        await migrate(empty_database)
        await connection.execute(SEED, "b", 3)
        actual = await connection.fetchval(ACTUAL, None)
        assert await connection.fetchval("SELECT sum(number) FROM resource_counts") == actual
