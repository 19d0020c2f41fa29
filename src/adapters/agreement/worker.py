"""The process that works figures out: labels come in on standard input, figures go out on standard output, and it ends."""

import os
import sys

LAST = "last"  # the argument of one that has to end some time, on a machine that is never idle, too
_NICE = 19


def main() -> None:
    """Work one order out, behind whoever else wants the processor: from before the first thing that takes any time."""
    _step_back(is_last=LAST in sys.argv[1:])
    from adapters.agreement.figures import figures_of  # noqa: PLC0415 - NumPy alone costs a tenth of a second
    from adapters.agreement.order import order_read, outcome_from  # noqa: PLC0415 - as above

    labels, level, seed = order_read(sys.stdin.buffer.read())
    sys.stdout.buffer.write(outcome_from(figures_of(labels, level=level, seed=seed)))


def _step_back(*, is_last: bool) -> None:
    """Where Linux schedules: run when a core has nothing else to do, or with the least share of it; elsewhere be nice alone."""
    os.nice(_NICE)
    if sys.platform == "linux":
        os.sched_setscheduler(0, os.SCHED_BATCH if is_last else os.SCHED_IDLE, os.sched_param(0))


if __name__ == "__main__":
    main()
