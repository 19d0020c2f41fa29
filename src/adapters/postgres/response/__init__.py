"""Responses in PostgreSQL: saved by readers, read by researchers."""

from adapters.postgres.response.reader import PostgresResponseReader
from adapters.postgres.response.repository import PostgresResponses

__all__ = ["PostgresResponseReader", "PostgresResponses"]
