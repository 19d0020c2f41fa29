"""What a text may hold, and when two names are the same name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Invalid
from domain.text import canonical, folded, is_clean, refuse, text_faults


@pytest.mark.parametrize("text", ["", "a", "line\nline\ttab", "\u00a0", "\x7f", "\U0001f600", "\ue000", "\ud7ff", "Я"])
def test_ordinary_text_is_clean(text: str) -> None:
    assert is_clean(text)


@pytest.mark.parametrize("character", ["\x00", "\x08", "\x0b", "\r", "\x1f", "\x80", "\x85", "\x9f", "\ud800"])
def test_controls_and_lone_surrogates_are_not_clean_wherever_they_stand(character: str) -> None:
    assert not is_clean(character)
    assert not is_clean(f"before {character}after\n")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Straße", "STRASSE"),
        ("caf\u00e9", "CAFE\u0301"),
        (" a\n", "A"),
        ("ΣΑΣ", "σας"),
        ("\ufb01ne", "FINE"),
        ("\u212b", "\u00e5"),
        ("Статья", "СТАТЬЯ"),
        ("\u01f0", "J\u030c"),
    ],
)
def test_names_that_look_the_same_are_the_same(one: str, other: str) -> None:
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize(("one", "other"), [("a b", "ab"), ("a", "\u0430"), ("a", "\u00e1"), ("2", "\u00b2"), ("a  b", "a b")])
def test_names_that_differ_stay_different(one: str, other: str) -> None:
    assert canonical(one) != canonical(other)


@given(st.text())
def test_a_canonical_name_is_its_own_canonical_name(name: str) -> None:
    assert canonical(canonical(name)) == canonical(name)


@given(st.text())
def test_folding_is_done_once(text: str) -> None:
    assert folded(folded(text)) == folded(text)


def codes(text: str, *, longest: int, shortest: int = 0) -> list[str]:
    return [fault.code for fault in text_faults("/name", text, longest=longest, shortest=shortest)]


def test_lengths_count_code_points() -> None:
    assert codes("\U0001f600" * 5, longest=5) == []
    assert codes("\U0001f600" * 6, longest=5) == ["too-long"]


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\u00a0"])
def test_blanks_alone_are_no_text_where_one_is_needed(text: str) -> None:
    assert codes(text, longest=5, shortest=1) == ["too-short"]
    assert codes(text, longest=5) == []


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(Invalid) as refused:
        refuse(text_faults("/name", "\x00" * 9, longest=5))
    assert [(fault.pointer, fault.code) for fault in refused.value.faults] == [("/name", "too-long"), ("/name", "control-character")]
    assert refused.value.members["errors"][0]["pointer"] == "/name"


def test_nothing_wrong_is_not_refused() -> None:
    refuse(text_faults("/name", "fine", longest=5))
