"""What the team erases of responses: that of a reader who asks for it, and tests. The trail tells that, and not whose."""

import re
from dataclasses import dataclass

from application.ports import Clock, Responses
from domain.access import Action, require
from domain.audit import Difference, Entry, Target, entry
from domain.errors import NotFound
from domain.user import User

TESTS_AT_ONCE = 200
_RESPONDENT = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseRespondent:
    """Erase a reader's response for good, its history included, by the pseudonym that rows and exports tell."""

    responses: Responses
    clock: Clock

    async def __call__(self, *, project: str, respondent: str, by: User) -> None:
        require(by, Action.RESPONSE_ERASE)
        if _RESPONDENT.fullmatch(respondent) is None:
            raise NotFound
        told = _entry(1, project=project, by=by, clock=self.clock)
        if not await self.responses.erase_named(project, bytes.fromhex(respondent), entry=told):
            raise NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseTests:
    """Erase all responses of a survey that are tests, some at a time; what is erased stays so where it is broken off."""

    responses: Responses
    clock: Clock

    async def __call__(self, *, project: str, by: User) -> int:
        """How many there were."""
        require(by, Action.RESPONSE_ERASE)
        erased = 0
        while number := await self.responses.erase_tests(
            project, limit=TESTS_AT_ONCE, entry=lambda number: _entry(number, project=project, by=by, clock=self.clock)
        ):
            erased += number
        return erased


def _entry(number: int, *, project: str, by: User, clock: Clock) -> Entry:
    told = (Difference(field="responses", before=number, after=0),)
    return entry("response.erase", Target(type="survey", id=project), by=by, at=clock.now(), project=project, changes=told)
