"""People who sign in: names, roles, passwords, researcher identifiers."""

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain

from domain.access import Role
from domain.errors import Conflict, Fault, Forbidden, expect_version
from domain.text import folded, refuse, text_faults

USERNAME_PATTERN = r"[a-z0-9][a-z0-9._-]{2,49}"
EMAIL_MAX = 254
PASSWORD_MIN, PASSWORD_MAX = 12, 128
RESERVED_USERNAMES = frozenset(
    {"admin", "administrator", "anonymous", "api", "auth", "everyone", "guest", "me", "nobody", "null", "owner"}
    | {"public", "root", "self", "support", "system", "undefined", "user", "users"}
)

_USERNAME = re.compile(USERNAME_PATTERN)
_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(?:\.[^@\s.]+)*")
_ORCID = re.compile(r"(?:https?://(?:www\.)?orcid\.org/)?((?:[0-9]{4}-){3}[0-9]{3}[0-9X])")
_OPENALEX = re.compile(r"(?:https?://(?:www\.|api\.)?openalex\.org/(?:authors/|people/)?)?(A[1-9][0-9]{0,14})", re.IGNORECASE)


class UsernameTaken(Conflict):
    """Another account has this username, compared without regard to case: choose another."""

    code = "username-taken"
    detail = "This username is taken."


class WrongPassword(Forbidden):
    """The current password that came along is not yours: nothing was changed."""

    code = "wrong-password"
    detail = "The current password is wrong."


