"""Published results of surveys: read by everybody, made in the background."""

from application.results.exact import GetExactResults
from application.results.journal import NoteSpending, ReadSpendings
from application.results.publishing import AdvanceResults, PublishDueResults, ReleaseResults
from application.results.reading import GetResults

__all__ = ["AdvanceResults", "GetExactResults", "GetResults", "NoteSpending", "PublishDueResults", "ReadSpendings", "ReleaseResults"]
