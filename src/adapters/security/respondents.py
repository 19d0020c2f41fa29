"""Readers known by keyed hashes: HMAC-SHA-256 of the fingerprint under a key that belongs to one project."""

import hashlib
import hmac
import secrets
from functools import lru_cache

from application.ports import Respondents


class HmacRespondents(Respondents):
    def __init__(self, pepper: bytes) -> None:
        """`pepper`: at least 32 secret bytes. Whoever loses them loses every reader's way back to the own response."""
        self._project_key = lru_cache(maxsize=1000)(lambda project_id: _hmac(pepper, b"project:%d" % project_id))

    def pseudonym(self, *, project_id: int, fingerprint: str) -> bytes:
        return _hmac(self._project_key(project_id), fingerprint.encode())

    def pseudonym_of_token(self, *, project_id: int, token_hash: bytes) -> bytes:
        # No fingerprint holds a NUL.
        return self.pseudonym(project_id=project_id, fingerprint=f"\x00token:{token_hash.hex()}")

    def token(self) -> str:
        return secrets.token_urlsafe(32)

    def hash(self, token: str) -> bytes:
        return hashlib.sha256(token.encode()).digest()


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")
