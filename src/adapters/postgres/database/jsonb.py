"""JSON as PostgreSQL takes it."""

import json
import re

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_TEXT_OR_LARGE_DOUBLE = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9.]+e\+[0-9]+')


def as_json(value: object) -> str:
    """JSON from which PostgreSQL gives back the very same: it writes 1e16 without an exponent, so a point tells that from an integer."""
    text = _encode(value)
    return _TEXT_OR_LARGE_DOUBLE.sub(_spelled_out, text) if "e+" in text else text


def _spelled_out(match: re.Match[str]) -> str:
    return match[0] if match[0].startswith('"') else f"{float(match[0]):.1f}"
