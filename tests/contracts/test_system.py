"""Time, chance and secrets: the sentences of their ports."""

import asyncio
import base64
from datetime import UTC, timedelta
from uuid import UUID

import argon2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jose import jwt

from adapters.security.common_passwords import CommonPasswordList
from adapters.security.password_hasher import PasslibHasher
from adapters.security.respondents import HmacRespondents
from adapters.security.tokens import JoseTokens
from adapters.system import SystemClock, SystemRandom
from application.ports import Clock, CommonPasswords, PasswordHasher, Random, Respondents, Tokens
from domain.response import is_token
from domain.session import InvalidToken
from tests.examples import NOW
from tests.fakes.system import FakeClock, FakeCommonPasswords, FakeHasher, FakeRandom, FakeRespondents, FakeTokens

SESSION = UUID("019aa000-0000-7000-8000-000000000001")
LIFETIME = timedelta(minutes=15)
A_SECOND = timedelta(seconds=1)
PASSWORD = "four random words do well"


def any_bit_set(numbers: list[int]) -> int:
    """The bits that are set in any of these."""
    found = 0
    for each in numbers:
        found |= each
    return found


class ClockContract:
    def test_now_is_in_utc_and_never_goes_back(self, clock: Clock) -> None:
        first, second = clock.now(), clock.now()
        assert first.tzinfo is UTC
        assert first <= second


class RandomContract:
    def test_ids_are_uuids_of_version_7_unique_and_in_order_of_time(self, random: Random) -> None:
        ids = [random.uuid() for _ in range(1000)]
        assert {(id.version, id.variant) for id in ids} == {(7, "specified in RFC 4122")}
        assert len(set(ids)) == 1000
        milliseconds = [id.int >> 80 for id in ids]
        assert milliseconds == sorted(milliseconds)

    def test_tokens_are_43_characters_of_base64url_and_unique(self, random: Random) -> None:
        tokens = {random.token() for _ in range(100)}
        assert len(tokens) == 100
        assert all(is_token(token) for token in tokens)

    @pytest.mark.parametrize("number", [1, 7, 64, 300])
    def test_bits_are_as_many_as_were_asked_for_and_each_is_seen_both_ways(self, random: Random, number: int) -> None:
        drawn = [random.bits(number) for _ in range(100)]
        assert all(0 <= each < 2**number for each in drawn)
        assert any_bit_set(drawn) == 2**number - 1
        assert any_bit_set([each ^ (2**number - 1) for each in drawn]) == 2**number - 1


class PasswordHasherContract:
    async def test_only_the_password_itself_is_genuine(self, hasher: PasswordHasher) -> None:
        hashed = await hasher.hash(PASSWORD)
        assert PASSWORD not in hashed
        assert await hasher.verify(PASSWORD, hashed)
        assert not await hasher.verify(PASSWORD + " ", hashed)

    async def test_every_character_counts_also_the_last_of_the_longest(self, hasher: PasswordHasher) -> None:
        hashed = await hasher.hash("Long enough " * 10 + "for 128!")
        for other in ("Long enough " * 10 + "for 128?", "long enough " * 10 + "for 128!", "Long enough " * 10 + "for 128"):
            assert not await hasher.verify(other, hashed)

    async def test_without_a_hash_nothing_is_genuine(self, hasher: PasswordHasher) -> None:
        assert not await hasher.verify(PASSWORD, None)

    async def test_two_hashes_of_one_password_differ(self, hasher: PasswordHasher) -> None:
        first, second = await asyncio.gather(hasher.hash(PASSWORD), hasher.hash(PASSWORD))
        assert first != second

    async def test_every_keyboard_types_the_same_password(self, hasher: PasswordHasher) -> None:
        assert await hasher.verify("pa\u0301ssword \ufb01ne", await hasher.hash("p\u00e1ssword fine"))

    async def test_a_hash_is_outdated_once_stronger_ones_are_made(self, hasher: PasswordHasher, weaker_hash: str) -> None:
        assert hasher.is_outdated(weaker_hash)
        assert await hasher.verify(PASSWORD, weaker_hash)
        assert not hasher.is_outdated(await hasher.hash(PASSWORD))


class CommonPasswordsContract:
    def test_the_most_used_are_among_them_and_a_rare_one_is_not(self, common: CommonPasswords) -> None:
        assert "password" in common
        assert "123456" in common
        assert PASSWORD not in common
        assert 123456 not in common


