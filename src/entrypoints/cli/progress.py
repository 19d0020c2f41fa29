"""How far a command is, for whoever looks on: on standard error, and only where that is a terminal."""

import sys


def progress(done: int, of: int) -> None:
    """So much of so much."""
    show(f"{done} of {of}", is_last=done >= of)


def stage(what: str, done: int, of: int) -> None:
    """So much of so much of one thing of several."""
    show(f"{what}: {done} of {of}", is_last=done >= of)


def show(line: str, *, is_last: bool = False) -> None:
    """A line in place of the one before it; nothing follows the last."""
    if sys.stderr.isatty():
        print(f"\r{line}", end="\n" if is_last else "", file=sys.stderr, flush=True)
