"""How a statement written in Core runs: compiled once, executed by asyncpg, by itself or within a transaction.

Why not through SQLAlchemy's own engine: docs/decisions/0002-core-on-asyncpg.md.
"""

from adapters.postgres.database.jsonb import as_json
from adapters.postgres.database.pool import ANSWER_SECONDS, ATTEMPTS, Pool
from adapters.postgres.database.statement import Executor, Statement, parameters
from adapters.postgres.database.transaction import Transaction

__all__ = ["ANSWER_SECONDS", "ATTEMPTS", "Executor", "Pool", "Statement", "Transaction", "as_json", "parameters"]
