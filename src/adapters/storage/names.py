"""What a content may be named: nothing that anybody else could have thought up."""

import re
from uuid import uuid4

KINDS = ("files", "exports", "erasures", "spendings")
INCOMING = "incoming"

_NAME = re.compile(rf"(?:{'|'.join(KINDS)})/[0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}")


def checked(name: str) -> str:
    """This name, which is one of ours. Raises `ValueError` for any other: it could lead out of the store."""
    if _NAME.fullmatch(name) is None:
        raise ValueError("That is no name of a content.")
    return name


def is_name(name: str) -> bool:
    """Whether this is a name of ours."""
    return _NAME.fullmatch(name) is not None


def checked_kind(kind: str) -> str:
    """This kind, which is one of ours. Raises `ValueError`."""
    if kind not in KINDS:
        raise ValueError("That is no kind of content.")
    return kind


def passing_name() -> str:
    """A name for what has not been kept yet."""
    return f"{INCOMING}/{uuid4()}"
