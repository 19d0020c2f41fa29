"""The hot paths stay as lean as they are: counted in Python instructions and in round trips, which a busy machine does not change."""

import secrets
import sys

from benchmarks.instructions import PATHS, RECORDED, ROUND_TRIPS, SLIP, instructions, round_trips
from benchmarks.stage import PASSWORD, fill

from entrypoints.http.app import make_app
from entrypoints.runtime import Deployment
from entrypoints.settings import Settings

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
OTHER_VERSION_SLIP = 1.5  # a version of Python that was not recorded counts differently


async def test_no_hot_path_takes_more_instructions_or_round_trips_than_it_did(empty_database: str) -> None:
    deployment = Deployment(database_url=empty_database, secret_keys=(secrets.token_hex(32),), pepper=secrets.token_hex(32))
    settings = Settings(admin_password=PASSWORD)
    target, _ = await fill(deployment, settings, resources=300, large=3000, responses=10)
    container = deployment.container(settings)
    app = make_app(settings, container)
    async with container.pool():
        asked = {path: await round_trips(app, target, path) for path in PATHS}
        taken = {path: await instructions(app, target, path) for path in PATHS}
    assert asked == ROUND_TRIPS
    recorded, slip = (RECORDED[VERSION], SLIP) if VERSION in RECORDED else (RECORDED["3.13"], OTHER_VERSION_SLIP)
    assert {path: count for path, count in taken.items() if count > slip * recorded[path]} == {}, f"instructions taken: {taken}"