class LastAdmin(Conflict):
    """The last active admin can be neither demoted nor deactivated: make another admin first."""

    code = "last-admin"
    detail = "This is the last active admin: make another admin first."


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person who can sign in. `id` is 0 until the store has given one."""

    id: int = 0
    username: str
    email: str
    password_hash: str | None = field(default=None, repr=False)
    role: Role = Role.MEMBER
    is_active: bool = True
    orcid_id: str | None = None
    openalex_id: str | None = None
    created_at: datetime
    updated_at: datetime | None = None
    version: int = 1

    @property
    def search_text(self) -> str:
        """What a search looks in; the separator is a character that no text may hold, so no match crosses it."""
        return folded(f"{self.username}\x1f{self.email}")

    @property
    def is_active_admin(self) -> bool:
        return self.is_active and self.role is Role.ADMIN

    def administer(
        self,
        *,
        role: Role | None = None,
        is_active: bool | None = None,
        active_admins: frozenset[int],
        expected: frozenset[int] | None = None,
        at: datetime,
    ) -> "User":
        """This user with another role or state. Raises `Stale`, and `LastAdmin` when no active admin would be left."""
        expect_version(self.version, expected)
        changed = replace(
            self,
            role=self.role if role is None else role,
            is_active=self.is_active if is_active is None else is_active,
        )
        if changed == self:
            return self
        if not changed.is_active_admin and active_admins <= {self.id}:
            raise LastAdmin
        return replace(changed, updated_at=at, version=self.version + 1)

    def revise_profile(
        self,
        *,
        email: str | None = None,
        orcid_id: str | None = None,
        openalex_id: str | None = None,
        expected: frozenset[int] | None = None,
        at: datetime,
    ) -> "User":
        """This user with other details; None leaves one as it is, an empty identifier clears it. Raises `Invalid`, `Stale`."""
        faults = identifier_faults(orcid_id=orcid_id, openalex_id=openalex_id)
        refuse(chain(faults, email_faults(email) if email is not None else ()))
        expect_version(self.version, expected)
        changed = replace(
            self,
            email=self.email if email is None else email,
            orcid_id=self.orcid_id if orcid_id is None else normal_orcid(orcid_id),
            openalex_id=self.openalex_id if openalex_id is None else normal_openalex(openalex_id),
        )
        return self if changed == self else replace(changed, updated_at=at, version=self.version + 1)

    def change_password(self, password_hash: str, *, expected: frozenset[int] | None = None, at: datetime) -> "User":
        """This user with another password. Raises `Stale`."""
        expect_version(self.version, expected)
        return replace(self, password_hash=password_hash, updated_at=at, version=self.version + 1)

    def strengthen_hash(self, password_hash: str) -> "User":
        """This user with a stronger hash of the same password: nothing that anybody can see has changed, hence the same version."""
        return replace(self, password_hash=password_hash)


def canonical_username(username: str) -> str:
    """The form in which a username is stored, compared and looked up."""
    return unicodedata.normalize("NFC", username).casefold()


def new_user(
    *,
    username: str,
    email: str,
    at: datetime,
    role: Role = Role.MEMBER,
    password_hash: str | None = None,
    orcid_id: str | None = None,
    openalex_id: str | None = None,
    reserved_allowed: bool = False,
) -> User:
    """A user ready to be stored; without a hash, one who has yet to set a password. Raises `Invalid` with every fault.

    `reserved_allowed` is for the operator at the command line, who makes the first `admin`.
    """
    name = canonical_username(username)
    refuse(account_faults(username=name, email=email, orcid_id=orcid_id, openalex_id=openalex_id, reserved_allowed=reserved_allowed))
    return User(
        username=name,
        email=email,
        password_hash=password_hash,
        role=role,
        orcid_id=normal_orcid(orcid_id) if orcid_id else None,
        openalex_id=normal_openalex(openalex_id) if openalex_id else None,
        created_at=at,
    )


def account_faults(
    *, username: str, email: str, orcid_id: str | None = None, openalex_id: str | None = None, reserved_allowed: bool = False
) -> Iterator[Fault]:
    """What is wrong with a canonical username, an e-mail address and the identifiers of a new account."""
    yield from username_faults(username, reserved_allowed=reserved_allowed)
    yield from email_faults(email)
    yield from identifier_faults(orcid_id=orcid_id, openalex_id=openalex_id)


def identifier_faults(*, orcid_id: str | None, openalex_id: str | None) -> Iterator[Fault]:
    """What is wrong with identifiers, where there are any."""
    if orcid_id and normal_orcid(orcid_id) is None:
        yield Fault(pointer="/orcid_id", code="not-an-orcid", detail="An ORCID iD like 0000-0002-1825-0097, checksum included.")
    if openalex_id and normal_openalex(openalex_id) is None:
        yield Fault(pointer="/openalex_id", code="not-an-openalex-id", detail="An OpenAlex author id like A5023888391.")


def username_faults(name: str, *, reserved_allowed: bool = False) -> Iterator[Fault]:
    """What is wrong with a canonical username."""
    if not _USERNAME.fullmatch(name):
        yield Fault(
            pointer="/username",
            code="bad-username",
            detail="3 to 50 of the letters a-z, digits, dot, underscore and hyphen, beginning with a letter or digit.",
        )
    elif name in RESERVED_USERNAMES and not reserved_allowed:
        yield Fault(pointer="/username", code="reserved-username", detail="This username is reserved.")


def email_faults(email: str) -> Iterator[Fault]:
    """What is wrong with an e-mail address: only what no mail server would take, since nothing but a mail proves one."""
    yield from text_faults("/email", email, longest=EMAIL_MAX)
    if not _EMAIL.fullmatch(email):
        yield Fault(pointer="/email", code="bad-email", detail="An e-mail address, such as ada@example.org.")


def password_faults(password: str, *, username: str, is_common: Callable[[str], bool], pointer: str = "/password") -> Iterator[Fault]:
    """What is wrong with a new password. There are no composition rules (NIST SP 800-63B, section 3.1.1.2).

    `is_common` tells whether a lower-case word is among the most used passwords.
    """
    normal = normal_password(password)
    if not PASSWORD_MIN <= len(normal) <= PASSWORD_MAX:
        yield Fault(
            pointer=pointer, code="password-length", detail=f"{PASSWORD_MIN} to {PASSWORD_MAX} characters: a few random words do well."
        )
        return
    lowered = normal.casefold()
    if username and username in lowered:
        yield Fault(pointer=pointer, code="password-holds-username", detail="A password may not contain the username.")
    if is_common(lowered) or is_common(_repeated_unit(lowered)):
        yield Fault(pointer=pointer, code="password-common", detail="This is one of the most used passwords, or one repeated.")


def normal_password(password: str) -> str:
    """The form that is hashed and compared: NFKC, so that every keyboard types the same password."""
    return unicodedata.normalize("NFKC", password)


def _repeated_unit(text: str) -> str:
    """The shortest string that, repeated, makes up `text` (`abcabc` → `abc`)."""
    return text[: (text + text).index(text, 1)]


def normal_orcid(orcid: str) -> str | None:
    """The bare identifier, or None when it is not one. ISO 7064 mod 11-2, as the ORCID site documents it."""
    match = _ORCID.fullmatch(orcid.strip())
    if match is None:
        return None
    digits = match[1].replace("-", "")
    total = 0
    for digit in digits[:-1]:
        total = (total + int(digit)) * 2
    check = (12 - total % 11) % 11
    return match[1] if digits[-1] == ("X" if check == 10 else str(check)) else None


def normal_openalex(openalex: str) -> str | None:
    """The bare author id in upper case, its URL prefix stripped, or None when it is not one."""
    match = _OPENALEX.fullmatch(openalex.strip())
    return match[1].upper() if match else None
