"""That a response was erased, in a form by which older copies of it are found, and nobody."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """A response that was erased, as it was; or as a withdrawal of consent found it.

    A copy with the same first three at this revision or before is a copy of what was erased. What the same reader gave afterwards is
    not: a new response has another time of creation, and one that went on after a withdrawal a higher revision.
    """

    project_id: int
    pseudonym: bytes
    created_at: datetime
    revision: int

    @property
    def subject(self) -> bytes:
        """What tells the response from every other one, whatever becomes of it: 48 bytes, to be sealed before they are kept."""
        microseconds = round(self.created_at.timestamp() * 1_000_000)
        return self.project_id.to_bytes(8, "big") + microseconds.to_bytes(8, "big", signed=True) + self.pseudonym
