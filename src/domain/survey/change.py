"""What an accepted answer does to a response."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One accepted answer: `value` is canonical, None withdraws. `survey_version` is the version that accepted it.

    `gate` is the consent field and the value that it must hold before this change may happen; None where there is no gate.
    `erases` says that this change withdraws consent, and all other answers with it.
    """

    field: str
    value: Any
    code: int | None
    has_codes: bool
    survey_version: int
    gate: tuple[str, Any] | None = None
    erases: bool = False

    @property
    def patch(self) -> dict[str, Any]:
        """The answers that this change sets."""
        return {} if self.value is None else {self.field: self.value}
