"""What is read of a `COPY`: never more than was asked for, however much the server has ready."""

import asyncio
from contextlib import aclosing
from typing import Any

import pytest
from sqlalchemy import text

from adapters.postgres.database import Pool, Statement, Transaction
from adapters.postgres.line import Line
from tests.postgres import lent

ENOUGH = 20.0
LARGE = Statement(text("SELECT repeat('x', 1000) FROM generate_series(1, 100000)"))  # far more than the buffers in between hold
IS_HELD_UP = """
SELECT wait_event IS NOT DISTINCT FROM 'ClientWrite' FROM pg_stat_activity
WHERE datname = current_database() AND query LIKE 'COPY (%' AND state = 'active'
"""


async def until_the_server_is_held_up(pool: Pool) -> None:
    """Wait until it has more to send than anybody takes."""
    async with lent(pool) as connection, asyncio.timeout(ENOUGH):
        while not await connection.fetchval(IS_HELD_UP):
            pass


async def test_no_piece_is_read_before_the_last_was_taken(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    read = taken = 0
    copy = Line.copy_from_query

    def counted(line: Line, *arguments: Any, output: Any, **options: Any) -> Any:
        async def take(data: bytes) -> None:
            nonlocal read
            read += len(data)
            await output(data)

        return copy(line, *arguments, output=take, **options)

    monkeypatch.setattr(Line, "copy_from_query", counted)
    async with Transaction(pool, snapshot=True) as transaction, aclosing(transaction.copy(LARGE)) as pieces:
        for _ in range(3):
            taken += len(await anext(pieces))
            await until_the_server_is_held_up(pool)
            assert read == taken
