"""What forged tokens are made from, and how one is signed."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

HEADER = {"alg": "HS256", "typ": "JWT"}
HASHES: dict[str, Callable[..., Any]] = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What a forger might come by, the signing secret included. `texts` are other secrets and words, by what they are."""

    access: str
    secret: bytes
    texts: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> bytes:
        """The key that signs access tokens: worked out here once more, not asked of the service."""
        return hmac.digest(self.secret, b"complex-stories:access", "sha256").hex().encode()

    @property
    def parts(self) -> list[str]:
        return self.access.split(".")

    @property
    def claims(self) -> dict[str, Any]:
        claims: dict[str, Any] = json.loads(decoded(self.parts[1]))
        return claims


@dataclass(frozen=True, slots=True, kw_only=True)
class Forged:
    """One token, of which kind, and the scheme it is sent under."""

    kind: str
    token: str
    scheme: str = "Bearer"

    @property
    def header(self) -> bytes:
        """The value of `Authorization`: a byte a character, where there is one."""
        text = f"{self.scheme} {self.token}"
        try:
            return text.encode("latin-1")
        except UnicodeEncodeError:
            return text.encode()


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def signed(header: Any, payload: Any, key: bytes, *, by: str = "HS256") -> str:
    """A JWS of these, each bytes as they are or else as JSON, whatever the header says of the algorithm."""
    body = ".".join(
        encoded(part if isinstance(part, bytes) else json.dumps(part, separators=(",", ":")).encode()) for part in (header, payload)
    )
    return f"{body}.{encoded(hmac.digest(key, body.encode(), HASHES[by]))}"
