"""What the service does by itself, beside answering, over the use cases of a container."""

from application.file import NotOurs
from entrypoints.background import Chore
from entrypoints.container import Container
from entrypoints.logs import logger

CHAIN_SECONDS = 1.0
EXPORT_SECONDS = 1.0
FORGET_SECONDS = 3600.0
LOOK_SECONDS = 1.0
RESULTS_SECONDS = 1.0
SWEEP_SECONDS = 900.0
VERIFY_SECONDS = 2.0
WITHHELD_SECONDS = 300.0


def chores_of(use: Container) -> list[Chore]:
    """All chores.

    The audit trail is chained, results that are due are published, old versions are let go of, withheld answers are erased in time,
    exports that wait are made, contents are swept and looked at, a replica is watched.
    """
    return [
        Chore(name="chain the audit trail", run=use.chain_audit(), every=CHAIN_SECONDS),
        Chore(name="publish results", run=use.publish_due_results(), every=RESULTS_SECONDS),
        Chore(name="let old versions go", run=use.forget_resource_versions(), every=FORGET_SECONDS),
        Chore(name="erase withheld answers", run=use.erase_withheld(), every=WITHHELD_SECONDS),
        _exports(use),
        *_files(use),
        *_replica(use),
    ]


def _exports(use: Container) -> Chore:
    make_next = use.make_next_export()

    async def made() -> bool:
        export = await make_next()
        if export is not None and export.reason is not None:
            logger.error("export failed", export=str(export.export_id), reason=export.reason)
        return export is not None

    return Chore(name="make exports", run=made, every=EXPORT_SECONDS)


def _files(use: Container) -> list[Chore]:
    """A sweep comes first, right at the start; verifying takes one content at a time, so that it is never felt."""
    sweep, verify_next, verify_next_export = use.sweep_files(), use.verify_next_file(), use.verify_next_export()

    async def swept() -> bool:
        try:
            removed = await sweep()
        except NotOurs as error:
            logger.error("leftovers of uploads not removed", cause=error.detail)
            return False
        if removed:
            logger.info("leftovers of uploads removed", contents=removed)
        return False

    async def verified() -> bool:
        finding = await verify_next()
        if finding is not None:
            logger.error("content of a file is not what was uploaded", fault=finding.fault.value, content=finding.name)
        return False

    async def verified_export() -> bool:
        finding = await verify_next_export()
        if finding is not None:
            logger.error("content of an export is not what was made", fault=finding.fault.value, content=finding.name)
        return False

    return [
        Chore(name="sweep files", run=swept, every=SWEEP_SECONDS),
        Chore(name="verify files", run=verified, every=VERIFY_SECONDS),
        Chore(name="verify exports", run=verified_export, every=VERIFY_SECONDS),
    ]


def _replica(use: Container) -> list[Chore]:
    """Looking how old the replica is, where there is one; the log tells when that decides otherwise."""
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
