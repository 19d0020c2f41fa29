"""A short run of generated requests, as everybody: nothing breaks, and every refusal is a problem."""

import pytest

from tests.e2e.client import ADMIN_PASSWORD, serving
from tests.fuzz.run import ROLES, fuzz


@pytest.mark.xdist_group("fuzz")
def test_no_generated_request_breaks_anything() -> None:
    with serving("--demo", ADMIN_PASSWORD=ADMIN_PASSWORD, REGISTRATION="open", RATE_LIMITS="off") as service:
        tally = fuzz(service, examples=15, seed=1)
    assert tally.broken == []
    for role in ROLES:
        assert tally.by_role[role, 2] > 20
        assert tally.by_role[role, 4] > 20
