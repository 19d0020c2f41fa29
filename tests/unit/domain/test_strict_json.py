"""Numbers as they are kept: what is told at once is what is told later."""

import math

from domain.strict_json import decoded


def test_the_negative_zero_is_zero() -> None:
    for text in ("-0.0", "-0e5", "-0.0e-3", "-0"):
        assert math.copysign(1.0, decoded(text)) == 1.0, text
    assert decoded("[-0.5, 0.1, 1e300]") == [-0.5, 0.1, 1e300]
