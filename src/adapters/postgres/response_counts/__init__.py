"""Exact counts of surveys in PostgreSQL. See docs/decisions/0032-counting.md."""

from adapters.postgres.response_counts.repository import PostgresResponseCounts
from adapters.postgres.response_counts.statements import Pace

__all__ = ["Pace", "PostgresResponseCounts"]
