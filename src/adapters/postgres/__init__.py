"""The store: PostgreSQL 15 or newer, by statements written in SQLAlchemy Core and run on asyncpg."""
