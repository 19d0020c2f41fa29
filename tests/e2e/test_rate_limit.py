"""How often who may ask: the classes of the contract, by whom they count, and that what a refusal says is true."""

import re
import secrets
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.client import ADMIN_PASSWORD, PASSWORD, Service, client, log_in, make_user, problem, serving, token_of, unique

pytestmark = pytest.mark.xdist_group("limited")

PROXIED = "127.0.0.0/8"


@pytest.fixture(scope="module")
def limited(database: dict[str, str]) -> Iterator[Service]:
    """A service with the limits of the contract, behind a trusted proxy: each test is on networks of its own."""
    settings = {"ADMIN_PASSWORD": ADMIN_PASSWORD, "TRUSTED_PROXIES": PROXIED} | database
    with serving("--demo", folder=None, **settings) as service:
        yield service


@pytest.fixture(scope="module")
def brisk(database: dict[str, str]) -> Iterator[Service]:
    """A service with a small limit over a second, that trusts no proxy."""
    settings = {"ADMIN_PASSWORD": ADMIN_PASSWORD, "RATE_LIMITS": "public-read=4/s,survey-write=3/s"} | database
    with serving("--demo", folder=None, **settings) as service:
        yield service


_last = 0


def network() -> str:
    """An address that no other test comes from."""
    global _last
    _last += 1
    return f"203.0.{_last // 250}.{_last % 250 + 1}"


def state(answer: httpx.Response) -> dict[str, tuple[int, int]]:
    """What is left, and in how many seconds it is whole again, by policy."""
    found = re.findall(r'"([a-z-]+)";r=([0-9]+);t=([0-9]+)', answer.headers["ratelimit"])
    return {name: (int(left), int(seconds)) for name, left, seconds in found}


def statuses(reader: httpx.Client, method: str, address: str, times: int, **options: object) -> list[int]:
    return [reader.request(method, address, **options).status_code for _ in range(times)]  # type: ignore[arg-type]


def refused(answer: httpx.Response, code: str = "too-many-requests") -> int:
    """The seconds to wait, after seeing that this says so."""
    problem(answer, 429, code)
    assert re.fullmatch("[1-9][0-9]*", answer.headers["retry-after"])
    return int(answer.headers["retry-after"])


def test_public_reading_counts_by_route_and_not_by_address(limited: Service) -> None:
    with client(limited.url, **{"x-forwarded-for": network()}) as reader:
        first = reader.get("/dark-data/resources/1")
        assert state(first)["public-read"][0] == 599
        assert first.headers["ratelimit-policy"] == '"public-read";q=600;w=60'
        assert state(reader.get("/dark-data/resources/2"))["public-read"][0] == 598
        assert state(reader.get("/no-such-story/resources/3"))["public-read"][0] == 597
        assert state(reader.get("/dark-data/resources"))["public-read"][0] == 599
        assert state(reader.get("/projects?x=1"))["public-read"][0] == 599
        assert state(reader.head("/projects"))["public-read"][0] == 598


def test_health_counts_for_nothing(limited: Service) -> None:
    with client(limited.url, **{"x-forwarded-for": network()}) as reader:
        for address in ("/health", "/health/live", "/health/ready"):
            assert "ratelimit" not in reader.get(address).headers


def test_signing_in_is_limited_by_network_and_refused_before_it_is_read(limited: Service) -> None:
    here, elsewhere = network(), network()
    with client(limited.url, **{"x-forwarded-for": here}) as guesser:
        assert statuses(guesser, "POST", "/auth/login", 10, content=b"") == [415] * 10
        wait = refused(guesser.post("/auth/login", json={"username": "admin", "password": ADMIN_PASSWORD}))
        assert 1 <= wait <= 60
        problem(guesser.post("/auth/refresh", json={"refresh_token": "x"}), 401)
    assert log_in(limited.url, "admin", ADMIN_PASSWORD, **{"x-forwarded-for": elsewhere}).status_code == 200


def test_the_signed_in_are_limited_by_who_they_are(limited: Service) -> None:
    admin = client(limited.url, token_of(log_in(limited.url, "admin", ADMIN_PASSWORD, **{"x-forwarded-for": network()})))
    admin.headers["x-forwarded-for"] = network()
    other = client(limited.url, make_user(admin, unique("limited"), "member"))
    own = statuses(other, "GET", "/auth/me", 601)
    assert own == [200] * 600 + [429]
    other.headers["x-forwarded-for"] = network()
    refused(other.get("/auth/me"))
    assert admin.get("/auth/me").status_code == 200


