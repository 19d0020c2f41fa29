"""Exact counts of a survey, as the database has them: what published results are made from, and never published as they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from domain.results.spread import Spread


@dataclass(frozen=True, slots=True, kw_only=True)
class ContingencyTables:
    """Counts of live responses that are no tests, all of one moment; by field.

    `n` counts who stands in any of them: behind a consent gate who answered its question. `answered` counts who answered a question
    in a way that it takes now, `counts` who stands in each of its cells. `crossed` holds, for a field that makes groups and another
    one, a row for each cell of the first with a count for each cell of the second, and `reached` how many of each group answered the
    second. `spreads` are of numeric questions that somebody answered, where they were asked for.
    """

    n: int
    answered: Mapping[str, int]
    counts: Mapping[str, Sequence[int]]
    crossed: Mapping[tuple[str, str], Sequence[Sequence[int]]] = field(default_factory=dict)
    reached: Mapping[tuple[str, str], Sequence[int]] = field(default_factory=dict)
    spreads: Mapping[str, Spread] = field(default_factory=dict)
