"""Responses in PostgreSQL: a save of one answer is one statement; what takes more to decide is one transaction."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import fields
from datetime import datetime
from hmac import compare_digest
from secrets import token_hex
from typing import Any

from asyncpg import Record

from adapters.postgres.database import ATTEMPTS, Pool, Statement, Transaction
from adapters.postgres.integrity import Again
from adapters.postgres.response.erasing import ERASE_NAMED, ERASE_TESTS, erase_and_tell, named
from adapters.postgres.response.statements import (
    BEGIN,
    BY_TOKEN,
    COUNT_HISTORY,
    ERASE,
    FORGET_HISTORY,
    FORGET_WITHHELD,
    HOLD_SURVEY,
    LOCK,
    LOG,
    LOOK,
    ONE_AT_A_TIME,
    SAVE,
    SAVE_BEHIND_GATE,
    STOP_WITHHOLDING,
    STORE,
    TRIM_HISTORY,
    WITHHELD,
)
from application.ports import Responses, Saved, SurveyMoved, Witness
from domain.audit import Entry
from domain.erasure import Erasure
from domain.errors import NotFound, Unavailable, expect_version
from domain.response import ALL_FIELDS, CHANGES_MAX, ConsentRequired, Outcome, Response, Save, TokenRequired, bound, new_response
from domain.survey import Change

_ATTEMPTS = 5
_ROOM = 100  # by so much a full history is shortened, so that not each save that follows has to
_WITHHELD_AT_ONCE = 100


async def _unseen(_: Erasure) -> None:
    """A witness who keeps nothing."""


class PostgresResponses(Responses):
    def __init__(self, pool: Pool, *, witness: Witness = _unseen, request_id: Callable[[], str | None] = lambda: None) -> None:
        self._pool = pool
        self._witness = witness
        self._request_id = request_id

    async def save(
        self,
        change: Change,
        *,
        project_id: int,
        pseudonym: bytes,
        token_hash: bytes,
        is_shown: bool,
        by_token: bool = False,
        seq: int | None,
        at: datetime,
        is_test: bool = False,
    ) -> Saved:
        given = {
            "project_id": project_id,
            "pseudonym": pseudonym,
            "turn": int.from_bytes(pseudonym[:8], signed=True),
            "token_hash": bound(token_hash, project_id),
            "is_shown": is_shown,
            "by_token": by_token,
            "is_test": is_test,
            "seq": seq,
            "survey_version": change.survey_version,
            "save": token_hex(16),
            "at": at,
        }
        is_single = len(change.answers) == 1 and not change.withdraws_consent
        for _ in range(_ATTEMPTS):
            saved = await self._save_one(change, given) if is_single else None
            saved = saved or await self._save_together_or_again(change, given)
            if saved is not None:
                return saved
        raise Unavailable

    async def _save_one(self, change: Change, given: dict[str, Any]) -> Saved | None:
        """None: this takes more than one statement."""
        ((field, value),) = change.answers.items()
        patch = {} if value is None else {field: value}
        given |= {
            "field": field,
            "patch": patch,
            "seqs": {} if given["seq"] is None else {field: given["seq"]},
            "versions": dict.fromkeys(patch, change.survey_version),
            "logged": len(patch),
        }
        if change.gated and change.consent is not None:
            gate = {"gate_field": change.consent.field, "gate_accept": change.consent.accept}
            row = await self._pool.row(SAVE_BEHIND_GATE[given["by_token"]], **given, **gate)
        else:
            row = await self._pool.row(SAVE[given["by_token"]], **given)
        if row is None:
            return await self._why_not(change, given)
        return Saved(
            outcome=Outcome.CREATED if row["created"] else Outcome.UPDATED,
            answers=change.answers,
            stale=frozenset(),
            revision=row["revision"],
            saved_at=row["saved_at"],
        )

    async def _why_not(self, change: Change, given: dict[str, Any]) -> Saved | None:
        """Why a save went nowhere: raises, or says that it is stale. None: for a reason that the domain knows, or one that is gone."""
        rows = await self._pool.rows(LOOK, **given)
        if not rows:
            raise SurveyMoved
        row = _named_one([row for row in rows if row["revision"] is not None], given)
        if row is None:
            if change.gated:
                raise ConsentRequired
            return None
        _check_owner(row, given)
        if _is_stale(row, given):
            return Saved(
                outcome=Outcome.STALE,
                answers={field: row["answers"].get(field) for field in change.answers},
                stale=frozenset(change.answers),
                revision=row["revision"],
                saved_at=row["saved_at"],
                seqs=row["seqs"],
            )
        if change.gated and change.consent and row["answers"].get(change.consent.field) != change.consent.accept:
            raise ConsentRequired
        return None

    async def _save_together_or_again(self, change: Change, given: dict[str, Any]) -> Saved | None:
        """As `_save_together`, which is undone whole when it meets a deadlock, and then safe to run again."""
        for _ in range(ATTEMPTS - 1):
            with suppress(Again):
                return await self._save_together(change, given)
        return await self._save_together(change, given)

    async def _save_together(self, change: Change, given: dict[str, Any]) -> Saved | None:
        """Let the domain decide on the locked response. None: another made it at the same time, so try again."""
        async with Transaction(self._pool) as work:
            await work.row(ONE_AT_A_TIME, **given)
            if await work.row(HOLD_SURVEY, **given) is None:
                raise SurveyMoved
            row = _named_one(await work.rows(LOCK, **given), given)
            if row is None:
                owner = {name: given[name] for name in ("project_id", "pseudonym", "token_hash", "is_test")}
                save = new_response(change, seq=given["seq"], at=given["at"], is_owned=given["is_shown"], **owner)
                made = await work.row(BEGIN, **_columns_of(save.response), last_save=given["save"], changes=len(save.changed))
                if made is None:
                    return None
                response_id, changes = made["id"], len(save.changed)
            else:
                token = given["token_hash"] if given["is_shown"] else None
                save = _response(row).save(change, token=token, seq=given["seq"], at=given["at"])
                response_id, changes = row["id"], row["changes"] + len(save.changed)
                await work.row(STORE, id=response_id, **_columns_of(save.response), changes=changes)
                if save.erased:
                    await self._witness(save.erased)
            await self._log(work, response_id, change, save, given)
            await _bound_history(work, response_id, changes, kept=change.consent.field if save.forgets and change.consent else None)
            await work.commit()
        return Saved(
            outcome=save.outcome,
            answers={field: save.response.answers.get(field) for field in change.answers},
            stale=save.stale,
            revision=save.response.revision,
            saved_at=save.response.saved_at,
            seqs=save.response.seqs if save.outcome is Outcome.STALE else None,
        )

    async def _log(self, work: Transaction, response_id: int, change: Change, save: Save, given: dict[str, Any]) -> None:
        for field, value in save.changed.items():
            entry = {
                "response_id": response_id,
                "revision": save.response.revision,
                "field": field,
                "value": value,
                "survey_version": change.survey_version,
                "seq": given["seq"],
                "changed_at": given["at"],
                "project_id": given["project_id"],
            }
            await work.row(LOG, **entry)

    async def erase_withheld(self, *, before: datetime, at: datetime) -> int:
        async with Transaction(self._pool) as work:
            rows = await work.rows(WITHHELD, before=before, limit=_WITHHELD_AT_ONCE)
            for row in rows:
                found = _response(row)
                await self._witness(found.erasure)
                await work.row(STOP_WITHHOLDING, id=row["id"], **_columns_of(found.without_withheld(at=at)))
                await work.row(FORGET_WITHHELD, id=row["id"], kept=list(found.answers))
                await work.row(COUNT_HISTORY, id=row["id"])
            await work.commit()
        return len(rows)

    async def by_token(self, project: str, token_hash: bytes) -> Response | None:
        row = await self._pool.row(BY_TOKEN, slug=project, token_hash=token_hash)
        if row is None:
            raise NotFound
        return None if row["revision"] is None else _response(row)

    async def erase(self, project: str, token_hash: bytes, *, expected: frozenset[int] | None = None) -> bool:
        async with Transaction(self._pool) as work:
            rows = await work.rows(ERASE, slug=project, token_hash=token_hash)
            gone = [Erasure(**{field.name: row[field.name] for field in fields(Erasure)}) for row in rows if row["revision"] is not None]
            if not gone:
                if not any(row["is_live"] for row in rows):
                    raise NotFound
                return False
            expect_version(gone[0].revision, expected)
            for erasure in gone:
                await self._witness(erasure)
            await work.commit()
        return True

    async def erase_named(self, project: str, respondent: bytes, *, entry: Entry) -> bool:
        return await self._erase_and_tell(ERASE_NAMED, named(project, respondent), lambda _: entry) > 0

    async def erase_tests(self, project: str, *, limit: int, entry: Callable[[int], Entry]) -> int:
        return await self._erase_and_tell(ERASE_TESTS, {"slug": project, "limit": limit}, entry)

    async def _erase_and_tell(self, statement: Statement, given: dict[str, Any], entry: Callable[[int], Entry]) -> int:
        async with Transaction(self._pool) as work:
            number = await erase_and_tell(work, statement, given, entry=entry, request_id=self._request_id, witness=self._witness)
            await work.commit()
        return number


def _response(row: Record) -> Response:
    return Response(**{field.name: row[field.name] for field in fields(Response)})


def _columns_of(response: Response) -> dict[str, Any]:
    return {field.name: getattr(response, field.name) for field in fields(Response)}


def _named_one(rows: Sequence[Record], given: dict[str, Any]) -> Record | None:
    """The row of the respondent who is named. Raises `TokenRequired` when there is none and the token is another respondent's."""
    mine = [row for row in rows if given["by_token"] or row["pseudonym"] == given["pseudonym"]]
    if rows and not mine:
        raise TokenRequired
    return mine[0] if mine else None


def _check_owner(row: Record, given: dict[str, Any]) -> None:
    is_owner = compare_digest(row["token_hash"], given["token_hash"]) if given["is_shown"] else not row["is_owned"]
    if not is_owner:
        raise TokenRequired


def _is_stale(row: Record, given: dict[str, Any]) -> bool:
    is_claimed = given["is_shown"] and not row["is_owned"]
    seqs = row["seqs"]
    return given["seq"] is not None and not is_claimed and given["seq"] <= max(seqs.get(given["field"], -1), seqs.get(ALL_FIELDS, -1))


async def _bound_history(work: Transaction, response_id: int, changes: int, *, kept: str | None) -> None:
    """After consent was withdrawn by the owner only the field of consent has a history (`kept`), and none is longer than it may be."""
    if kept is not None:
        await work.row(FORGET_HISTORY, id=response_id, kept=kept)
    elif changes > CHANGES_MAX:
        await work.row(TRIM_HISTORY, id=response_id, surplus=changes - CHANGES_MAX + _ROOM)
    else:
        return
    await work.row(COUNT_HISTORY, id=response_id)
