"""Discrete Gaussian noise, drawn exactly: with whole numbers alone, from whole random bits.

Floating-point Gaussians give themselves away in their last digits (Mironov 2012, "On significance of the least significant bits for
differential privacy"). What is here is the sampler of Canonne, Kamath and Steinke 2020, "The discrete Gaussian for differential
privacy", algorithms 1 to 3: every probability is a fraction, and every choice is made by comparing whole numbers.
"""

from collections.abc import Callable
from fractions import Fraction
from math import isqrt

Bits = Callable[[int], int]
"""A source of chance: a whole number of so many random bits, each of them even and independent."""


def discrete_gaussian(variance: Fraction, bits: Bits) -> int:
    """A whole number x with a probability in proportion to exp(-x² / 2·variance). Raises `ValueError` unless the variance is above 0."""
    if variance <= 0:
        raise ValueError("A variance is above zero.")
    p, q = variance.numerator, variance.denominator
    scale = isqrt(p // q) + 1
    while True:
        drawn = _discrete_laplace(scale, bits)
        # exp(-(|x| - variance / scale)² / 2·variance), over one denominator
        if _happens_exp((abs(drawn) * q * scale - p) ** 2, 2 * p * q * scale * scale, bits):
            return drawn


def _discrete_laplace(scale: int, bits: Bits) -> int:
    """A whole number x with a probability in proportion to exp(-|x| / scale)."""
    while True:
        rest = _below(scale, bits)
        if not _happens_exp(rest, scale, bits):
            continue
        whole = 0
        while _happens_exp_at_most_one(1, 1, bits):
            whole += 1
        size = rest + scale * whole
        is_negative = bits(1) == 1
        if not (is_negative and size == 0):  # else zero would be drawn twice as often
            return -size if is_negative else size


def _happens_exp(numerator: int, denominator: int, bits: Bits) -> bool:
    """True with the probability exp(-numerator / denominator)."""
    for _ in range(numerator // denominator):
        if not _happens_exp_at_most_one(1, 1, bits):
            return False
    return _happens_exp_at_most_one(numerator % denominator, denominator, bits)


def _happens_exp_at_most_one(numerator: int, denominator: int, bits: Bits) -> bool:
    """True with the probability exp(-numerator / denominator), which is at most one below zero (von Neumann's series)."""
    k = 1
    while _below(denominator * k, bits) < numerator:
        k += 1
    return k % 2 == 1


def _below(bound: int, bits: Bits) -> int:
    """A whole number from 0 to below `bound`, each as likely."""
    length = (bound - 1).bit_length()
    while True:
        drawn = bits(length) if length else 0
        if drawn < bound:
            return drawn
