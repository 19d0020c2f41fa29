"""Idempotency keys: by one of these a request that is sent again is known, and answered what it was answered first."""

from dataclasses import dataclass
from datetime import timedelta

from domain.errors import Conflict, Fault, Invalid

KEY_MAX = 255
KEPT_FOR = timedelta(hours=24)


class StillRunning(Conflict):
    """A request with this `Idempotency-Key` is being worked on: send it again, as it is, after `Retry-After` seconds."""

    code = "idempotency-key-in-use"
    detail = "A request with this Idempotency-Key is being worked on: send it again shortly."
    retry_after: float = 1


class KeyReused(Invalid):
    """This `Idempotency-Key` came with another request within the last 24 hours, and nothing was done now: take a new key."""

    code = "idempotency-key-reused"
    detail = "This Idempotency-Key came with another request."

    def __init__(self) -> None:
        super().__init__(Fault(pointer="", code=self.code, detail=self.detail))


class BadKey(Invalid):
    """An `Idempotency-Key` is 1 to 255 printable ASCII characters, and comes once: a new UUID does well."""

    code = "idempotency-key-malformed"
    detail = f"One Idempotency-Key of 1 to {KEY_MAX} printable ASCII characters."

    def __init__(self) -> None:
        super().__init__(Fault(pointer="", code=self.code, detail=self.detail))


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyed:
    """A request with a key, which is its user's alone. Requests of one `fingerprint` ask for the same.

    Raises `BadKey`.
    """

    user_id: int
    key: str
    fingerprint: bytes

    def __post_init__(self) -> None:
        if not (1 <= len(self.key) <= KEY_MAX and self.key.isascii() and self.key.isprintable()):
            raise BadKey
