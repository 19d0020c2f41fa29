"""What a text may hold, and when two names are the same name."""

import re
import unicodedata
from collections.abc import Iterator
from datetime import datetime

from domain.errors import Fault, Invalid

_FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x80-\x9f\ud800-\udfff]")


def is_clean(text: str) -> bool:
    """Whether `text` is free of NUL, lone surrogates and of C0 and C1 controls other than newline and tab."""
    return _FORBIDDEN.search(text) is None


def canonical(name: str) -> str:
    """The form under which two names are compared: NFC, case-folded, trimmed."""
    return folded(name).strip()


def folded(text: str) -> str:
    """`text` without differences of case or composition. Folding can undo NFC, hence once more after it."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def rfc3339(time: datetime) -> str:
    """A time in UTC as RFC 3339 with microseconds and `Z`."""
    return time.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def text_faults(pointer: str, text: str, *, longest: int, shortest: int = 0) -> Iterator[Fault]:
    """What is wrong with `text`. Lengths count code points; where one is required, blanks alone do not make one."""
    if len(text) > longest:
        yield Fault(pointer=pointer, code="too-long", detail=f"At most {longest} characters.")
    if len(text) < shortest or (shortest and not text.strip()):
        yield Fault(pointer=pointer, code="too-short", detail=f"At least {shortest} character{'s'[: shortest > 1]}, not only blanks.")
    if not is_clean(text):
        yield Fault(pointer=pointer, code="control-character", detail="Control characters and lone surrogates are not allowed.")


def refuse(faults: Iterator[Fault]) -> None:
    """Raise `Invalid` with all of `faults`, if there are any."""
    found = tuple(faults)
    if found:
        raise Invalid(*found)
