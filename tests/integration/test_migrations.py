"""The migrations: up, down, up again, and that they make the very schema that `tables` declares."""

import asyncio
import hashlib

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from adapters.postgres.database import Pool
from adapters.postgres.response import PostgresResponses
from adapters.postgres.revisions import MIGRATIONS, known_revisions
from adapters.postgres.schema import SchemaError, migrate, pending, unmigrate
from adapters.postgres.tables import metadata
from adapters.security.respondents import HmacRespondents
from application.response import GetResponse
from domain.response import TokenRequired
from tests.postgres import connected, drop_database, make_database

COLUMNS = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity::text, a.attgenerated::text,
       collation_of.collname, pg_get_expr(d.adbin, d.adrelid), a.attstorage::text
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid
LEFT JOIN pg_collation collation_of ON collation_of.oid = a.attcollation
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
"""
CONSTRAINTS = """
SELECT conrelid::regclass::text, conname, contype::text, pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = 'public'::regnamespace
"""
INDEXES = """
SELECT i.indrelid::regclass::text, pg_get_indexdef(i.indexrelid), i.indisunique, i.indisprimary, i.indisvalid
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relnamespace = 'public'::regnamespace
"""
RELATIONS = """
SELECT relname, relkind::text, relpersistence::text, array_to_string(reloptions, ',')
FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'S', 'v', 'm', 'i')
"""
FUNCTIONS = """
SELECT p.proname, pg_get_functiondef(p.oid) FROM pg_proc p
WHERE p.pronamespace = 'public'::regnamespace
AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
"""
TRIGGERS = "SELECT tgrelid::regclass::text, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal"
# One token in two projects, its hash as it was stored at that revision.
RESPONSE_OF_0014 = """
WITH stories AS (
    INSERT INTO projects (slug, title, created_at, version)
    SELECT slug, slug, now(), 1 FROM unnest(ARRAY['story', 'other']) AS slug RETURNING id, slug
)
INSERT INTO responses (project_id, pseudonym, token_hash, answers, seqs, versions, revision, survey_version, last_save, created_at)
SELECT id, sha256('p'), $1, jsonb_build_object('of', slug), '{}', '{}', 1, 1, gen_random_uuid(), now() FROM stories
"""
CATALOGUE = {
    "columns": COLUMNS,
    "constraints": CONSTRAINTS,
    "indexes": INDEXES,
    "relations": RELATIONS,
    "functions": FUNCTIONS,
    "triggers": TRIGGERS,
}


async def schema_of(url: str) -> dict[str, list[str]]:
    """Everything that the catalogue knows of a database's own schema, Alembic's table left out."""
    async with connected(url) as connection:
        found = {name: [str(tuple(row)) for row in await connection.fetch(query)] for name, query in CATALOGUE.items()}
    return {name: sorted(row for row in rows if "alembic_version" not in row) for name, rows in found.items()}


async def test_the_migrations_make_the_schema_that_the_tables_declare(server: str, empty_database: str) -> None:
    await migrate(empty_database)
    declared = await make_database(server)
    engine = create_async_engine(declared, poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE EXTENSION pg_trgm"))
        await connection.run_sync(metadata.create_all)
    migrated, expected = await schema_of(empty_database), await schema_of(declared)
    await drop_database(declared, server=server)
    for part in CATALOGUE:
        assert migrated[part] == expected[part]
    assert len(expected["columns"]) == sum(len(table.columns) for table in metadata.tables.values())
    assert len(expected["indexes"]) > len(metadata.tables) < len(expected["constraints"])


async def test_up_down_and_up_again_leads_to_the_same_schema(empty_database: str) -> None:
    before = await schema_of(empty_database)
    await migrate(empty_database)
    first = await schema_of(empty_database)
    await unmigrate(empty_database)
    assert await schema_of(empty_database) == before
    await migrate(empty_database)
    assert await schema_of(empty_database) == first != before


def test_the_names_of_the_files_tell_the_revisions_in_their_order() -> None:
    by_alembic = [script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()]
    assert known_revisions() == tuple(reversed(by_alembic))


async def test_what_is_pending_is_told_and_then_done(empty_database: str) -> None:
    steps = await pending(empty_database)
    assert steps[0] == "0001"
    await migrate(empty_database)
    assert await pending(empty_database) == []
    await unmigrate(empty_database)
    assert await pending(empty_database) == steps


async def test_each_step_is_taken_by_itself_too(empty_database: str) -> None:
    steps = await pending(empty_database)
    for place, step in enumerate(steps, start=1):
        await migrate(empty_database, to=step)
        assert await pending(empty_database) == steps[place:]


async def test_migrating_twice_changes_nothing(empty_database: str) -> None:
    await migrate(empty_database)
    first = await schema_of(empty_database)
    await migrate(empty_database)
    assert await schema_of(empty_database) == first


async def test_two_at_once_migrate_once(empty_database: str) -> None:
    await asyncio.gather(*(migrate(empty_database) for _ in range(3)))
    assert await pending(empty_database) == []


async def test_a_database_of_a_newer_program_is_refused(empty_database: str) -> None:
    await migrate(empty_database)
    async with connected(empty_database) as connection:
        await connection.execute("UPDATE alembic_version SET version_num = 'from-the-future'")
    with pytest.raises(SchemaError, match="newer"):
        await migrate(empty_database)
    with pytest.raises(SchemaError, match="newer"):
        await pending(empty_database)


async def test_a_migration_that_the_database_refuses_leaves_nothing_behind(empty_database: str) -> None:
    async with connected(empty_database) as connection:
        await connection.execute("CREATE TABLE responses (taken text)")
    before = await schema_of(empty_database)
    with pytest.raises(SchemaError):
        await migrate(empty_database)
    assert await schema_of(empty_database) == before


async def test_tokens_from_before_they_were_bound_to_a_project_open_what_they_did(empty_database: str) -> None:
    token = "a" * 43
    await migrate(empty_database, to="0014")
    async with connected(empty_database) as connection:
        await connection.execute(RESPONSE_OF_0014, hashlib.sha256(token.encode()).digest())
    await migrate(empty_database)
    async with Pool(empty_database, size=1) as pool:
        get_own = GetResponse(responses=PostgresResponses(pool), respondents=HmacRespondents(b"p" * 32))
        for slug in ("story", "other"):
            own = await get_own(project=slug, token=token)
            assert (own.answers, own.is_test) == ({"of": slug}, False)
        with pytest.raises(TokenRequired):
            await get_own(project="story", token="b" * 43)
