"""Annotations in PostgreSQL: changed, drawn from the queue, and read."""

from adapters.postgres.annotation.reader import PostgresAnnotationReader
from adapters.postgres.annotation.repository import PostgresAnnotations

__all__ = ["PostgresAnnotationReader", "PostgresAnnotations"]