class TokensContract:
    def test_an_access_token_names_the_user_and_the_session(self, tokens: Tokens) -> None:
        token = tokens.access(user_id=7, session_id=SESSION, at=NOW)
        assert tokens.read_access(token, at=NOW) == (7, SESSION)
        assert tokens.access_seconds == LIFETIME.total_seconds()

    def test_an_access_token_is_good_until_it_expires(self, tokens: Tokens) -> None:
        at = NOW.replace(microsecond=0)
        token = tokens.access(user_id=7, session_id=SESSION, at=at)
        assert tokens.read_access(token, at=at + LIFETIME - A_SECOND)
        with pytest.raises(InvalidToken):
            tokens.read_access(token, at=at + LIFETIME)

    def test_a_refresh_token_names_the_session_and_the_generation(self, tokens: Tokens) -> None:
        token = tokens.refresh(session_id=SESSION, generation=3)
        assert tokens.read_refresh(token) == (SESSION, 3)
        assert tokens.refresh(session_id=SESSION, generation=3) == token
        assert tokens.refresh(session_id=SESSION, generation=4) != token

    def test_neither_kind_passes_for_the_other(self, tokens: Tokens) -> None:
        access, refresh = tokens.access(user_id=7, session_id=SESSION, at=NOW), tokens.refresh(session_id=SESSION, generation=0)
        with pytest.raises(InvalidToken):
            tokens.read_access(refresh, at=NOW)
        with pytest.raises(InvalidToken):
            tokens.read_refresh(access)

    @settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors])
    @given(position=st.integers(0, 71), letter=st.sampled_from("aZ0-_.=é\x00"))
    def test_a_token_changed_in_one_place_is_not_genuine(self, tokens: Tokens, position: int, letter: str) -> None:
        for token in (tokens.access(user_id=7, session_id=SESSION, at=NOW), tokens.refresh(session_id=SESSION, generation=0)):
            at = position % len(token)
            forged = token[:at] + letter + token[at + 1 :]
            if forged == token:
                continue
            with pytest.raises(InvalidToken):
                tokens.read_access(forged, at=NOW)
            with pytest.raises(InvalidToken):
                tokens.read_refresh(forged)

    @pytest.mark.parametrize("garbage", ["", ".", "..", "a.b.c", "é", "\ud800", "a" * 72, "a" * 2000, "e30.e30.e30", "W10.W10.W10"])
    def test_garbage_is_an_invalid_token_and_nothing_else(self, tokens: Tokens, garbage: str) -> None:
        with pytest.raises(InvalidToken):
            tokens.read_access(garbage, at=NOW)
        with pytest.raises(InvalidToken):
            tokens.read_refresh(garbage)


class RespondentsContract:
    def test_a_pseudonym_is_32_bytes_and_the_same_each_time(self, respondents: Respondents) -> None:
        first = respondents.pseudonym(project_id=1, fingerprint="fingerprint-ü")
        assert len(first) == 32
        assert respondents.pseudonym(project_id=1, fingerprint="fingerprint-ü") == first

    def test_a_pseudonym_is_another_in_another_project_and_for_another_reader(self, respondents: Respondents) -> None:
        pairs = [(1, "fingerprint-a"), (1, "fingerprint-b"), (2, "fingerprint-a"), (11, "fingerprint"), (1, "1fingerprint")]
        assert len({respondents.pseudonym(project_id=project, fingerprint=reader) for project, reader in pairs}) == len(pairs)

    def test_tokens_are_unique_and_of_the_right_form(self, respondents: Respondents) -> None:
        tokens = {respondents.token() for _ in range(100)}
        assert len(tokens) == 100
        assert all(is_token(token) for token in tokens)

    def test_of_a_token_32_bytes_are_stored_that_are_always_the_same(self, respondents: Respondents) -> None:
        token = respondents.token()
        assert len(respondents.hash(token)) == 32
        assert respondents.hash(token) == respondents.hash(token) != respondents.hash(respondents.token())


class TestFakeClock(ClockContract):
    @pytest.fixture
    def clock(self) -> Clock:
        return FakeClock()


class TestSystemClock(ClockContract):
    @pytest.fixture
    def clock(self) -> Clock:
        return SystemClock()


class TestFakeRandom(RandomContract):
    @pytest.fixture
    def random(self) -> Random:
        return FakeRandom()


class TestSystemRandom(RandomContract):
    @pytest.fixture
    def random(self) -> Random:
        return SystemRandom()


class TestFakeHasher(PasswordHasherContract):
    @pytest.fixture
    def hasher(self) -> FakeHasher:
        return FakeHasher()

    @pytest.fixture
    async def weaker_hash(self, hasher: FakeHasher) -> str:
        made = await hasher.hash(PASSWORD)
        hasher.get_stronger()
        return made


class TestPasslibHasher(PasswordHasherContract):
    @pytest.fixture
    def hasher(self) -> PasswordHasher:
        return PasslibHasher()

    @pytest.fixture
    def weaker_hash(self) -> str:
        return argon2.PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)

    async def test_hashes_are_argon2id_and_cost_what_is_advised(self, hasher: PasswordHasher) -> None:
        made = argon2.extract_parameters(await hasher.hash(PASSWORD))
        assert made.type is argon2.Type.ID
        assert (made.salt_len, made.hash_len) >= (16, 32)
        # OWASP ASVS 5.0, appendix C.6: each of these pairs resists alike.
        assert any(made.memory_cost >= kibibytes and made.time_cost >= times for kibibytes, times in ((47104, 1), (19456, 2), (12288, 3)))


