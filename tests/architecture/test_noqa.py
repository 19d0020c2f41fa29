"""No rule is silenced without a reason beside it."""

import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"
SILENCED = re.compile(r"# noqa\b")
REASONED = re.compile(r"# noqa: [A-Z]+[0-9]+(?:, [A-Z]+[0-9]+)* - \S")


def without_reason(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if SILENCED.search(line) and not REASONED.search(line)]


def test_every_silenced_rule_has_a_reason() -> None:
    texts = [path.read_text() for path in SOURCE.rglob("*.py")]
    assert sum(len(SILENCED.findall(text)) for text in texts) > 5
    assert [line for text in texts for line in without_reason(text)] == []


@pytest.mark.parametrize("line", ["x = 1  # noqa", "x = 1  # noqa: S105", "x = 1  # noqa: S105 -", "x = 1  # noqa: S105 S106 - why"])
def test_a_bare_silencing_is_found(line: str) -> None:
    assert without_reason(line) == [line]
