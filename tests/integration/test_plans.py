"""How PostgreSQL finds what a page shows: the rows of other projects are never walked through, whatever their number."""

import json
from typing import Any

import pytest

from adapters.postgres.database import Pool
from adapters.postgres.resource.reader import page_statement
from domain.access import Role
from domain.resource import Sort
from tests.contracts.stage import stage_in_postgres
from tests.postgres import lent

ROWS, LIMIT = 4000, 10
SEED = """
INSERT INTO resources (project_id, name, name_key, search_text, status, attributes, created_by, owner_id, created_at, version)
SELECT projects.id, 'n' || n, 'n' || n, 'n' || n, CASE WHEN n > $1 - 5 THEN 'pending' ELSE 'active' END, '{}', users.id, users.id,
    now() + n * interval '1 second', 1
FROM projects, users, generate_series(1, $1::integer) AS n ORDER BY projects.slug, n
"""


def rows_removed(plan: dict[str, Any]) -> int:
    """How many rows were read for nothing, in a plan and all below it."""
    below = sum(rows_removed(inner) for inner in plan.get("Plans", []))
    return int(plan.get("Rows Removed by Filter", 0)) + below


@pytest.mark.parametrize("status", [None, "pending"])
@pytest.mark.parametrize("sort", list(Sort))
@pytest.mark.parametrize("slug", ["first", "last"])
async def test_a_page_reads_next_to_no_row_that_it_does_not_show(pool: Pool, slug: str, sort: Sort, status: str | None) -> None:
    stage = stage_in_postgres(pool)
    await stage.user("grace", role=Role.ADMIN)
    for name in ("first", "last"):
        await stage.project(name)
    statement = page_statement(sort, status=status is not None, search=False, labels=0, after=False)
    given = {"project": slug, "limit": LIMIT, "skip": 0, "status": status}
    async with lent(pool) as connection:
        await connection.execute(SEED, ROWS)
        await connection.execute("ANALYZE resources, projects, users")
        async with connection.transaction():
            await connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
            found = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.sql}", *statement.arguments(given))
        count = await connection.fetchval(f"SELECT n FROM ({statement.sql}) AS page", *statement.arguments(given))
    (explained,) = json.loads(found)
    assert count == (5 if status else LIMIT + 1)
    assert rows_removed(explained["Plan"]) < ROWS / 10
