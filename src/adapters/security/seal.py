"""What seals the audit trail and the journal of erasures: HMAC-SHA-256, each under a key of its own, made from the pepper."""

import hmac

from application.ports import Sealer


class HmacSealer(Sealer):
    def __init__(self, pepper: bytes, *, purpose: bytes = b"audit-chain") -> None:
        """`pepper`: at least 32 secret bytes that the database does not hold; a chain is checked with those it was made with."""
        self._key = hmac.digest(pepper, purpose, "sha256")

    def seal(self, message: bytes) -> bytes:
        return hmac.digest(self._key, message, "sha256")
