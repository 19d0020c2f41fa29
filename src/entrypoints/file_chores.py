"""What the service does for files by itself: it sweeps what crashes left, and looks again and again whether contents are whole."""

from application.file import NotOurs
from entrypoints.background import Chore
from entrypoints.container import Container
from entrypoints.logs import logger

SWEEP_SECONDS = 900.0
VERIFY_SECONDS = 2.0


def file_chores(use: Container) -> list[Chore]:
    """The chores. A sweep comes first, right at the start; verifying takes one file at a time, so that it is never felt."""
    sweep, verify_next = use.sweep_files(), use.verify_next_file()

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

    return [
        Chore(name="sweep files", run=swept, every=SWEEP_SECONDS),
        Chore(name="verify files", run=verified, every=VERIFY_SECONDS),
    ]
