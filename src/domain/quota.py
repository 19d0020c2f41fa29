"""How much of a thing one person, or one project, may keep."""

from domain.errors import Conflict


class QuotaExceeded(Conflict):
    """With this there would be more of its kind than one person, or one project, may keep: `detail` says how much that is."""

    code = "quota-exceeded"
    detail = "With this there would be more than may be kept."
