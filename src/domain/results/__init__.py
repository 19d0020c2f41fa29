"""What is published of a survey's answers: aggregates that give no respondent away."""

from domain.results.published import OVERALL, crossed_by, may_advance, may_show, nothing_yet, publish
from domain.results.tally import Tally

__all__ = ["OVERALL", "Tally", "crossed_by", "may_advance", "may_show", "nothing_yet", "publish"]
