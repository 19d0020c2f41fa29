"""The sampler of discrete Gaussian noise, held against the distribution that it promises."""

import random
from collections import Counter
from fractions import Fraction
from math import exp, sqrt

import pytest
from scipy.stats import chisquare

from domain.results.gaussian import discrete_gaussian

DRAWS = 20_000


def expected(variance: float, reach: int) -> dict[int, float]:
    weights = {x: exp(-(x**2) / (2 * variance)) for x in range(-reach, reach + 1)}
    return {x: weight / sum(weights.values()) for x, weight in weights.items()}


def fit(draws: list[int], variance: float) -> float:
    """The p-value of the hypothesis that these were drawn with this variance; places that are seldom reached are taken together."""
    shares = expected(variance, reach=12 + int(8 * sqrt(variance)))
    often = [x for x, share in shares.items() if share * len(draws) >= 10]
    seen = Counter(draws)
    observed = [seen[x] for x in often] + [sum(number for x, number in seen.items() if x not in often)]
    wanted = [shares[x] * len(draws) for x in often] + [len(draws) * (1 - sum(shares[x] for x in often))]
    return float(chisquare(observed, wanted).pvalue)


@pytest.mark.parametrize("variance", [Fraction(1, 20), Fraction(1, 2), Fraction(1), Fraction(7, 3), Fraction(75), Fraction(28_000, 9)])
def test_what_is_drawn_fits_the_distribution(variance: Fraction) -> None:
    bits = random.Random(20).getrandbits
    draws = [discrete_gaussian(variance, bits) for _ in range(DRAWS)]
    assert fit(draws, float(variance)) > 0.001


def test_the_fit_notices_a_variance_that_is_a_tenth_off() -> None:
    bits = random.Random(20).getrandbits
    draws = [discrete_gaussian(Fraction(75), bits) for _ in range(DRAWS)]
    assert fit(draws, 75 * 1.1) < 0.001
    assert fit([x + 1 for x in draws], 75) < 0.001
    assert fit([abs(x) for x in draws], 75) < 0.001


def test_the_same_chance_draws_the_same() -> None:
    draws = [[discrete_gaussian(Fraction(9), random.Random(1).getrandbits) for _ in range(5)] for _ in range(2)]
    assert draws[0] == draws[1]


@pytest.mark.parametrize("variance", [Fraction(0), Fraction(-1)])
def test_noise_of_no_size_is_refused(variance: Fraction) -> None:
    with pytest.raises(ValueError, match="above zero"):
        discrete_gaussian(variance, random.Random(1).getrandbits)
