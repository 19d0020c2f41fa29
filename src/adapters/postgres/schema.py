"""Bringing a database to the schema that this program needs."""

from adapters.postgres.revisions import SchemaError, expect_current, is_current, pending

__all__ = ["SchemaError", "expect_current", "migrate", "pending", "unmigrate"]


async def migrate(url: str, *, to: str = "head") -> None:
    """Run the migrations up to the revision `to` in one transaction; two at once do it once. Raises `SchemaError`."""
    if to == "head" and await is_current(url):
        return
    from adapters.postgres.migrating import upgrade  # noqa: PLC0415 - Alembic and the ORM it brings cost 20 MB, once a version

    await upgrade(url, to)


async def unmigrate(url: str, *, to: str = "base") -> None:
    """Run the migrations back down to the revision `to`."""
    from adapters.postgres.migrating import downgrade  # noqa: PLC0415 - as above

    await downgrade(url, to)
