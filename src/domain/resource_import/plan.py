"""What an import would do, and whether it still would."""

from dataclasses import dataclass
from hashlib import sha256

from domain.errors import Conflict
from domain.resource_import.table import Mode, TableKind


class PlanOutdated(Conflict):
    """The import would no longer do what its plan says, since table, mode or resources changed: make a new dry run."""

    code = "plan-outdated"
    detail = "The import would no longer do what the plan says."


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a table does to the resources of a project. `mark` stands for which of them, at which version, it does what to."""

    inserted: int
    updated: int
    deleted: int
    unchanged: int
    mark: bytes


def plan_of(effect: Effect, *, project: str, mode: Mode, kind: TableKind, digest: bytes) -> str:
    """A token for exactly this effect: which names are inserted follows from the table, of which `digest` is the SHA-256."""
    counts = f"{effect.inserted} {effect.updated} {effect.deleted} {effect.unchanged}"
    return sha256(b"\n".join([project.encode(), mode.encode(), kind.encode(), counts.encode(), digest, effect.mark])).hexdigest()
