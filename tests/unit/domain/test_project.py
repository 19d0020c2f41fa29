"""Projects: slugs, changes, deletion."""

from datetime import timedelta
from typing import Any

import pytest

from domain.errors import Invalid, Stale
from domain.project import RESERVED_SLUGS, Project, SlugReserved, new_project
from tests.examples import NOW

LATER = NOW + timedelta(hours=1)


def project(**content: Any) -> Project:
    given: dict[str, Any] = {"slug": "story", "title": "A story", "at": NOW} | content
    return new_project(**given)


def faults_of(**content: Any) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as refused:
        project(**content)
    return [(fault.pointer, fault.code) for fault in refused.value.faults]


@pytest.mark.parametrize("slug", ["a", "0", "a-b", "dark-data", "a" * 64, "a--b"])
def test_a_plain_slug_will_do(slug: str) -> None:
    assert project(slug=slug).slug == slug


@pytest.mark.parametrize("slug", ["", "-", "-a", "a-", "A", "a_b", "a.b", "a/b", "a b", "a\n", "ä", "a" * 65, "%61"])
def test_anything_else_is_no_slug(slug: str) -> None:
    assert faults_of(slug=slug) == [("/slug", "bad-slug")]


@pytest.mark.parametrize("slug", sorted(RESERVED_SLUGS))
def test_an_address_of_our_own_is_reserved(slug: str) -> None:
    with pytest.raises(SlugReserved):
        project(slug=slug)


def test_what_is_invalid_is_told_before_what_is_reserved() -> None:
    assert faults_of(slug="admin", title="") == [("/title", "too-short")]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ({"title": ""}, ("/title", "too-short")),
        ({"title": " \n"}, ("/title", "too-short")),
        ({"title": "x" * 256}, ("/title", "too-long")),
        ({"title": "a\x00"}, ("/title", "control-character")),
        ({"description": "x" * 10_001}, ("/description", "too-long")),
        ({"description": "\ud800"}, ("/description", "control-character")),
    ],
)
def test_a_bad_text_is_named(content: dict[str, Any], fault: tuple[str, str]) -> None:
    assert faults_of(**content) == [fault]
    with pytest.raises(Invalid):
        project().revise(content, at=LATER)


def test_the_longest_texts_will_do() -> None:
    assert project(title="\U0001f600" * 255, description="x" * 10_000)
    assert project(description="").description == ""


def test_a_change_makes_a_new_version() -> None:
    revised = project().revise({"title": "Another"}, at=LATER)
    assert (revised.title, revised.version, revised.updated_at) == ("Another", 2, LATER)
    assert project().revise({"title": "A story"}, at=LATER) == project()


def test_a_stale_version_changes_nothing_and_what_is_invalid_comes_first() -> None:
    with pytest.raises(Stale):
        project().revise({"title": "Another"}, expected=frozenset({2}), at=LATER)
    with pytest.raises(Invalid):
        project().revise({"title": ""}, expected=frozenset({2}), at=LATER)
    assert project().revise({"title": "Another"}, expected=frozenset({1, 9}), at=LATER).version == 2


def test_a_deleted_project_is_not_active() -> None:
    deleted = project().delete(at=LATER)
    assert (deleted.is_active, deleted.deleted_at, deleted.version) == (False, LATER, 2)
    with pytest.raises(Stale):
        project().delete(expected=frozenset({2}), at=LATER)
