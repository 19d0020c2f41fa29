"""Quick versions of the drills: one fault of each kind under load, clients that leave, and what a soak does, for some seconds."""

import asyncio

import pytest

from tests.drills import disconnects
from tests.drills.faults.__main__ import drill as drill_faults

QUICK = ["line cut after COMMIT", "database crashed", "database gone", "a worker killed", "bucket silent", "bucket full", "disk"]


@pytest.mark.parametrize("fault", QUICK)
def test_after_a_fault_nothing_is_lost_nothing_was_500_and_all_is_well_again(fault: str) -> None:
    done = asyncio.run(drill_faults(times=1, only=fault, seed=1))
    assert done.rows
    assert not done.lost
    for row in done.rows:
        assert (row.fault, row.times, row.statuses[500], row.unexpected) == (row.fault, 1, 0, {})
    for part in done.parts.values():
        assert part.acknowledged > part.files > 0
        assert (part.kept.torn, part.tracebacks, part.exit_status) == (0, [], 0)
    if "COMMIT" in fault:
        assert done.rows[0].unknown > 0
    if "full" in fault:
        assert done.rows[0].statuses[507] > 0
    if "disk" in done.parts:  # whose writers tell what they left
        assert (done.parts["disk"].kept.strangers, done.parts["disk"].kept.unfinished) == (0, 0)


def test_two_instances_restarted_in_turn_lose_no_request() -> None:
    done = asyncio.run(drill_faults(times=1, only="rolling", seed=1))
    assert set(done.rolling_statuses) <= {200, 201}
    assert sum(done.rolling_statuses.values()) > 0


def test_of_clients_that_leave_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATA_DIR", "ADMIN_PASSWORD", "RATE_LIMITS", "LOG_FORMAT"):
        monkeypatch.setenv(f"COMPLEX_STORIES_{name}", "")
    left = asyncio.run(disconnects.drill(400, seed=1))
    assert left.healthy
    assert left.after == left.before
