"""A table of resources on its way in: staged by COPY, compared and applied by set-based statements."""

from adapters.postgres.resource_import.repository import PostgresResourceImports

__all__ = ["PostgresResourceImports"]
