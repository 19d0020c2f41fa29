"""Access tokens as JWTs by python-jose, and refresh tokens by HMAC."""

import base64
import binascii
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from jose import jws, jwt
from jose.exceptions import JOSEError

from application.ports import Tokens
from domain.session import InvalidToken

REMEMBERED = 1024  # tokens that were found to be genuine

_ALGORITHM = "HS256"
_ISSUER = "complex-stories"
_AUDIENCE = "complex-stories-api"
_TYPE = "access"
_LONGEST = 1024
_LEEWAY_SECONDS = 5
_ID_MAX = 2**63 - 1
_NAME_BYTES = 12
_NAME = re.compile(r"[A-Za-z0-9_-]{16}")


class JoseTokens(Tokens):
    """`keys`: secrets of at least 32 bytes, of which the first signs and all verify, so that a key can be replaced.

    Access and refresh tokens are made under different keys derived from each, so that neither kind can pass for the other.
    A token is genuine only as the very text that is made here: another header, order, encoding or claim is refused, signed or not.
    """

    def __init__(self, keys: Sequence[bytes], *, access_lifetime: timedelta) -> None:
        self._access_keys = [_derive(key, b"access") for key in keys]
        self._refresh_keys = [_derive(key, b"refresh") for key in keys]
        self._lifetime = access_lifetime
        self._header = self._signed({}).partition(".")[0]
        self._genuine = lru_cache(REMEMBERED)(self._read)

    @property
    def access_seconds(self) -> int:
        return int(self._lifetime.total_seconds())

    def access(self, *, user_id: int, session_id: UUID, at: datetime) -> str:
        issued = int(at.timestamp())
        name = secrets.token_urlsafe(_NAME_BYTES)
        return self._signed(_claims(user_id, session_id, name=name, issued=issued, expires=issued + self.access_seconds))

    def read_access(self, token: str, *, at: datetime) -> tuple[int, UUID]:
        user_id, session_id, issued, expires = self._genuine(token)
        now = at.timestamp()
        if expires <= now or issued > now + _LEEWAY_SECONDS:
            raise InvalidToken
        return user_id, session_id

    def _read(self, token: str) -> tuple[int, UUID, int, int]:
        """Whom a genuine token names, and from when to when. Those that are used now are remembered: what they say never changes."""
        head, _, rest = token.partition(".")
        if len(token) > _LONGEST or head != self._header or not all(map(_is_canonical, rest.split("."))):
            raise InvalidToken
        for key in self._access_keys:
            try:
                payload = jws.verify(token, key.hex(), algorithms=[_ALGORITHM])
            except JOSEError:
                continue
            return self._holder(payload)
        raise InvalidToken

    def _signed(self, claims: dict[str, Any]) -> str:
        token: str = jwt.encode(claims, self._access_keys[0].hex(), algorithm=_ALGORITHM)
        return token

    def _holder(self, payload: bytes) -> tuple[int, UUID, int, int]:
        """Whom a payload names, and from when to when, that is the one made here for its user, session, name and times."""
        try:
            claims = json.loads(payload)
            name, issued, expires = claims["jti"], claims["iat"], claims["exp"]
            user_id, session_id = int(claims["sub"]), UUID(claims["sid"])
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            raise InvalidToken from None
        if type(name) is not str or type(issued) is not int or type(expires) is not int:
            raise InvalidToken
        if not 0 < expires - issued <= self.access_seconds:
            raise InvalidToken
        made = _claims(user_id, session_id, name=name, issued=issued, expires=expires)
        if not _NAME.fullmatch(name) or not 1 <= user_id <= _ID_MAX or _json(made) != payload:
            raise InvalidToken
        return user_id, session_id, issued, expires

    def refresh(self, *, session_id: UUID, generation: int) -> str:
        return _encode(_body(session_id, generation), self._refresh_keys[0])

    def read_refresh(self, token: str) -> tuple[UUID, int]:
        try:
            raw = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True) if len(token) == _REFRESH_LENGTH else b""
        except (binascii.Error, UnicodeEncodeError):
            raise InvalidToken from None
        body, mac = raw[:_BODY], raw[_BODY:]
        if not _is_canonical(token):
            raise InvalidToken
        if not any(hmac.compare_digest(mac, _mac(key, body)) for key in self._refresh_keys):
            raise InvalidToken
        return UUID(bytes=body[:16]), int.from_bytes(body[16:], "big")


_GENERATION = 6
_BODY = 16 + _GENERATION
_REFRESH_LENGTH = (_BODY + 32) // 3 * 4  # no padding


def _claims(user_id: int, session_id: UUID, *, name: str, issued: int, expires: int) -> dict[str, Any]:
    return {
        "iss": _ISSUER,
        "aud": _AUDIENCE,
        "typ": _TYPE,
        "jti": name,
        "sub": str(user_id),
        "sid": str(session_id),
        "iat": issued,
        "exp": expires,
    }


def _json(claims: dict[str, Any]) -> bytes:
    """As python-jose writes them."""
    return json.dumps(claims, separators=(",", ":")).encode()


def _is_canonical(part: str) -> bool:
    """Whether this is the one text of base64url for its bytes: decoders pass over padding, junk and the bits past the last byte."""
    try:
        raw = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        return False
    return bool(raw) and base64.urlsafe_b64encode(raw).decode().rstrip("=") == part


def _body(session_id: UUID, generation: int) -> bytes:
    return session_id.bytes + generation.to_bytes(_GENERATION, "big")


def _encode(body: bytes, key: bytes) -> str:
    return base64.urlsafe_b64encode(body + _mac(key, body)).decode()


def _mac(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, body, hashlib.sha256)


def _derive(key: bytes, purpose: bytes) -> bytes:
    return hmac.digest(key, b"complex-stories:" + purpose, "sha256")
