"""Documents of results as bytes."""

import json
from typing import Any


def encoded(document: dict[str, Any]) -> bytes:
    """The JSON of a document."""
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