class TestFakeCommonPasswords(CommonPasswordsContract):
    @pytest.fixture
    def common(self) -> CommonPasswords:
        return FakeCommonPasswords()


class TestCommonPasswordList(CommonPasswordsContract):
    @pytest.fixture
    def common(self) -> CommonPasswords:
        return CommonPasswordList()


class TestFakeTokens(TokensContract):
    @pytest.fixture
    def tokens(self) -> Tokens:
        return FakeTokens(access_lifetime=LIFETIME)


class TestJoseTokens(TokensContract):
    KEY, OLD = b"k" * 32, b"o" * 32

    @pytest.fixture
    def tokens(self) -> Tokens:
        return JoseTokens([self.KEY], access_lifetime=LIFETIME)

    def test_a_replaced_key_still_verifies_and_a_dropped_one_does_not(self, tokens: Tokens) -> None:
        old = JoseTokens([self.OLD], access_lifetime=LIFETIME)
        both = JoseTokens([self.KEY, self.OLD], access_lifetime=LIFETIME)
        access, refresh = old.access(user_id=7, session_id=SESSION, at=NOW), old.refresh(session_id=SESSION, generation=2)
        assert both.read_access(access, at=NOW) == (7, SESSION)
        assert both.read_refresh(refresh) == (SESSION, 2)
        assert both.refresh(session_id=SESSION, generation=2) == tokens.refresh(session_id=SESSION, generation=2)
        with pytest.raises(InvalidToken):
            tokens.read_access(access, at=NOW)
        with pytest.raises(InvalidToken):
            tokens.read_refresh(refresh)

    @pytest.mark.parametrize("change", [{"typ": "other"}, {"iss": "x"}, {"aud": "x"}, {"exp": "9999999999"}, {"sub": "x"}, {"sid": "x"}])
    def test_a_signed_token_with_another_meaning_is_refused(self, tokens: JoseTokens, change: dict[str, str]) -> None:
        token = tokens.access(user_id=7, session_id=SESSION, at=NOW)
        claims = jwt.get_unverified_claims(token) | change
        with pytest.raises(InvalidToken):
            tokens.read_access(jwt.encode(claims, tokens._access_keys[0].hex(), algorithm="HS256"), at=NOW)

    @pytest.mark.parametrize("claim", ["iss", "aud", "typ", "jti", "sub", "sid", "iat", "exp"])
    def test_a_signed_token_that_lacks_a_claim_is_refused(self, tokens: JoseTokens, claim: str) -> None:
        claims = jwt.get_unverified_claims(tokens.access(user_id=7, session_id=SESSION, at=NOW))
        del claims[claim]
        with pytest.raises(InvalidToken):
            tokens.read_access(jwt.encode(claims, tokens._access_keys[0].hex(), algorithm="HS256"), at=NOW)

    def test_a_token_without_a_signature_or_with_a_critical_header_is_refused(self, tokens: JoseTokens) -> None:
        token = tokens.access(user_id=7, session_id=SESSION, at=NOW)
        claims, key = jwt.get_unverified_claims(token), tokens._access_keys[0].hex()
        critical = jwt.encode(claims, key, algorithm="HS256", headers={"crit": ["exp"]})
        longer = jwt.encode(claims, key, algorithm="HS512")
        for forged in (critical, longer, token.rpartition(".")[0] + "."):
            with pytest.raises(InvalidToken):
                tokens.read_access(forged, at=NOW)

    def test_a_key_that_a_token_brings_along_counts_for_nothing(self, tokens: Tokens) -> None:
        claims, key = jwt.get_unverified_claims(tokens.access(user_id=7, session_id=SESSION, at=NOW)), "f" * 64
        own = {"kty": "oct", "k": base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")}
        for header in ({"jwk": own}, {"jku": "https://evil.example/keys"}, {"x5u": "https://evil.example/x"}, {"kid": "../../dev/null"}):
            with pytest.raises(InvalidToken):
                tokens.read_access(jwt.encode(claims, key, algorithm="HS256", headers=header), at=NOW)


class TestFakeRespondents(RespondentsContract):
    @pytest.fixture
    def respondents(self) -> Respondents:
        return FakeRespondents()


class TestHmacRespondents(RespondentsContract):
    @pytest.fixture
    def respondents(self) -> Respondents:
        return HmacRespondents(b"p" * 32)

    def test_without_the_key_a_pseudonym_is_of_no_use(self, respondents: Respondents) -> None:
        elsewhere = HmacRespondents(b"q" * 32)
        assert respondents.pseudonym(project_id=1, fingerprint="fingerprint") != elsewhere.pseudonym(
            project_id=1, fingerprint="fingerprint"
        )
