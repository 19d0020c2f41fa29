"""No forged token is read, whatever it was signed with; and the forger has enough ideas."""

from collections import Counter
from datetime import timedelta
from uuid import UUID

import pytest

from adapters.security.tokens import JoseTokens
from domain.session import InvalidToken
from tests.drills.forged import KINDS, Material, corpus
from tests.examples import NOW

SECRET = b"0123456789abcdef0123456789abcdef"
SESSION = UUID("019aa000-0000-7000-8000-000000000001")
TOKENS = JoseTokens([SECRET], access_lifetime=timedelta(minutes=15))
MATERIAL = Material(
    access=TOKENS.access(user_id=7, session_id=SESSION, at=NOW),
    secret=SECRET,
    texts={"refresh token": TOKENS.refresh(session_id=SESSION, generation=0)},
)
GENUINE = (7, SESSION)


def read(token: str) -> tuple[int, UUID] | None:
    try:
        return TOKENS.read_access(token, at=NOW)
    except InvalidToken:
        return None


@pytest.mark.parametrize("kind", KINDS)
def test_no_forged_token_is_read(kind: str) -> None:
    forged = [one for one in corpus(MATERIAL) if one.kind == kind and one.scheme == "Bearer"]
    assert len(forged) > 15
    assert read(MATERIAL.access) == GENUINE
    for one in forged:
        found = read(one.token)
        assert found is None or names_nobody(found), one


def names_nobody(found: tuple[int, UUID]) -> bool:
    """Whether this pair of a user and a session exists for nobody: the database, not the token, refuses it."""
    user_id, session_id = found
    return found != GENUINE and (user_id == 8) != (session_id != SESSION)


@pytest.mark.parametrize("change", ["+", "/"])
def test_a_refresh_token_has_one_text(change: str) -> None:
    letter = {"+": "-", "/": "_"}[change]
    token = next(t for t in (TOKENS.refresh(session_id=SESSION, generation=number) for number in range(1000)) if letter in t)
    assert TOKENS.read_refresh(token)[0] == SESSION
    with pytest.raises(InvalidToken):
        TOKENS.read_refresh(token.replace(letter, change))


def test_a_shorter_lifetime_holds_for_tokens_that_were_made_before() -> None:
    with pytest.raises(InvalidToken):
        JoseTokens([SECRET], access_lifetime=timedelta(minutes=5)).read_access(MATERIAL.access, at=NOW)


def test_the_corpus_is_large_and_always_the_same() -> None:
    once, again, other = corpus(MATERIAL), corpus(MATERIAL), corpus(MATERIAL, seed=2)
    assert once == again != other
    assert len(once) == len({(one.scheme, one.token) for one in once}) >= 2000
    assert Counter(one.kind for one in once).keys() == KINDS.keys()
    assert MATERIAL.access not in {one.token for one in once if one.scheme == "Bearer"}
