"""Access tokens as JWTs by python-jose, and refresh tokens by HMAC."""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from jose import jwt
from jose.exceptions import JOSEError

from application.ports import Tokens
from domain.session import InvalidToken

_ALGORITHM = "HS256"
_ISSUER = "complex-stories"
_AUDIENCE = "complex-stories-api"
_TYPE = "access"
_LONGEST = 1024
_LEEWAY = timedelta(seconds=5)
_REQUIRED = ("iss", "aud", "typ", "jti", "sub", "sid", "iat", "exp")


class JoseTokens(Tokens):
    """`keys`: secrets of at least 32 bytes, of which the first signs and all verify, so that a key can be replaced.

    Access and refresh tokens are made under different keys derived from each, so that neither kind can pass for the other.
    """

    def __init__(self, keys: Sequence[bytes], *, access_lifetime: timedelta) -> None:
        self._access_keys = [_derive(key, b"access") for key in keys]
        self._refresh_keys = [_derive(key, b"refresh") for key in keys]
        self._lifetime = access_lifetime

    @property
    def access_seconds(self) -> int:
        return int(self._lifetime.total_seconds())

    def access(self, *, user_id: int, session_id: UUID, at: datetime) -> str:
        issued = int(at.timestamp())
        claims = {
            "iss": _ISSUER,
            "aud": _AUDIENCE,
            "typ": _TYPE,
            "jti": secrets.token_urlsafe(12),
            "sub": str(user_id),
            "sid": str(session_id),
            "iat": issued,
            "exp": issued + self.access_seconds,
        }
        token: str = jwt.encode(claims, self._access_keys[0].hex(), algorithm=_ALGORITHM)
        return token

    def read_access(self, token: str, *, at: datetime) -> tuple[int, UUID]:
        if len(token) > _LONGEST:
            raise InvalidToken
        for key in self._access_keys:
            try:
                if "crit" in jwt.get_unverified_header(token):
                    raise InvalidToken
                claims = jwt.decode(
                    token,
                    key.hex(),
                    algorithms=[_ALGORITHM],
                    audience=_AUDIENCE,
                    issuer=_ISSUER,
                    options={"verify_exp": False, "verify_iat": False, "verify_nbf": False} | {f"require_{n}": True for n in _CHECKED},
                )
                return _subject(claims, at)
            except (JOSEError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
                continue
        raise InvalidToken

    def refresh(self, *, session_id: UUID, generation: int) -> str:
        return _encode(_body(session_id, generation), self._refresh_keys[0])

    def read_refresh(self, token: str) -> tuple[UUID, int]:
        try:
            raw = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True) if len(token) == _REFRESH_LENGTH else b""
        except (binascii.Error, UnicodeEncodeError):
            raise InvalidToken from None
        body, mac = raw[:_BODY], raw[_BODY:]
        if not any(hmac.compare_digest(mac, _mac(key, body)) for key in self._refresh_keys):
            raise InvalidToken
        return UUID(bytes=body[:16]), int.from_bytes(body[16:], "big")


_CHECKED = ("iss", "aud", "jti", "sub", "iat", "exp")
_GENERATION = 6
_BODY = 16 + _GENERATION
_REFRESH_LENGTH = (_BODY + 32) // 3 * 4  # no padding


def _subject(claims: dict[str, Any], at: datetime) -> tuple[int, UUID]:
    if any(name not in claims for name in _REQUIRED) or claims["typ"] != _TYPE:
        raise InvalidToken
    issued, expires = claims["iat"], claims["exp"]
    if type(issued) is not int or type(expires) is not int:
        raise InvalidToken
    if expires <= at.timestamp() or issued > (at + _LEEWAY).timestamp():
        raise InvalidToken
    return int(claims["sub"]), UUID(claims["sid"])


def _body(session_id: UUID, generation: int) -> bytes:
    return session_id.bytes + generation.to_bytes(_GENERATION, "big")


def _encode(body: bytes, key: bytes) -> str:
    return base64.urlsafe_b64encode(body + _mac(key, body)).decode()


def _mac(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, body, hashlib.sha256)


def _derive(key: bytes, purpose: bytes) -> bytes:
    return hmac.digest(key, b"complex-stories:" + purpose, "sha256")
