"""How long a body has to arrive."""

import pytest

from entrypoints.http.json_body import receive_seconds

MIB = 1024 * 1024


@pytest.mark.parametrize(("at_most", "seconds"), [(0, 30), (10 * MIB, 30), (20 * MIB, 60), (1024 * MIB, 3072)])
def test_what_may_be_large_may_take_long(at_most: int, seconds: float) -> None:
    assert receive_seconds(at_most) == seconds
