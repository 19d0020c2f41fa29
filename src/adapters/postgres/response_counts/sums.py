"""What the rows of the counting statement add up to."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from adapters.postgres.response_counts.columns import Column
from adapters.postgres.response_counts.statements import Grouping
from domain.results.measure import Measure
from domain.results.spread import Spread
from domain.results.tables import ContingencyTables


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Respondents so far, by field and cell. `given` counts the answers themselves, where they were grouped by."""

    answered: Counter[str] = field(default_factory=Counter)
    given: dict[str, Counter[str]] = field(default_factory=dict)
    counts: Counter[tuple[str, int]] = field(default_factory=Counter)
    crossed: Counter[tuple[str, str, int, int]] = field(default_factory=Counter)
    reached: Counter[tuple[str, str, int]] = field(default_factory=Counter)

    def add(self, grouping: Grouping, key: str, number: int, *, with_groups: bool) -> None:
        """Count the respondents of a key by each question alone; by the one that makes groups, which stands in several, only if asked."""
        for column, part, cells in grouping.parts(key):
            if cells is None or (column is grouping.by and not with_groups):
                continue
            name = column.measure.field
            self.given.setdefault(name, Counter())[part] += number
            self.answered[name] += number * column.is_first
            for cell in cells:
                self.counts[name, cell] += number

    def add_crossed(self, grouping: Grouping, key: str, number: int) -> None:
        """Count the respondents of a key by the first question and each other."""
        (by, _, groups), *others = grouping.parts(key)
        if groups is None:
            return
        (group,) = groups
        for column, _, cells in others:
            if cells is None:
                continue
            pair = by.measure.field, column.measure.field
            self.reached[*pair, group] += number * column.is_first
            for cell in cells:
                self.crossed[*pair, group, cell] += number

    def tables(self, measures: Sequence[Measure], *, n: int, by: Sequence[Column], spreads: Mapping[str, Spread]) -> ContingencyTables:
        """The counts as tables, with what was found out besides."""
        crossed, reached = {}, {}
        for groups in (column.measure for column in by):
            for asked in measures:
                pair = groups.field, asked.field
                if asked.field == groups.field:
                    continue
                rows = range(len(groups.cells))
                reached[pair] = [self.reached[*pair, row] for row in rows]
                if asked.cells:
                    crossed[pair] = [[self.crossed[*pair, row, cell] for cell in range(len(asked.cells))] for row in rows]
        return ContingencyTables(
            n=n,
            answered={each.field: self.answered[each.field] for each in measures},
            counts={each.field: [self.counts[each.field, cell] for cell in range(len(each.cells))] for each in measures},
            crossed=crossed,
            reached=reached,
            spreads=spreads,
        )
