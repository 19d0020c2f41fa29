"""Letting go of what is older than an age."""

from datetime import timedelta

import pytest

from domain.response import TokenRequired
from domain.user import User
from tests.examples import definition
from tests.unit.application.conftest import World

DAY = timedelta(days=1)
NONE = {"projects": 0, "resources": 0, "responses": 0, "exports": 0, "sessions": 0}


async def test_what_is_older_than_the_age_goes_and_what_is_not_stays(world: World, admin: User) -> None:
    await world.create_project(slug="story", title="A story", by=admin)
    await world.publish(project="story", definition=definition(), by=admin)
    old = await world.save(project="story", fingerprint="fingerprint-old", answers={"age": 1})
    world.clock.advance(2 * DAY)
    new = await world.save(project="story", fingerprint="fingerprint-new", answers={"age": 2})
    world.clock.advance(DAY)
    assert await world.purge_old(age=DAY, dry_run=False) == NONE
    await world.switch(project="story", is_open=False, by=admin)
    for dry_run in (True, True, False):
        assert await world.purge_old(age=DAY, dry_run=dry_run) == NONE | {"responses": 1}
    assert await world.purge_old(age=DAY, dry_run=False) == NONE
    assert (await world.get_response(project="story", token=new.token)).answers == {"age": 2}
    with pytest.raises(TokenRequired):
        await world.get_response(project="story", token=old.token)
