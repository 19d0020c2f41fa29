"""Accounts: names, passwords, identifiers, and the last admin."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.access import Role
from domain.errors import Invalid, Stale
from domain.user import (
    RESERVED_USERNAMES,
    LastAdmin,
    canonical_username,
    email_faults,
    new_user,
    normal_openalex,
    normal_orcid,
    normal_password,
    password_faults,
    username_faults,
)
from tests.examples import NOW, user

LATER = NOW + timedelta(hours=1)


def faults_of(**account: Any) -> list[tuple[str, str]]:
    content: dict[str, Any] = {"username": "ada", "email": "ada@example.org", "at": NOW} | account
    try:
        new_user(**content)
    except Invalid as error:
        return [(fault.pointer, fault.code) for fault in error.faults]
    return []


@pytest.mark.parametrize("name", ["ada", "0da", "a.b", "a_b-c.", "a" * 50])
def test_a_plain_name_is_a_username(name: str) -> None:
    assert not list(username_faults(name))


@pytest.mark.parametrize(
    "name", ["", "ab", "a" * 51, ".ada", "_ada", "-ada", "ada lovelace", "ada\n", "adа", "ädä", "ａｄａ", "ada@x", "ada/x", "a\u0301da"]
)
def test_anything_else_is_not(name: str) -> None:
    assert [fault.code for fault in username_faults(name)] == ["bad-username"]


@pytest.mark.parametrize("name", ["admin", "ADMIN", "Root", "ſupport", "sYstem"])
def test_a_reserved_name_is_refused_in_any_case(name: str) -> None:
    assert faults_of(username=name) == [("/username", "reserved-username")]
    assert new_user(username=name, email="a@b.c", at=NOW, reserved_allowed=True).username in RESERVED_USERNAMES


@pytest.mark.parametrize("name", ["аdmin", "admın", "ａdmin", "admin\u200b", "ADMİN"])
def test_a_name_that_looks_like_a_reserved_one_is_not_a_name(name: str) -> None:
    assert faults_of(username=name) == [("/username", "bad-username")]


def test_a_name_is_stored_folded() -> None:
    assert new_user(username="AdA", email="Ada@Example.org", at=NOW).username == "ada"


@given(st.text())
def test_a_canonical_username_is_its_own(name: str) -> None:
    once = canonical_username(name)
    if not list(username_faults(once)):
        assert canonical_username(once) == once


@pytest.mark.parametrize("email", ["a@b", "ada@example.org", "a+b@c.d.e", "Леся@пошта.укр", "a@" + "b" * 252])
def test_an_address_that_a_mail_server_might_take(email: str) -> None:
    assert not list(email_faults(email))


@pytest.mark.parametrize(
    "email", ["", "a", "@", "a@", "@b", "a@b@c", "a b@c", "a@b.", "a@.b", "a@b..c", "a@b\n", "a@" + "b" * 253, "a\x00@b"]
)
def test_an_address_that_none_would_take(email: str) -> None:
    assert list(email_faults(email))


def test_every_fault_of_an_account_is_told_at_once() -> None:
    faults = faults_of(username="x", email="x", orcid_id="x", openalex_id="x")
    assert faults == [
        ("/username", "bad-username"),
        ("/email", "bad-email"),
        ("/orcid_id", "not-an-orcid"),
        ("/openalex_id", "not-an-openalex-id"),
    ]


@pytest.mark.parametrize("absent", ["", None])
def test_an_identifier_may_be_left_out(absent: str | None) -> None:
    made = new_user(username="ada", email="a@b.c", at=NOW, orcid_id=absent, openalex_id=absent)
    assert (made.orcid_id, made.openalex_id) == (None, None)


@pytest.mark.parametrize(
    "orcid",
    ["0000-0002-1825-0097", "https://orcid.org/0000-0002-1825-0097", "http://www.orcid.org/0000-0002-1825-0097", " 0000-0002-1825-0097 "],
)
def test_an_orcid_is_taken_bare_or_as_its_address(orcid: str) -> None:
    assert normal_orcid(orcid) == "0000-0002-1825-0097"


def test_an_orcid_may_end_in_x() -> None:
    assert normal_orcid("0000-0002-1694-233X") == "0000-0002-1694-233X"


@pytest.mark.parametrize(
    "orcid", ["0000-0002-1825-0098", "0000-0002-1825-009X", "0000000218250097", "0000-0002-1694-233x", "٠٠٠٠-0002-1825-0097", "X" * 19, ""]
)
def test_anything_else_is_no_orcid(orcid: str) -> None:
    assert normal_orcid(orcid) is None


def with_check(digits: str, check: str) -> str:
    whole = digits + check
    return "-".join(whole[at : at + 4] for at in range(0, 16, 4))


@given(st.text("0123456789", min_size=15, max_size=15))
def test_each_orcid_has_exactly_one_check_character(digits: str) -> None:
    good = [check for check in "0123456789X" if normal_orcid(with_check(digits, check))]
    assert len(good) == 1
    # ISO 7064 mod 11-2, said in another way: the weighted sum, X counting ten, leaves the remainder one.
    values = [int(digit) for digit in digits] + [10 if good[0] == "X" else int(good[0])]
    assert sum(value * 2 ** (15 - place) for place, value in enumerate(values)) % 11 == 1


@given(st.text("0123456789", min_size=15, max_size=15), st.integers(0, 14), st.integers(1, 9))
def test_one_wrong_digit_is_always_noticed(digits: str, place: int, shift: int) -> None:
    check = next(check for check in "0123456789X" if normal_orcid(with_check(digits, check)))
    wrong = digits[:place] + str((int(digits[place]) + shift) % 10) + digits[place + 1 :]
    assert normal_orcid(with_check(wrong, check)) is None


@pytest.mark.parametrize(
    "openalex", ["A5023888391", "a5023888391", "https://openalex.org/A5023888391", "https://api.openalex.org/authors/a5023888391"]
)
def test_an_openalex_id_is_taken_bare_or_as_its_address(openalex: str) -> None:
    assert normal_openalex(openalex) == "A5023888391"


@pytest.mark.parametrize("openalex", ["W5023888391", "A0", "A", "A1234567890123456", "https://example.org/A1", "A1/", ""])
def test_anything_else_is_no_openalex_id(openalex: str) -> None:
    assert normal_openalex(openalex) is None


def password_codes(password: str, username: str = "lovelace") -> list[str]:
    common = {"password", "qwertyuiop12", "abc"}
    return [fault.code for fault in password_faults(password, username=username, is_common=common.__contains__)]


@pytest.mark.parametrize("password", ["correct horse battery", "            .", "Я" * 11 + "x", "a1" * 63 + "bc", "\U0001f600" * 11 + "!"])
def test_any_long_and_rare_password_will_do(password: str) -> None:
    assert password_codes(password) == []


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("", "password-length"),
        ("short words", "password-length"),
        ("a1" * 64 + "b", "password-length"),
        ("\ufb03" * 43, "password-length"),
        ("QWERTYUIOP12", "password-common"),
        ("passwordpassword", "password-common"),
        ("PassWordPASSWORD", "password-common"),
        ("abcabcabcabc", "password-common"),
        ("\uff50assword" * 2, "password-common"),
        ("my LoveLace is long", "password-holds-username"),
    ],
)
def test_a_bad_password_is_refused_for_what_it_is(password: str, code: str) -> None:
    assert password_codes(password) == [code]


@given(st.text(min_size=1))
def test_a_normal_password_is_its_own_normal_form(password: str) -> None:
    assert normal_password(normal_password(password)) == normal_password(password)


def test_a_change_of_role_makes_a_new_version() -> None:
    ada = user("ada", id=2)
    changed = ada.administer(role=Role.ANNOTATOR, active_admins=frozenset({1}), at=LATER)
    assert (changed.role, changed.version, changed.updated_at, changed.is_active) == (Role.ANNOTATOR, 2, LATER, True)


def test_nothing_different_is_the_same_user() -> None:
    ada = user("ada", id=2)
    assert ada.administer(role=Role.MEMBER, is_active=True, active_admins=frozenset({1}), at=LATER) is ada


@pytest.mark.parametrize("change", [{"role": Role.MEMBER}, {"is_active": False}, {"role": Role.ANNOTATOR, "is_active": False}])
def test_the_last_active_admin_stays(change: dict[str, Any]) -> None:
    grace = user("grace", id=1, role=Role.ADMIN)
    with pytest.raises(LastAdmin):
        grace.administer(**change, active_admins=frozenset({1}), at=LATER)
    assert not grace.administer(**change, active_admins=frozenset({1, 2}), at=LATER).is_active_admin


def test_a_member_can_be_deactivated_though_one_admin_is_left() -> None:
    assert not user("ada", id=2).administer(is_active=False, active_admins=frozenset({1}), at=LATER).is_active


def test_an_admin_who_is_not_active_can_be_demoted_though_one_is_left() -> None:
    gone = user("gone", id=2, role=Role.ADMIN, is_active=False)
    assert gone.administer(role=Role.MEMBER, active_admins=frozenset({1}), at=LATER).role is Role.MEMBER


def test_a_stale_version_is_told_before_the_last_admin() -> None:
    with pytest.raises(Stale) as stale:
        user("grace", id=1, role=Role.ADMIN).administer(is_active=False, active_admins=frozenset({1}), expected=frozenset({7}), at=LATER)
    assert stale.value.current == 1


def test_a_password_hash_is_never_shown() -> None:
    assert "secret-hash" not in repr(user(password_hash="secret-hash"))


def test_a_profile_that_stays_the_same_keeps_its_version() -> None:
    ada = user(orcid_id="0000-0002-1825-0097")
    assert ada.revise_profile(orcid_id="https://orcid.org/0000-0002-1825-0097", email=ada.email, at=NOW) is ada
    assert ada.revise_profile(at=NOW) is ada


def test_all_faults_of_a_profile_are_told_at_once() -> None:
    with pytest.raises(Invalid) as refused:
        user().revise_profile(orcid_id="x", openalex_id="x", email="x", expected=frozenset({9}), at=NOW)
    assert [fault.pointer for fault in refused.value.faults] == ["/orcid_id", "/openalex_id", "/email"]
