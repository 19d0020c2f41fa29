"""Responses in memory: the rules of `domain.response`, run one save at a time."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from application.ports import Responses, Saved, SurveyMoved, Witness
from domain.audit import Entry
from domain.erasure import Erasure
from domain.errors import NotFound, expect_version
from domain.response import Outcome, Response, TokenRequired, bound, new_response
from domain.survey import Change
from tests.fakes.audit import add_entry
from tests.fakes.store import Access, Tables


async def _unseen(_: Erasure) -> None:
    pass


class FakeResponses(Responses):
    """Keeps no history: no port shows it."""

    def __init__(self, access: Access, *, witness: Witness = _unseen) -> None:
        self._access = access
        self._witness = witness

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
        token_hash = bound(token_hash, project_id)
        async with self._access.write() as tables:
            _expect_current(tables, change, project_id)
            of_token = _of_token(tables, project_id, token_hash)
            response_id = of_token if by_token else _of_pseudonym(tables, project_id, pseudonym)
            if response_id is None:
                if of_token is not None:
                    raise TokenRequired
                owner: dict[str, Any] = {"project_id": project_id, "pseudonym": pseudonym, "token_hash": token_hash}
                save = new_response(change, **owner, seq=seq, at=at, is_test=is_test, is_owned=is_shown)
                response_id = self._access.new_id()
            else:
                save = tables.responses[response_id].save(change, token=token_hash if is_shown else None, seq=seq, at=at)
                if save.erased:
                    await self._witness(save.erased)
            tables.responses[response_id] = save.response
        return Saved(
            outcome=save.outcome,
            answers={field: save.response.answers.get(field) for field in change.answers},
            stale=save.stale,
            revision=save.response.revision,
            saved_at=save.response.saved_at,
            seqs=save.response.seqs if save.outcome is Outcome.STALE else None,
        )

    async def by_token(self, project: str, token_hash: bytes) -> Response | None:
        tables = self._access.read
        found = _of_name(tables, project, token_hash)
        return None if found is None else tables.responses[found]

    async def erase(self, project: str, token_hash: bytes, *, expected: frozenset[int] | None = None) -> bool:
        async with self._access.write() as tables:
            named = sorted((id for id, each in tables.projects.items() if each.slug == project), reverse=True)
            found = [id for each in named if (id := _of_token(tables, each, bound(token_hash, each))) is not None]
            if not found:
                _project_id(tables, project)
            else:
                expect_version(tables.responses[found[0]].revision, expected)
            for response_id in found:
                await self._witness(tables.responses[response_id].erasure)
                erased = tables.responses.pop(response_id)
                tables.deleted_responses[erased.project_id] += not erased.is_test
        return bool(found)

    async def erase_named(self, project: str, respondent: bytes, *, entry: Entry) -> bool:
        return await self._erase_and_tell(project, lambda each: each.pseudonym.startswith(respondent), 1, lambda _: entry) > 0

    async def erase_tests(self, project: str, *, limit: int, entry: Callable[[int], Entry]) -> int:
        return await self._erase_and_tell(project, lambda each: each.is_test, limit, entry)

    async def _erase_and_tell(self, project: str, is_meant: Callable[[Response], bool], limit: int, entry: Callable[[int], Entry]) -> int:
        async with self._access.write() as tables:
            owner = _project_id(tables, project)
            mine = [id for id, each in sorted(tables.responses.items()) if each.project_id == owner and is_meant(each)][:limit]
            for response_id in mine:
                await self._witness(tables.responses[response_id].erasure)
            for response_id in mine:
                del tables.responses[response_id]
            if mine:
                add_entry(tables, self._access.new_id(), entry(len(mine)), None)
        return len(mine)

    async def erase_withheld(self, *, before: datetime, at: datetime) -> int:
        async with self._access.write() as tables:
            due = {id: each for id, each in tables.responses.items() if each.withheld_at is not None and each.withheld_at < before}
            for response_id, response in due.items():
                await self._witness(response.erasure)
                tables.responses[response_id] = response.without_withheld(at=at)
        return len(due)


def _project_id(tables: Tables, slug: str) -> int:
    project = tables.live_project(slug)
    if project is None:
        raise NotFound
    return project.id


def _of_name(tables: Tables, project: str, token_hash: bytes) -> int | None:
    """The id of the response that a token with this hash opens in the live project of this slug. Raises `NotFound`."""
    project_id = _project_id(tables, project)
    return _of_token(tables, project_id, bound(token_hash, project_id))


def _of_pseudonym(tables: Tables, project_id: int, pseudonym: bytes) -> int | None:
    """The id of the response of this respondent."""
    mine = (id for id, r in tables.responses.items() if (r.project_id, r.pseudonym) == (project_id, pseudonym))
    return next(mine, None)


def _of_token(tables: Tables, project_id: int, token_hash: bytes) -> int | None:
    """The id of the response that this token opens."""
    return next((id for id, r in tables.responses.items() if r.project_id == project_id and r.token_hash == token_hash), None)


def _expect_current(tables: Tables, change: Change, project_id: int) -> None:
    survey, project = tables.surveys.get(project_id), tables.projects.get(project_id)
    if project is None or not project.is_active or survey is None or not survey.is_open or survey.version != change.survey_version:
        raise SurveyMoved
