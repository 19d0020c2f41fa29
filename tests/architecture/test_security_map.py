"""SECURITY.md keeps its word: every test that it names exists, every requirement stands once, and its sums are right."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECURITY = (ROOT / "SECURITY.md").read_text()
MAP = SECURITY[SECURITY.index("## OWASP ASVS 5.0") :]
MET, NOT_MET, NOT_APPLICABLE = re.split(r"^### (?:Not met|Does not apply)$", MAP, flags=re.MULTILINE)
WHOLE_CHAPTERS = re.findall(r"(V\d+) [\w ]+ \((\d+)(?: requirements)?\)", NOT_APPLICABLE)
TEST = re.compile(r"`([\w/]+\.py)::((?:\w+::)?test_\w+)`")


def rows(text: str) -> list[list[str]]:
    """The cells of every row of a table whose first cell names requirements."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| V")]


def ids(text: str) -> list[str]:
    return [id for cells in rows(text) for id in cells[0].split(", ")]


@cache
def known_tests(file: str) -> frozenset[str]:
    """The tests of a module below `tests/`, those of a class with its name before them."""
    return frozenset(_tests(ast.parse((ROOT / "tests" / file).read_text()).body, ""))


def _tests(body: list[ast.stmt], prefix: str) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _tests(node.body, f"{node.name}::")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield prefix + node.name


def test_every_requirement_has_its_form_and_stands_once() -> None:
    every = ids(MAP)
    assert len(every) > 150
    assert [id for id in every if not re.fullmatch(r"V(?:1[0-7]|[1-9])\.[1-9]\d?\.[1-9]\d?", id)] == []
    assert [id for id, times in Counter(every).items() if times > 1] == []
    assert {id.partition(".")[0] for id in every}.isdisjoint(chapter for chapter, _ in WHOLE_CHAPTERS)


def test_a_requirement_stands_in_its_chapter() -> None:
    for section in MET.split("\n### ")[1:]:
        chapter = section.split()[0]
        assert ids(section)
        assert {id.partition(".")[0] for id in ids(section)} == {chapter}


def test_whatever_is_met_names_its_tests() -> None:
    for cells in rows(MET):
        assert len(cells) == 4, cells
        assert all(cells)
        assert TEST.sub("", cells[3]).strip(", ") == "", cells


def test_whatever_is_not_has_its_reason() -> None:
    for cells in (*rows(NOT_MET), *rows(NOT_APPLICABLE)):
        assert all(len(cell) > 2 for cell in cells), cells


@pytest.mark.parametrize("named", sorted({match[0] + "::" + match[1] for match in TEST.findall(MAP)}))
def test_every_test_that_is_named_exists(named: str) -> None:
    file, _, test = named.partition("::")
    assert test in known_tests(file)


def test_the_sums_are_right() -> None:
    told = [int(number) for number in re.findall(r"\b\d+\b", MAP.split("\n\n")[1].partition("level 2, ")[2])]
    total = int(re.findall(r"Of the (\d+) requirements", MAP)[0])
    by_chapter = sum(int(number) for _, number in WHOLE_CHAPTERS)
    assert by_chapter
    assert told == [len(ids(MET)), len(ids(NOT_MET)), len(ids(NOT_APPLICABLE)) + by_chapter]
    assert sum(told) == total


def test_every_link_leads_somewhere() -> None:
    headings = re.findall(r"^#+ (.*)$", SECURITY, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    links = re.findall(r"\]\(([^)]+)\)", SECURITY)
    assert links
    for link in links:
        assert link.removeprefix("#") in anchors if link.startswith("#") else (ROOT / link).exists(), link
