"""A response: the answers that one respondent has given to one survey, and how they change.

This is the rule that every store keeps. The in-memory store runs it; PostgreSQL does the same in one statement.
"""

import re
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, auto
from typing import Any

from domain.errors import Conflict, Unauthenticated
from domain.survey import Change

FINGERPRINT_MIN, FINGERPRINT_MAX = 10, 255


_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


def is_token(text: str) -> bool:
    """Whether this has the form of a respondent token: 43 characters of base64url."""
    return _TOKEN.fullmatch(text) is not None


class ConsentRequired(Conflict):
    """This survey asks for consent first: answer its consent question (`consent.field`) with `consent.accept`."""

    code = "consent-required"
    detail = "This survey takes other answers only after consent."


class TokenRequired(Unauthenticated):
    """The respondent token is missing or is not this respondent's: send it as `X-Respondent-Token`."""

    code = "respondent-token-required"
    detail = "The respondent's own token is needed for this."


class TokenTaken(Conflict):
    """This respondent token belongs to another respondent: a token is for one respondent of one project."""

    code = "respondent-token-taken"
    detail = "Another respondent of this project has this token."


class Outcome(Enum):
    """What came of a save."""

    CREATED = auto()
    UPDATED = auto()
    STALE = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What one respondent has answered. `seqs` remembers the highest sequence number applied to each field."""

    project_id: int
    pseudonym: bytes
    token_hash: bytes
    answers: dict[str, Any]
    seqs: dict[str, int]
    revision: int
    survey_version: int
    created_at: datetime
    updated_at: datetime | None = None

    @property
    def saved_at(self) -> datetime:
        """When this last changed."""
        return self.updated_at or self.created_at

    def save(self, change: Change, *, seq: int | None, at: datetime) -> tuple["Response", Outcome]:
        """This response with `change`. Raises `ConsentRequired`.

        A `seq` that is not above the stored one changes nothing. The revision rises by one when the answers differ.
        """
        if seq is not None and seq <= self.seqs.get(change.field, -1):
            return self, Outcome.STALE
        _pass_gate(change, self.answers)
        kept = {} if change.erases else {k: v for k, v in self.answers.items() if k != change.field}
        saved = replace(
            self,
            answers=kept | change.patch,
            seqs=self.seqs if seq is None else self.seqs | {change.field: seq},
        )
        if saved.answers == self.answers:
            return saved, Outcome.UPDATED
        return replace(saved, revision=self.revision + 1, survey_version=change.survey_version, updated_at=at), Outcome.UPDATED


def new_response(change: Change, *, project_id: int, pseudonym: bytes, token_hash: bytes, seq: int | None, at: datetime) -> Response:
    """The response that a respondent's first save makes. Raises `ConsentRequired`."""
    _pass_gate(change, {})
    return Response(
        project_id=project_id,
        pseudonym=pseudonym,
        token_hash=token_hash,
        answers=change.patch,
        seqs={} if seq is None else {change.field: seq},
        revision=1,
        survey_version=change.survey_version,
        created_at=at,
    )


def _pass_gate(change: Change, answers: dict[str, Any]) -> None:
    if change.gate is not None:
        field, accept = change.gate
        if answers.get(field) != accept:
            raise ConsentRequired
