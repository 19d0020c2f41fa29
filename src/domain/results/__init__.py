"""What is published of a survey's answers: aggregates that give no respondent away."""

from domain.results.measure import group_faults
from domain.results.published import OVERALL, crossed_by, may_advance, may_show, nothing_yet, publish
from domain.results.release import forecast
from domain.results.tally import Tally

__all__ = ["OVERALL", "Tally", "crossed_by", "forecast", "group_faults", "may_advance", "may_show", "nothing_yet", "publish"]
