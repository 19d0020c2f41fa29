"""Ending a process as asked while it starts: what was started is stopped on the way out."""

import signal
from types import FrameType
from typing import NoReturn


class Leaving:
    """Takes the signals that ask this process to end, and ends it by an exception.

    Python drops an exception that is raised where it cannot pass, in the midst of an import for instance, and goes on: so that somebody
    asked is remembered, and whoever has started something asks again.
    """

    def __init__(self) -> None:
        self._is_asked = False

    def listen(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._leave)

    def if_asked(self) -> None:
        """Raises `SystemExit` where somebody has asked."""
        if self._is_asked:
            raise SystemExit(0)

    def _leave(self, _number: int, _frame: FrameType | None) -> NoReturn:
        self._is_asked = True
        raise SystemExit(0)
