"""Keeping an eye on the replica."""

from entrypoints.background import Chore
from entrypoints.container import Container
from entrypoints.logs import logger

LOOK_SECONDS = 1.0


def replica_chores(use: Container) -> list[Chore]:
    """The chore, where there is a replica: look how old it is; the log tells when that decides otherwise."""
    replica = use.replica()
    if replica is None:
        return []
    was_fresh = True

    async def looked() -> bool:
        nonlocal was_fresh
        await replica.look()
        if replica.is_fresh != was_fresh:
            was_fresh = replica.is_fresh
            logger.warning("replica is used" if was_fresh else "replica lags or is away: the primary answers instead")
        return False

    return [Chore(name="look at the replica", run=looked, every=LOOK_SECONDS)]
