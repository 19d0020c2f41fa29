"""Whether whoever asks may be answered with what is some seconds old: decided at the edge, for each request."""

from contextvars import ContextVar

MAY_LAG: ContextVar[bool] = ContextVar("may_lag", default=False)
