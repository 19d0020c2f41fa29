"""The process that works figures out: labels come in on standard input, figures go out on standard output, and it ends."""

import os
import signal
import sys
import time

LAST = "last"  # the argument of one that has to end some time, on a machine that is never idle, too
REST_SECONDS = 0.0005  # after as much work, until it is done
_NICE = 19


def main() -> None:
    """Work one order out, behind whoever else wants the processor: from before the first thing that takes any time.

    It also rests half of the time, unless it has to end: while it works, whoever wakes on its core waits for it all the same now and
    then, and whoever runs on another is slower.
    """
    is_last = LAST in sys.argv[1:]
    _step_back(is_last=is_last)
    if not is_last:
        _rest_often()
    from adapters.agreement.figures import figures_of  # noqa: PLC0415 - NumPy alone costs a tenth of a second
    from adapters.agreement.order import order_read, outcome_from  # noqa: PLC0415 - as above

    labels, level, seed = order_read(sys.stdin.buffer.read())
    outcome = outcome_from(figures_of(labels, level=level, seed=seed))
    signal.signal(signal.SIGALRM, signal.SIG_IGN)  # one that comes while the interpreter ends would end it as a failure
    sys.stdout.buffer.write(outcome)


def _step_back(*, is_last: bool) -> None:
    """Where Linux schedules: run when a core has nothing else to do, or with the least share of it; elsewhere be nice alone."""
    os.nice(_NICE)
    if sys.platform == "linux":
        os.sched_setscheduler(0, os.SCHED_BATCH if is_last else os.SCHED_IDLE, os.sched_param(0))


def _rest_often() -> None:
    """By an alarm that is set anew after each rest, so that none comes within another."""

    def rest(*_: object) -> None:
        time.sleep(REST_SECONDS)
        signal.setitimer(signal.ITIMER_REAL, REST_SECONDS)

    signal.signal(signal.SIGALRM, rest)
    rest()


if __name__ == "__main__":
    main()
