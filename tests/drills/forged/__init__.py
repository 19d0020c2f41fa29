"""Tokens that nobody may get in by: more than two thousand, each time the same for the same material and seed.

Many are signed with the right key: a signature must not make up for a header, a claim or an encoding that is not the service's own.
"""

import random
from collections.abc import Callable, Iterator
from typing import Any

from tests.drills.forged import claims, headers, texts
from tests.drills.forged.material import Forged, Material

__all__ = ["Forged", "Material", "corpus"]

KINDS: dict[str, Callable[[Material, random.Random], Iterator[Any]]] = {
    "algorithms": headers.algorithms,
    "keys": headers.keys,
    "headers": headers.of_headers,
    "claims": claims.of_claims,
    "duplicate keys": claims.duplicates,
    "numbers": claims.numbers,
    "nesting": claims.nesting,
    "encodings": claims.encodings,
    "parts": texts.parts,
    "truncations": texts.truncations,
    "flipped bits": texts.flips,
    "other texts": texts.malleable,
    "unicode": texts.unicode,
    "sizes": texts.sizes,
    "confusion": texts.confusion,
}


def corpus(material: Material, *, seed: int = 1) -> list[Forged]:
    """Every forged token once; none is the genuine one, with spaces around it, which HTTP does not count, or without."""
    chance = random.Random(seed)
    found: dict[tuple[str, str], Forged] = {}
    for kind, make in KINDS.items():
        for made in make(material, chance):
            forged = Forged(kind=kind, token=made) if isinstance(made, str) else Forged(kind=kind, scheme=made[0], token=made[1])
            found.setdefault((forged.scheme, forged.token), forged)
    return [forged for forged in found.values() if forged.scheme != "Bearer" or forged.token.strip(" \t") != material.access]
