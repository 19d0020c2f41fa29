"""Judged rows as the lines of COPY's text format, column by column: a few operations on all values at once instead of some on each."""

from typing import Any

from adapters.postgres.database import as_json
from domain.resource_import import Judged

_NULL = "\\N"


def lines_of(judged: Judged) -> bytes:
    """A line for each row, in the order of `statements.COLUMNS`."""
    keys = list(map(str.strip, judged.folded_names))
    names_folded = [None if folded == key else folded for folded, key in zip(judged.folded_names, keys, strict=True)]
    columns = (
        list(map(str, judged.numbers)),
        list(map(str, judged.given)),
        ["f"] * len(keys),
        _escaped(judged.names),
        _escaped(keys),
        _nullable(names_folded),
        _nullable(judged.descriptions),
        _nullable(judged.descriptions_folded),
        judged.statuses,
        _escaped([value if isinstance(value, str) else as_json(value) for value in judged.attributes]),
    )
    lines = ["\t".join(row) for row in zip(*columns, strict=True)]
    for (row, _), key in zip(judged.broken, _nullable([name and name.strip() for _, name in judged.broken]), strict=True):
        lines.append("\t".join((str(row), "0", "t", _NULL, key, *[_NULL] * 5)))
    return "".join([f"{line}\n" for line in lines]).encode()


def _nullable(values: list[Any]) -> list[str]:
    if not any(value is not None for value in values):
        return [_NULL] * len(values)
    escaped = _escaped(["" if value is None else value for value in values])
    return [_NULL if value is None else text for value, text in zip(values, escaped, strict=True)]


def _escaped(values: list[str]) -> list[str]:
    """The values as COPY wants them. All are escaped in one text, parted by a character that none holds."""
    joined = "\x00".join(values)
    for plain, escaped in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r")):
        if plain in joined:
            joined = joined.replace(plain, escaped)
    return joined.split("\x00") if values else []
