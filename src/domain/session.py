"""A sign-in that lasts: its refresh tokens, their rotation, and its end."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto
from uuid import UUID

from domain.errors import TooMany, Unauthenticated

ABSOLUTE_LIFETIME = timedelta(days=30)
IDLE_LIFETIME = timedelta(days=7)
REPLAY_GRACE = timedelta(seconds=5)
LIVE_MAX = 50  # sign-ins of one person at once
FAILED_SIGN_INS = 10
FAILURE_WINDOW = timedelta(minutes=15)


class InvalidCredentials(Unauthenticated):
    """The username or the password is wrong, or the account is not active: it is not told which."""

    code = "invalid-credentials"
    detail = "The username or the password is wrong."


class InvalidToken(Unauthenticated):
    """The token is malformed, expired, or of a session that has ended: sign in again."""

    code = "invalid-token"
    detail = "The token is not valid: sign in again."


class TooManyAttempts(TooMany):
    """Too many failed sign-ins for this username from your network: wait as many seconds as `Retry-After` says."""

    code = "too-many-attempts"
    detail = "Too many failed sign-ins: wait a little."


class Refresh(Enum):
    """What showing a refresh token led to."""

    ROTATED = auto()
    REPEATED = auto()
    ENDED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One sign-in. `generation` counts the rotations; only the refresh token of that generation is current.

    Tokens are made from the id and the generation under a secret key, so that nothing stored here helps a thief.
    """

    id: UUID
    user_id: int
    generation: int = 0
    created_at: datetime
    rotated_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None

    def refresh(self, generation: int, *, at: datetime) -> tuple["Session", Refresh]:
        """Show the genuine refresh token of `generation`.

        The current one rotates. The one before it, within five seconds and while its successor is unused, is an honest
        repetition (a lost answer, two tabs) and leads to the same successor. Any other is a replay and ends the session,
        as RFC 9700, section 4.14.2, asks.
        """
        if not self.is_live(at):
            return self, Refresh.ENDED
        if generation == self.generation:
            return replace(self, generation=generation + 1, rotated_at=at), Refresh.ROTATED
        if generation == self.generation - 1 and at - self.rotated_at <= REPLAY_GRACE:
            return self, Refresh.REPEATED
        return replace(self, ended_at=at), Refresh.ENDED

    @property
    def last_used_at(self) -> datetime:
        """When this session was last refreshed, or else begun."""
        return self.rotated_at

    def is_live(self, at: datetime) -> bool:
        """Whether this session still opens anything."""
        return self.ended_at is None and at < min(self.expires_at, self.rotated_at + IDLE_LIFETIME)


def new_session(*, id: UUID, user_id: int, at: datetime) -> Session:
    """A sign-in that begins now."""
    return Session(id=id, user_id=user_id, created_at=at, rotated_at=at, expires_at=at + ABSOLUTE_LIFETIME)
