"""How a sign-in is refreshed, and how it ends."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from domain.session import ABSOLUTE_LIFETIME, IDLE_LIFETIME, REPLAY_GRACE, Refresh, new_session
from tests.examples import NOW

SESSION = new_session(id=UUID(int=1), user_id=2, at=NOW)
A_MOMENT = timedelta(microseconds=1)


def test_the_current_token_rotates() -> None:
    rotated, outcome = SESSION.refresh(0, at=NOW + timedelta(hours=1))
    assert outcome is Refresh.ROTATED
    assert (rotated.generation, rotated.rotated_at, rotated.expires_at) == (1, NOW + timedelta(hours=1), SESSION.expires_at)


@pytest.mark.parametrize("delay", [timedelta(0), REPLAY_GRACE])
def test_a_repetition_within_the_grace_leads_to_the_same_successor(delay: timedelta) -> None:
    rotated, _ = SESSION.refresh(0, at=NOW)
    again, outcome = rotated.refresh(0, at=NOW + delay)
    assert (again, outcome) == (rotated, Refresh.REPEATED)


def test_a_repetition_after_the_grace_ends_the_session() -> None:
    rotated, _ = SESSION.refresh(0, at=NOW)
    at = NOW + REPLAY_GRACE + A_MOMENT
    ended, outcome = rotated.refresh(0, at=at)
    assert (outcome, ended.ended_at) == (Refresh.ENDED, at)


def test_a_repetition_after_the_successor_was_used_ends_the_session() -> None:
    rotated, _ = SESSION.refresh(0, at=NOW)
    twice, _ = rotated.refresh(1, at=NOW)
    ended, outcome = twice.refresh(0, at=NOW)
    assert (outcome, ended.ended_at) == (Refresh.ENDED, NOW)


@pytest.mark.parametrize("generation", [1, 2, 7])
def test_a_generation_that_cannot_be_ends_the_session(generation: int) -> None:
    assert SESSION.refresh(generation, at=NOW)[1] is Refresh.ENDED


def test_an_ended_session_stays_as_it_ended() -> None:
    ended = replace(SESSION, ended_at=NOW)
    assert ended.refresh(0, at=NOW + timedelta(hours=1)) == (ended, Refresh.ENDED)


def test_a_session_lives_seven_idle_days_and_thirty_in_all() -> None:
    assert SESSION.is_live(NOW + IDLE_LIFETIME - A_MOMENT)
    assert not SESSION.is_live(NOW + IDLE_LIFETIME)
    used = replace(SESSION, rotated_at=NOW + ABSOLUTE_LIFETIME - timedelta(days=1))
    assert used.is_live(NOW + ABSOLUTE_LIFETIME - A_MOMENT)
    assert not used.is_live(NOW + ABSOLUTE_LIFETIME)
    assert used.refresh(0, at=NOW + ABSOLUTE_LIFETIME) == (used, Refresh.ENDED)