def test_a_respondent_may_save_thirty_times_a_minute_and_a_classroom_three_hundred(limited: Service) -> None:
    classroom = network()
    with client(limited.url, **{"x-forwarded-for": classroom}) as reader:

        def save(fingerprint: str) -> httpx.Response:
            body = {"fingerprint": fingerprint, "field": "consent", "value": "accepted"}
            return reader.post("/dark-data/survey/upsert", json=body)

        first = save("respondent-0000")
        assert state(first) == {"survey-write-network": (299, 60), "survey-write": (29, 60)}
        assert {save("respondent-0000").status_code for _ in range(29)} == {200}
        told = save("respondent-0000")
        refused(told)
        assert state(told)["survey-write"][0] == 0
        others = [save(f"respondent-{number // 30:04}").status_code for number in range(30, 299)]
        assert set(others) == {200, 201}
        told = save("respondent-9999")
        refused(told)
        assert state(told)["survey-write-network"][0] == 0
        reader.headers["x-forwarded-for"] = network()
        assert save("respondent-9999").status_code == 201
        assert save("respondent-0000").status_code == 200  # who knows a fingerprint uses nothing up for who is elsewhere


def test_a_respondent_belongs_to_a_project_that_is_there(limited: Service) -> None:
    token = {"x-respondent-token": secrets.token_urlsafe(32)}
    with client(limited.url, **{"x-forwarded-for": network()}) as reader:

        def save(project: str, fingerprint: str) -> httpx.Response:
            body = {"fingerprint": fingerprint, "field": "consent", "value": "accepted"}
            return reader.post(f"/{project}/survey/upsert", json=body, headers=token)

        nowhere = [save("no-such-story", "first-of-its-kind") for _ in range(31)]
        for answer in nowhere:
            problem(answer, 404)
        assert set(state(nowhere[-1])) == {"survey-write-network"}
        first = save("dark-data", "second-of-its-kind")
        assert (first.status_code, state(first)["survey-write"][0]) == (201, 29)
        assert [save("dark-data", "second-of-its-kind").status_code for _ in range(30)] == [200] * 29 + [429]


def test_a_malformed_token_uses_nothing_up(limited: Service) -> None:
    with client(limited.url, **{"x-forwarded-for": network()}) as reader:
        body = {"fingerprint": "fourth-of-its-kind", "field": "consent", "value": "accepted", "respondent_token": "short"}
        answer = reader.post("/dark-data/survey/upsert", json=body)
        problem(answer, 401)
        assert set(state(answer)) == {"survey-write-network"}


def test_how_often_somebody_else_saves_is_told_to_nobody(limited: Service) -> None:
    owner, told = {"x-respondent-token": secrets.token_urlsafe(32)}, []
    body = {"fingerprint": "third-of-its-kind", "field": "consent", "value": "accepted"}
    for _ in range(3):
        with client(limited.url, **{"x-forwarded-for": network()}) as reader:
            for _ in range(4):
                reader.post("/dark-data/survey/upsert", json=body, headers=owner)
        with client(limited.url, **{"x-forwarded-for": network()}) as stranger:
            answer = stranger.post("/dark-data/survey/upsert", json=body)
            problem(answer, 401)
            told.append(state(answer)["survey-write"][0])
    assert told == [29] * 3


def test_searches_are_a_class_of_their_own(limited: Service) -> None:
    with client(limited.url, **{"x-forwarded-for": network()}) as reader:
        for address in ("resources", "resources/count", "resources/paginated", "export"):
            assert "search" not in state(reader.get(f"/dark-data/{address}"))
            found = reader.get(f"/dark-data/{address}?search=trust")
            assert (found.status_code, state(found)["search"][0]) == (200, 119)
            assert '"search";q=120;w=60' in found.headers["ratelimit-policy"]
        assert statuses(reader, "GET", "/dark-data/resources?search=trust", 120) == [200] * 119 + [429]
        assert reader.get("/dark-data/resources").status_code == 200


def test_refreshing_counts_by_session(limited: Service) -> None:
    here = {"x-forwarded-for": network()}
    one, other = (log_in(limited.url, "admin", ADMIN_PASSWORD, **here).json()["refresh_token"] for _ in range(2))
    with client(limited.url, **here) as person:
        for left in range(29, -1, -1):
            answer = person.post("/auth/refresh", json={"refresh_token": one})
            assert (answer.status_code, state(answer)["refresh"][0]) == (200, left)
            one = answer.json()["refresh_token"]
        refused(person.post("/auth/refresh", json={"refresh_token": one}))
        assert person.post("/auth/refresh", json={"refresh_token": other}).status_code == 200
        problem(person.post("/auth/refresh", json={"refresh_token": "x"}), 401)


def test_a_refusal_says_truly_when_to_come_again(brisk: Service) -> None:
    with client(brisk.url) as reader:
        assert statuses(reader, "GET", "/projects", 4) == [200] * 4
        wait = refused(reader.get("/projects"))
        assert wait == 1
        time.sleep(wait)
        assert reader.get("/projects").status_code == 200


