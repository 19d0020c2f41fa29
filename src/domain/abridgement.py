"""What is kept for good of a value that is too large to be kept whole: its hash, its size, and how it begins."""

import hashlib
import json
from decimal import Decimal
from typing import Any

WHOLE_BYTES = 1024  # up to this size as JSON a value is kept whole, and this much of a larger one


def abridged(value: Any) -> Any:
    """A JSON value, or an object that stands for it if its text (see `json_text`) has more than `WHOLE_BYTES` bytes.

    That object is always larger than `WHOLE_BYTES` itself, so that nobody can take a small value for one: `sha256` is of the text as
    UTF-8, in hexadecimal, `bytes` its size, `begins` its first `WHOLE_BYTES`, less a character that would be cut.
    """
    if isinstance(value, str | dict | list):
        text = json_text(value).encode()
        if len(text) > WHOLE_BYTES:
            begins = text[:WHOLE_BYTES].decode(errors="ignore")
            return {"sha256": hashlib.sha256(text).hexdigest(), "bytes": len(text), "begins": begins}
    return value


def json_text(value: Any) -> str:
    """The one text of a JSON value: that which PostgreSQL writes of it as `jsonb`.

    `, ` and `: ` stand between; keys are sorted by their length in UTF-8, then by their bytes. No number has an exponent; a double has
    a point.
    """
    match value:
        case dict():
            pairs = sorted((len(name.encode()), name.encode(), name, part) for name, part in value.items())
            return "{" + ", ".join(f"{json.dumps(name, ensure_ascii=False)}: {json_text(part)}" for _, _, name, part in pairs) + "}"
        case list():
            return "[" + ", ".join(map(json_text, value)) + "]"
        case float():
            return f"{value:.1f}" if "e+" in repr(value) else format(Decimal(repr(value or 0.0)), "f")
        case _:
            return json.dumps(value, ensure_ascii=False)
