"""A response: the answers that one respondent has given to one survey, and how they change.

This is the rule that every store keeps. The in-memory store runs it; PostgreSQL does the same in one statement.
"""

import hashlib
import re
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, auto
from typing import Any

from domain.erasure import Erasure
from domain.errors import Conflict, Unauthenticated
from domain.survey import Change

FINGERPRINT_MIN, FINGERPRINT_MAX = 10, 255


_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


def is_token(text: str) -> bool:
    """Whether this has the form of a respondent token: 43 characters of base64url."""
    return _TOKEN.fullmatch(text) is not None


def bound(token_hash: bytes, project_id: int) -> bytes:
    """The hash of a token as one project keeps it: SHA-256 of the project's id (8 bytes, big-endian) and the token's own hash.

    So the same token, brought to two projects, shows in no table that the reader is the same.
    """
    return hashlib.sha256(project_id.to_bytes(8, "big", signed=True) + token_hash).digest()


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
    """What one respondent has answered.

    `versions` pins each answer to the survey version that it was given under; `seqs` remembers the highest sequence number that
    was applied to each field. `token_hash` is bound to the project. Its first save says whether a response is a test, for good.
    """

    project_id: int
    pseudonym: bytes
    token_hash: bytes
    answers: dict[str, Any]
    versions: dict[str, int]
    seqs: dict[str, int]
    revision: int
    survey_version: int
    created_at: datetime
    updated_at: datetime | None = None
    is_test: bool = False

    @property
    def saved_at(self) -> datetime:
        """When this last changed."""
        return self.updated_at or self.created_at

    @property
    def erasure(self) -> Erasure:
        """The erasure of this response as it is now."""
        return Erasure(project_id=self.project_id, pseudonym=self.pseudonym, created_at=self.created_at, revision=self.revision)

    def save(self, change: Change, *, seq: int | None, at: datetime) -> "Save":
        """This response with `change`. Raises `ConsentRequired`.

        A `seq` that is not above a field's stored one leaves that field as it is. What is left is judged by the state it leads
        to: without consent there are no other answers. The revision rises by one when the answers differ.
        """
        fresh = {field: value for field, value in change.answers.items() if seq is None or seq > self.seqs.get(field, -1)}
        answers = _settled(change, self.answers, fresh)
        seqs = self.seqs if seq is None else self.seqs | dict.fromkeys(fresh, seq)
        changed = {field: value for field, value in fresh.items() if value != self.answers.get(field)}
        saved = replace(self, answers=answers, seqs=seqs)
        if answers != self.answers:
            versions = self.versions | dict.fromkeys(changed, change.survey_version)
            saved = replace(
                saved,
                versions={field: version for field, version in versions.items() if field in answers},
                revision=self.revision + 1,
                survey_version=change.survey_version,
                updated_at=at,
            )
        return Save(
            response=saved,
            outcome=Outcome.UPDATED if fresh else Outcome.STALE,
            stale=frozenset(change.answers.keys() - fresh.keys()),
            changed=changed,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Save:
    """A response after a save: the fields that were stale, and the new values (None: withdrawn) of those that changed."""

    response: Response
    outcome: Outcome
    stale: frozenset[str]
    changed: dict[str, Any]


def new_response(
    change: Change, *, project_id: int, pseudonym: bytes, token_hash: bytes, seq: int | None, at: datetime, is_test: bool = False
) -> Save:
    """What a respondent's first save makes. Raises `ConsentRequired`."""
    answers = _settled(change, {}, change.answers)
    response = Response(
        project_id=project_id,
        pseudonym=pseudonym,
        token_hash=token_hash,
        answers=answers,
        versions=dict.fromkeys(answers, change.survey_version),
        seqs={} if seq is None else dict.fromkeys(change.answers, seq),
        revision=1,
        survey_version=change.survey_version,
        created_at=at,
        is_test=is_test,
    )
    return Save(response=response, outcome=Outcome.CREATED, stale=frozenset(), changed=answers)


def erased_by(change: Change, before: Response, after: Response) -> Erasure | None:
    """What a save erased, if it withdrew the consent that the answers before it were given under."""
    consent = change.consent
    if consent is None or before.answers.get(consent.field) != consent.accept or after.answers.get(consent.field) == consent.accept:
        return None
    return before.erasure


def _settled(change: Change, before: dict[str, Any], fresh: dict[str, Any]) -> dict[str, Any]:
    """The answers that `fresh` ones lead to. Raises `ConsentRequired`."""
    after = {field: value for field, value in (before | fresh).items() if value is not None}
    consent = change.consent
    if consent is None or after.get(consent.field) == consent.accept:
        return after
    if change.gated & fresh.keys():
        raise ConsentRequired
    return {field: value for field, value in after.items() if field == consent.field}
