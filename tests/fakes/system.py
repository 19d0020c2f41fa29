"""Time, chance and secrets that a test can foresee."""

import hashlib
import hmac
from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import count
from random import Random as SeededRandom
from uuid import UUID, uuid4

from application.ports import Clock, CommonPasswords, PasswordHasher, Random, Respondents, Sealer, Tokens
from domain.session import InvalidToken
from domain.user import normal_password
from tests.examples import NOW


class FakeClock(Clock):
    """Stands still until it is told otherwise."""

    def __init__(self, at: datetime = NOW) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def advance(self, by: timedelta) -> None:
        self.at += by


class FakeRandom(Random):
    """Counts, in the form of what it stands for; bits come from a generator that always begins alike."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._bits = SeededRandom(1).getrandbits

    def uuid(self) -> UUID:
        return UUID(int=(next(self._numbers) << 80) | (0x7 << 76) | (0b10 << 62))

    def token(self) -> str:
        return f"{next(self._numbers):0>43}"

    def bits(self, number: int) -> int:
        return self._bits(number)


class FakeHasher(PasswordHasher):
    """Quick hashes. `verifications` counts the work done, which an answer must not depend on.

    Hashes made before `get_stronger` are outdated after it.
    """

    def __init__(self) -> None:
        self.verifications = 0
        self.waiting = 0  # as the real one tells the metrics: here nothing ever waits
        self._salts = count(1)
        self._strong_from = 1

    def get_stronger(self) -> None:
        self._strong_from = next(self._salts) + 1

    def is_outdated(self, hashed: str) -> bool:
        return int(hashed.partition("$")[0]) < self._strong_from

    async def hash(self, password: str) -> str:
        return _salted(password, str(next(self._salts)))

    async def verify(self, password: str, hashed: str | None) -> bool:
        self.verifications += 1
        return hashed is not None and hashed == _salted(password, hashed.partition("$")[0])


def _salted(password: str, salt: str) -> str:
    return f"{salt}${hashlib.sha256(f'{salt}${normal_password(password)}'.encode()).hexdigest()}"


class FakeCommonPasswords(CommonPasswords):
    def __init__(self, words: Iterable[str] = ("password", "123456", "unbelievable")) -> None:
        self._words = frozenset(words)

    def __contains__(self, word: object) -> bool:
        return word in self._words


class FakeTokens(Tokens):
    """Tokens that are genuine because they were made here, which is remembered."""

    def __init__(self, *, access_lifetime: timedelta = timedelta(minutes=15)) -> None:
        self._lifetime = access_lifetime
        self._secret = uuid4()
        self._numbers = count(1)
        self._access: dict[str, tuple[int, UUID, datetime]] = {}
        self._refresh: dict[str, tuple[UUID, int]] = {}

    @property
    def access_seconds(self) -> int:
        return int(self._lifetime.total_seconds())

    def access(self, *, user_id: int, session_id: UUID, at: datetime) -> str:
        token = f"access-{next(self._numbers)}-{uuid4()}"
        self._access[token] = user_id, session_id, at + self._lifetime
        return token

    def read_access(self, token: str, *, at: datetime) -> tuple[int, UUID]:
        user_id, session_id, expires_at = self._access.get(token, (0, UUID(int=0), at))
        if at >= expires_at:
            raise InvalidToken
        return user_id, session_id

    def refresh(self, *, session_id: UUID, generation: int) -> str:
        token = f"refresh-{session_id}-{generation}-of-{self._secret}"
        self._refresh[token] = session_id, generation
        return token

    def read_refresh(self, token: str) -> tuple[UUID, int]:
        if token not in self._refresh:
            raise InvalidToken
        return self._refresh[token]


class FakeSealer(Sealer):
    def __init__(self, key: bytes = b"key") -> None:
        self._key = key

    def seal(self, message: bytes) -> bytes:
        return hmac.digest(self._key, message, "sha256")


class FakeRespondents(Respondents):
    def __init__(self) -> None:
        self._numbers = count(1)

    def pseudonym(self, *, project_id: int, fingerprint: str) -> bytes:
        return hashlib.sha256(f"{project_id}:{fingerprint}".encode()).digest()

    def pseudonym_of_token(self, *, project_id: int, token_hash: bytes) -> bytes:
        return self.pseudonym(project_id=project_id, fingerprint=f"\x00token:{token_hash.hex()}")

    def token(self) -> str:
        return f"{next(self._numbers):0>43}"

    def hash(self, token: str) -> bytes:
        return hashlib.sha256(token.encode()).digest()
