"""Responses in memory: the rules of `domain.response`, run one save at a time."""

from datetime import datetime

from application.ports import Responses, Saved, SurveyMoved
from domain.errors import NotFound
from domain.response import Outcome, Response, TokenRequired, TokenTaken, new_response
from domain.survey import Change, Identity
from tests.fakes.store import Access, Tables


class FakeResponses(Responses):
    def __init__(self, access: Access) -> None:
        self._access = access

    async def save(
        self, change: Change, *, project_id: int, pseudonym: bytes, token_hash: bytes, identity: Identity, seq: int | None, at: datetime
    ) -> Saved:
        async with self._access.write() as tables:
            _expect_current(tables, change, project_id)
            found = tables.responses.get((project_id, pseudonym))
            if found is None:
                saved = new_response(change, project_id=project_id, pseudonym=pseudonym, token_hash=token_hash, seq=seq, at=at)
                outcome = Outcome.CREATED
                if any(other.project_id == project_id and other.token_hash == token_hash for other in tables.responses.values()):
                    raise TokenTaken
            elif identity is Identity.TOKEN and found.token_hash != token_hash:
                raise TokenRequired
            else:
                saved, outcome = found.save(change, seq=seq, at=at)
            tables.responses[project_id, pseudonym] = saved
        value = saved.answers.get(change.field) if outcome is Outcome.STALE else change.value
        return Saved(outcome=outcome, value=value, revision=saved.revision, saved_at=saved.saved_at)

    async def by_token(self, project: str, token_hash: bytes) -> Response | None:
        tables = self._access.read
        found = tables.live_project(project)
        if found is None:
            raise NotFound
        mine = (each for each in tables.responses.values() if each.project_id == found.id and each.token_hash == token_hash)
        return next(mine, None)


def _expect_current(tables: Tables, change: Change, project_id: int) -> None:
    survey, project = tables.surveys.get(project_id), tables.projects.get(project_id)
    if project is None or not project.is_active or survey is None or not survey.is_open or survey.version != change.survey_version:
        raise SurveyMoved
