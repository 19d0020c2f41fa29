"""A response: the answers that one respondent has given to one survey, and how they change.

This is the rule that every store keeps. The in-memory store runs it; PostgreSQL does the same in one statement.
"""

import hashlib
import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any

from domain.erasure import Erasure
from domain.errors import Conflict, Unauthenticated
from domain.survey import Change

FINGERPRINT_MIN, FINGERPRINT_MAX = 10, 255
CHANGES_MAX = 1_000
WITHHELD_FOR = timedelta(days=30)
ALL_FIELDS = "*"  # the key among `seqs` of a number that counts for every field: no field is called so


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
    """The respondent token is missing or is not this respondent's: send it as `X-Respondent-Token`.

    A token opens the response that it was brought with, or that it was answered for, and no other. Nothing more is told.
    """

    code = "respondent-token-required"
    detail = "The respondent's own token is needed for this."


class Outcome(Enum):
    """What came of a save."""

    CREATED = auto()
    UPDATED = auto()
    STALE = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What one respondent has answered.

    `versions` pins each answer to the survey version that it was given under; `seqs` remembers the highest sequence number that
    was applied to each field, and under `ALL_FIELDS` one for all. `token_hash` is bound to the project; `is_owned` says that the
    token was shown: from then on nothing is saved without it. `withheld` holds answers, as `{"value", "version"}`, whose consent was
    moved away without the token: they are nowhere until consent is given again, or until they are erased. Its first save says
    whether a response is a test, for good.
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
    is_owned: bool = False
    withheld: dict[str, dict[str, Any]] | None = None
    withheld_at: datetime | None = None

    @property
    def saved_at(self) -> datetime:
        """When this last changed."""
        return self.updated_at or self.created_at

    @property
    def erasure(self) -> Erasure:
        """The erasure of this response as it is now."""
        return Erasure(project_id=self.project_id, pseudonym=self.pseudonym, created_at=self.created_at, revision=self.revision)

    def save(self, change: Change, *, token: bytes | None, seq: int | None, at: datetime) -> "Save":
        """This response with `change`, by whoever shows `token` (its bound hash) or none. Raises `TokenRequired`, `ConsentRequired`.

        A `seq` that is not above a field's stored one leaves that field as it is; numbers begin anew when the token is first shown,
        since until then anybody could send them. What is left is judged by the state it leads to: without consent there are no
        other answers. The revision rises by one when what is stored differs.
        """
        if token != self.token_hash and (token is not None or self.is_owned):
            raise TokenRequired
        seqs = self.seqs if token is None or self.is_owned else {}
        fresh = {field: value for field, value in change.answers.items() if seq is None or seq > _last(seqs, field)}
        saved = self
        if fresh:
            saved = self._settled(change, fresh, by_owner=token is not None, at=at)
            saved = replace(saved, seqs=seqs if seq is None else seqs | dict.fromkeys(fresh, seq))
        forgets = token is not None and _withdraws(change, fresh)
        if forgets:
            saved = replace(saved, seqs=_collapsed(saved.seqs, change))
        if (saved.answers, saved.withheld) != (self.answers, self.withheld):
            saved = replace(saved, revision=self.revision + 1, survey_version=change.survey_version, updated_at=at)
        return Save(
            response=replace(saved, is_owned=self.is_owned or token is not None),
            outcome=Outcome.UPDATED if fresh else Outcome.STALE,
            stale=frozenset(change.answers.keys() - fresh.keys()),
            changed={field: value for field, value in fresh.items() if value != self.answers.get(field)},
            forgets=forgets,
            erased=self.erasure if forgets and (self.withheld or _consents(change, self.answers)) else None,
        )

    def _settled(self, change: Change, fresh: dict[str, Any], *, by_owner: bool, at: datetime) -> "Response":
        """This with the answers that `fresh` ones lead to. Raises `ConsentRequired`."""
        back = {} if self.withheld is None or not _consents(change, self.answers | fresh) or change.consent is None else self.withheld
        before = {field: each["value"] for field, each in back.items()} | self.answers
        after = _judged(change, before, fresh)
        changed = (field for field, value in fresh.items() if value != self.answers.get(field))
        versions = {field: each["version"] for field, each in back.items()} | self.versions
        versions |= dict.fromkeys(changed, change.survey_version)
        saved = replace(self, answers=after, versions={field: version for field, version in versions.items() if field in after})
        if back:
            return replace(saved, withheld=None, withheld_at=None)
        if not _withdraws(change, fresh):
            return saved
        if by_owner:
            return replace(saved, withheld=None, withheld_at=None)
        gone = {
            field: {"value": value, "version": self.versions[field]}
            for field, value in self.answers.items()
            if field not in after and field not in fresh
        }
        return replace(saved, withheld=(self.withheld or {}) | gone, withheld_at=self.withheld_at or at) if gone else saved

    def without_withheld(self, *, at: datetime) -> "Response":
        """This with what is withheld erased; its numbers tell no field any more."""
        seqs = {ALL_FIELDS: max(self.seqs.values())} if self.seqs else {}
        return replace(self, withheld=None, withheld_at=None, seqs=seqs, revision=self.revision + 1, updated_at=at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Save:
    """A response after a save: the fields that were stale, and the new values (None: withdrawn) of those that changed.

    `forgets`: consent was moved away by the owner, so that the history of all else goes. `erased` is what was erased by that.
    """

    response: Response
    outcome: Outcome
    stale: frozenset[str]
    changed: dict[str, Any]
    forgets: bool = False
    erased: Erasure | None = None


def new_response(
    change: Change,
    *,
    project_id: int,
    pseudonym: bytes,
    token_hash: bytes,
    seq: int | None,
    at: datetime,
    is_test: bool = False,
    is_owned: bool = False,
) -> Save:
    """What a respondent's first save makes; owned where the token was brought with it. Raises `ConsentRequired`."""
    answers = _judged(change, {}, change.answers)
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
        is_owned=is_owned,
    )
    return Save(response=response, outcome=Outcome.CREATED, stale=frozenset(), changed=answers)


def _last(seqs: dict[str, int], field: str) -> int:
    """The number that one for this field must be above."""
    return max(seqs.get(field, -1), seqs.get(ALL_FIELDS, -1))


def _collapsed(seqs: dict[str, int], change: Change) -> dict[str, int]:
    """Numbers that no longer tell which fields were answered."""
    consent = {} if change.consent is None else {change.consent.field}
    return {ALL_FIELDS: max(seqs.values())} if seqs.keys() - consent - {ALL_FIELDS} else seqs


def _consents(change: Change, answers: dict[str, Any]) -> bool:
    """Whether these answers hold the consent that is asked for, if one is."""
    return change.consent is None or answers.get(change.consent.field) == change.consent.accept


def _withdraws(change: Change, fresh: dict[str, Any]) -> bool:
    """Whether fresh answers say that there is no consent."""
    return change.consent is not None and change.consent.field in fresh and not _consents(change, fresh)


def _judged(change: Change, before: dict[str, Any], fresh: dict[str, Any]) -> dict[str, Any]:
    """The answers that `fresh` ones lead to. Raises `ConsentRequired`."""
    after = {field: value for field, value in (before | fresh).items() if value is not None}
    if _consents(change, after):
        return after
    if change.gated & fresh.keys():
        raise ConsentRequired
    if not _withdraws(change, fresh):
        return after  # given before there was a gate
    return {field: value for field, value in after.items() if change.consent and field == change.consent.field}
