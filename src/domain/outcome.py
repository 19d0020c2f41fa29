"""What became of a change that was asked for, where that is not plain."""

from domain.errors import Unavailable


class OutcomeUnknown(Unavailable):
    """The store broke off while it was saving: what you asked for is done whole or not at all, and nobody can tell yet which.

    Send the same again: with `seq`, `If-Match` or an `Idempotency-Key` it cannot be done twice.
    """

    code = "outcome-unknown"
    detail = "It is not known whether this was saved: send it again."
