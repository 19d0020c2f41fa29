"""Resources in PostgreSQL, as entities for changing them and as JSON for reading them."""

from adapters.postgres.resource.filters import PROJECT_EXISTS, count_statement, filtered, given, shape
from adapters.postgres.resource.reader import GET, PostgresResourceReader, rfc3339_text
from adapters.postgres.resource.repository import LIVE_ONE, SWAP, PostgresResourceEdits, PostgresResources
from adapters.postgres.resource.versions import PostgresResourceVersions

__all__ = [
    "GET",
    "LIVE_ONE",
    "PROJECT_EXISTS",
    "SWAP",
    "PostgresResourceEdits",
    "PostgresResourceReader",
    "PostgresResourceVersions",
    "PostgresResources",
    "count_statement",
    "filtered",
    "given",
    "rfc3339_text",
    "shape",
]
