"""Whether the service could run here."""

import sys
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from domain.errors import Full, Unavailable
from entrypoints.container import Container, SchemaError, check_redis, loud, pending
from entrypoints.runtime import Deployment
from entrypoints.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    what: str
    is_good: bool
    detail: str

    def document(self) -> dict[str, Any]:
        return asdict(self)


async def examine(deployment: Deployment, settings: Settings) -> list[Finding]:
    """Look at the interpreter, the database and its schema, the store of files, and the settings that matter."""
    findings = [
        Finding(what="python", is_good=sys.version_info >= (3, 11), detail=sys.version.split()[0]),
        Finding(what="data folder", is_good=True, detail=str(settings.data_dir.resolve())),
        Finding(what="secrets", is_good=True, detail="given" if settings.secret_key and settings.pepper else "made in the data folder"),
    ]
    if settings.redis_url:
        findings.append(await _redis(settings.redis_url))
    try:
        missing = await pending(deployment.database_url)
    except SchemaError as error:
        return [*findings, Finding(what="schema", is_good=False, detail=str(error))]
    except Unavailable as error:
        return [*findings, Finding(what="database", is_good=False, detail=f"does not answer: {error.__cause__}")]
    findings.append(Finding(what="database", is_good=True, detail="embedded" if settings.database_url is None else "given, and answers"))
    schema = f"lacks {', '.join(missing)}: run complex-stories migrate" if missing else "up to date"
    findings.append(Finding(what="schema", is_good=not missing, detail=schema))
    findings.append(_server_log(await loud(deployment.database_url)))
    return [*findings, await _storage(deployment.container(settings))]


def _server_log(loud_settings: list[str]) -> Finding:
    if not loud_settings:
        return Finding(what="database log", is_good=True, detail="holds nothing that people typed")
    detail = f"may hold what people typed, by {', '.join(loud_settings)}: see docs/operations.md"
    return Finding(what="database log", is_good=False, detail=detail)


async def _redis(url: str) -> Finding:
    try:
        await check_redis(url)
    except Unavailable as error:
        return Finding(what="redis", is_good=False, detail=f"does not answer: {error.__cause__}")
    return Finding(what="redis", is_good=True, detail="given, answers and counts")


async def _storage(container: Container) -> Finding:
    """Whether contents can be kept: by keeping one, and leaving it."""
    store, where = container.file_store(), urlsplit(container.config.storage_url())
    detail = f"{where.scheme}://{where.netloc}{unquote(where.path)}"
    try:
        await store.check()
        async with store.incoming() as content:
            await content.write(b"doctor")
    except (Unavailable, Full) as error:
        return Finding(what="storage", is_good=False, detail=f"{detail}: {error.detail} ({error.__cause__})".partition("\n")[0])
    return Finding(what="storage", is_good=True, detail=detail)
