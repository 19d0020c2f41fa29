"""What is published of a survey's answers: aggregates that give no respondent away."""

from domain.results.budget import NotedSpending, Spending, Spent, due_from, next_spending
from domain.results.measure import group_faults
from domain.results.published import OVERALL, crossed_by, may_advance, may_show, publish
from domain.results.release import forecast, release
from domain.results.shown import nothing_yet, shown
from domain.results.tables import ContingencyTables
from domain.results.tally import Tally

__all__ = [
    "OVERALL",
    "ContingencyTables",
    "NotedSpending",
    "Spending",
    "Spent",
    "Tally",
    "crossed_by",
    "due_from",
    "forecast",
    "group_faults",
    "may_advance",
    "may_show",
    "next_spending",
    "nothing_yet",
    "publish",
    "release",
    "shown",
]
