"""A few rounds of each race for access: nothing stale, nothing survives."""

import pytest

from tests.drills.access.quick import service_for_races
from tests.drills.access.races import RACES, run


@pytest.mark.xdist_group("access")
async def test_what_was_taken_is_gone() -> None:
    with service_for_races() as service:
        races = await run(service, rounds=8, seed=1)
    assert [race.name for race in races] == list(RACES)
    for race in races:
        assert (race.name, race.stale, race.survivors) == (race.name, 0, 0)
        assert race.rounds == 8
        assert race.after >= race.rounds
