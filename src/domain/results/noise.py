"""What is counted under noise, how far one respondent can move it, and the noise itself.

Two sets of answers are neighbours when one respondent's answers are replaced by any others, by none at all or by a withdrawal. How far all
counts together then move, squared, is the sensitivity; docs/decisions/0031 has the proof.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, sqrt

from domain.results.gaussian import Bits, discrete_gaussian
from domain.results.measure import Measure, measure
from domain.results.tables import ContingencyTables
from domain.survey import Definition

NORMAL_95 = 1.959963984540054
"""Of a normal distribution, 95 % lies within so many standard deviations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The counts that a release of a survey makes public.

    `pairs` are the by-tables, each once: a field that makes groups and a question that is counted within them. `gate` is the field of
    the consent question.
    """

    measures: tuple[Measure, ...]
    pairs: tuple[tuple[Measure, Measure], ...]
    gate: str | None = None

    @property
    def counts_n(self) -> bool:
        """Whether the number of respondents is a count of its own; else it is how many consent."""
        return self.gate not in {each.field for each in self.measures}

    @property
    def sensitivity(self) -> int:
        """By how much all counts without groups can move, squared.

        Either both ways to answer are counted, and then nothing moves at the gate; or one of them tells nothing behind it, and then
        each question moves only by what the other one says.
        """
        asked = [each for each in self.measures if each.field != self.gate]
        at_the_gate = 1 if self.counts_n else 2
        return max(sum(map(_moved, asked)), sum(map(_moved_from_nothing, asked)) + at_the_gate)

    @property
    def crossed_sensitivity(self) -> int:
        """By how much all counts within groups can move, squared: who changes groups leaves one cell, or several, and enters others."""
        return sum(2 * len(asked.cells) if asked.is_multiple else 2 for _, asked in self.pairs)

    def variances(self, share: Fraction) -> tuple[Fraction, Fraction | None]:
        """Of the noise in a release that costs this share, for counts without groups and within, which take half of it if there are any."""
        if not self.pairs:
            return Fraction(self.sensitivity) / (2 * share), None
        return Fraction(self.sensitivity) / share, Fraction(self.crossed_sensitivity) / share


@dataclass(frozen=True, slots=True, kw_only=True)
class Noisy:
    """Counts with noise: whole numbers, some of them below zero. What is made from them gives nothing more away."""

    n: int | None
    answered: Mapping[str, int]
    counts: Mapping[str, Sequence[int]]
    crossed: Mapping[tuple[str, str], Sequence[Sequence[int]]]


def plan(definition: Definition) -> Plan:
    """What is counted of this survey."""
    measures = tuple(measure(question) for question in definition.questions if question.public)
    by = [each for each in measures if each.field in definition.results.by]
    gate = None if definition.consent is None else definition.consent.field
    pairs: dict[frozenset[str], tuple[Measure, Measure]] = {}
    for groups in by:
        for asked in measures:
            is_known = gate in (groups.field, asked.field)  # only who consents answers anything else, as everybody knows
            if asked.cells and asked.field != groups.field and not is_known:
                pairs.setdefault(frozenset((groups.field, asked.field)), (groups, asked))
    return Plan(measures=measures, pairs=tuple(pairs.values()), gate=gate)


def with_noise(tables: ContingencyTables, planned: Plan, share: Fraction, bits: Bits) -> Noisy:
    """The counts of a plan, each with noise of its own; all of them together cost this share."""
    variance, crossed = planned.variances(share)

    def noisy(count: int) -> int:
        return count + discrete_gaussian(variance, bits)

    def noisy_within(counts: Sequence[int]) -> list[int]:
        return [count + discrete_gaussian(crossed or variance, bits) for count in counts]

    return Noisy(
        n=noisy(tables.n) if planned.counts_n else None,
        answered={each.field: noisy(tables.answered[each.field]) for each in planned.measures if each.is_multiple or not each.cells},
        counts={each.field: [noisy(count) for count in tables.counts[each.field]] for each in planned.measures if each.cells},
        crossed={(g.field, q.field): [noisy_within(row) for row in tables.crossed[g.field, q.field]] for g, q in planned.pairs},
    )


def half_width(variance: Fraction | None) -> int | None:
    """Within how much of a count its true value lies in at least 95 % of releases."""
    return None if variance is None else ceil(NORMAL_95 * sqrt(variance))


def _moved(measured: Measure) -> int:
    """By how much one question's counts can move, squared.

    Who answers otherwise leaves one cell and enters another, where cells exclude each other. A multiple choice may turn all of its
    options, and whether it was answered at all is told, too. Without cells, only that is told.
    """
    return 2 if len(measured.cells) > 1 and not measured.is_multiple else _moved_from_nothing(measured)


def _moved_from_nothing(measured: Measure) -> int:
    """The same where one of the two gives no answer."""
    return len(measured.cells) + 1 if measured.is_multiple else 1