def test_an_untrusted_forwarded_address_counts_for_nothing(brisk: Service) -> None:
    with client(brisk.url) as reader:
        answered = [reader.get("/dark-data", headers={"x-forwarded-for": network()}).status_code for _ in range(5)]
    assert answered == [200] * 4 + [429]


def test_a_set_limit_of_respondents_sets_that_of_networks_tenfold(brisk: Service) -> None:
    body = {"fingerprint": "respondent-0000", "field": "consent", "value": "accepted"}
    policy = httpx.post(f"{brisk.url}/dark-data/survey/upsert", json=body).headers["ratelimit-policy"]
    assert policy == '"survey-write-network";q=30;w=1, "survey-write";q=3;w=1'


@pytest.mark.parametrize(
    ("forwarded", "same"),
    [
        ("{a}", "{a}"),
        ("198.51.100.7, {a}", "{a}"),
        ("{a}, 127.0.0.9", "{a}"),
        ("{a},127.0.0.9 , 127.1.2.3", "{a}"),
        ("<script>, {a}", "{a}"),
        ("2001:db8:{n}::1", "2001:db8:{n}:0:ffff::2"),
        ("::ffff:{a}", "{a}"),
    ],
)
def test_the_right_most_untrusted_hop_is_the_network(limited: Service, forwarded: str, same: str) -> None:
    address = network()
    number = f"{sum(int(part) << 8 * place for place, part in enumerate(reversed(address.split('.')))) & 0xFFFF:x}"

    def left(given: str) -> int:
        text = given.replace("{a}", address).replace("{n}", number)
        return state(httpx.get(f"{limited.url}/problems/invalid", headers={"x-forwarded-for": text}))["public-read"][0]

    first = left(forwarded)
    assert left(same) == first - 1


def test_two_forwarding_lines_are_one_list(limited: Service) -> None:
    address = network()

    def left(*lines: str) -> int:
        headers = [("x-forwarded-for", line) for line in lines]
        return state(httpx.get(f"{limited.url}/problems/invalid", headers=headers))["public-read"][0]

    first = left(address)
    assert left("198.51.100.7", address) == first - 1
    assert left(address, "127.0.0.2") == first - 2


def test_after_ten_failures_the_networks_that_failed_are_refused_and_the_owner_still_enters(limited: Service) -> None:
    admin = client(limited.url, token_of(log_in(limited.url, "admin", ADMIN_PASSWORD, **{"x-forwarded-for": network()})))
    admin.headers["x-forwarded-for"] = network()
    username, unknown = unique("target"), unique("nobody")
    make_user(admin, username, "member")
    first, second, home = network(), network(), network()
    places = {username: (first, second), unknown: (network(), network())}

    def guess(name: str, where: str, password: str = "a-wrong-password") -> httpx.Response:
        return log_in(limited.url, name, password, **{"x-forwarded-for": where, "x-request-id": "same"})

    told: dict[str, bytes] = {}
    for name, networks in places.items():
        for number in range(10):
            problem(guess(name, networks[number % 2]), 401, "invalid-credentials")
        for where in networks:
            answer = guess(name.upper(), where)
            assert 1 <= refused(answer, "too-many-attempts") <= 15 * 60
            told[name] = answer.content
    assert told[username] == told[unknown]
    refused(guess(username, first, PASSWORD), "too-many-attempts")
    assert guess(username, home, PASSWORD).status_code == 200
    problem(guess(username, home), 401)


def test_registration_is_closed_unless_opened(limited: Service) -> None:
    body = {"username": unique("closed"), "email": "c@example.org", "password": PASSWORD}
    closed = httpx.post(f"{limited.url}/auth/register", json=body, headers={"x-forwarded-for": network()}, timeout=30)
    problem(closed, 404, "not-found")


@pytest.mark.parametrize("body", [b"{", b"{}", b'{"username": "admin", "email": "x", "password": "y"}'])
def test_closed_registration_is_not_there_whatever_is_sent(limited: Service, body: bytes) -> None:
    headers = {"x-forwarded-for": network(), "content-type": "application/json"}
    problem(httpx.post(f"{limited.url}/auth/register", content=body, headers=headers, timeout=30), 404)


def test_those_whose_role_is_too_low_are_limited_too(limited: Service) -> None:
    admin = client(limited.url, token_of(log_in(limited.url, "admin", ADMIN_PASSWORD, **{"x-forwarded-for": network()})))
    admin.headers["x-forwarded-for"] = network()
    with client(limited.url, make_user(admin, unique("curious"), "member")) as member:
        member.headers["x-forwarded-for"] = network()
        assert statuses(member, "GET", "/admin/users", 601) == [403] * 600 + [429]
