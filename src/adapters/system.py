"""The clock and the randomness of the operating system."""

import secrets
import time
from datetime import UTC, datetime
from uuid import UUID

from application.ports import Clock, Random


class SystemClock(Clock):
    def now(self) -> datetime:
        return datetime.now(UTC)


class SystemRandom(Random):
    def uuid(self) -> UUID:
        """A UUIDv7 as RFC 9562, section 5.7, lays it out: 48 bits of milliseconds, then 74 random bits."""
        milliseconds = time.time_ns() // 1_000_000
        number = (milliseconds << 80) | (0x7 << 76) | (secrets.randbits(12) << 64) | (0b10 << 62) | secrets.randbits(62)
        return UUID(int=number)

    def token(self) -> str:
        return secrets.token_urlsafe(32)

    def bits(self, number: int) -> int:
        return secrets.randbits(number)
