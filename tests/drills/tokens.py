"""Forged tokens over the socket: `python -m tests.drills.tokens` sends each to a quiet service of its own, and times every answer."""

import argparse
import http.client
import json
import sys
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import Any

import httpx

from tests.drills.forged import Forged, Material, corpus
from tests.e2e.client import ADMIN_PASSWORD, PASSWORD, Service, client, log_in, serving, token_of, unique

ASKED = "/auth/me"
LONGEST_MS = 50.0
AGAIN = 3
CODES = {"invalid-token", "unauthenticated"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A forged token and what came of it. `at_best` is the shortest time of several, where the first was too long."""

    forged: Forged
    status: int
    fault: str | None
    milliseconds: float
    at_best: float


def material_of(service: Service) -> Material:
    """What there is to forge from at this service, its signing secret included."""
    secret: str = json.loads((service.folder / "secrets.json").read_text())["secret_key"]
    admin = client(service.url, token_of(log_in(service.url, "admin", ADMIN_PASSWORD)))
    with admin:
        username = unique("forger")
        body = {"username": username, "email": "f@example.org"}
        made = admin.post("/admin/users", json=body).raise_for_status().json()
        admin.post("/auth/set-password", json={"token": made["setup_token"], "new_password": PASSWORD}).raise_for_status()
        setup: str = admin.post(f"/admin/users/{made['id']}/reset").raise_for_status().json()["setup_token"]
        saved = admin.post("/dark-data/survey/upsert", json={"fingerprint": unique("a-reader"), "field": "consent", "value": "accepted"})
    ended, tokens = (log_in(service.url, username, PASSWORD).json() for _ in range(2))
    with client(service.url, ended["access_token"]) as leaving:
        key = leaving.post("/auth/api-keys", json={"name": "gone", "scopes": ["read"], "expires_in_days": 1}).raise_for_status().json()
        leaving.delete(f"/auth/api-keys/{key['id']}").raise_for_status()
        leaving.post("/auth/logout").raise_for_status()
    texts = {
        "refresh token": tokens["refresh_token"],
        "ended session": ended["access_token"],
        "its refresh token": ended["refresh_token"],
        "set-up token": setup,
        "used set-up token": made["setup_token"],
        "respondent token": saved.raise_for_status().json()["respondent_token"],
        "revoked API key": key["key"],
        "username": username,
        "password": PASSWORD,
    }
    return Material(access=tokens["access_token"], secret=secret.encode(), texts=texts)


def fault_of(status: int, headers: http.client.HTTPMessage, body: bytes) -> str | None:
    """What is wrong with an answer to a forged token."""
    if status != 401:
        return f"{status} {body[:200]!r}"
    told: dict[str, Any] = json.loads(body)
    if told["code"] not in CODES or headers["www-authenticate"] != "Bearer" or headers["content-type"] != "application/problem+json":
        return f"401 {told['code']}, WWW-Authenticate: {headers['www-authenticate']}"
    return None


def send(connection: http.client.HTTPConnection, forged: Forged) -> Sent:
    """One token on an open connection, timed from the first byte out to the last one in."""
    began = time.perf_counter()
    connection.request("GET", ASKED, headers={"Authorization": forged.header})
    response = connection.getresponse()
    body = response.read()
    milliseconds = (time.perf_counter() - began) * 1000
    fault = fault_of(response.status, response.headers, body)
    return Sent(forged=forged, status=response.status, fault=fault, milliseconds=milliseconds, at_best=milliseconds)


def drill(service: Service, *, seed: int) -> list[Sent]:
    """What came of every forged token. Fails where the genuine one opens nothing: then nothing would have been shown."""
    material = material_of(service)
    assert _opens(service, material), "the genuine token is refused"
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)
    sent = [_timed_again(connection, send(connection, forged)) for forged in corpus(material, seed=seed)]
    connection.close()
    assert _opens(service, material), "the genuine token was lost on the way"
    return sent


def _timed_again(connection: http.client.HTTPConnection, sent: Sent) -> Sent:
    """The same, after more attempts where it took too long: the machine may have been busy, but a token to blame is slow each time."""
    if sent.milliseconds <= LONGEST_MS:
        return sent
    return replace(sent, at_best=min(send(connection, sent.forged).milliseconds for _ in range(AGAIN)))


def _opens(service: Service, material: Material) -> bool:
    answer = httpx.get(f"{service.url}{ASKED}", headers={"authorization": f"Bearer {material.access}"})
    return answer.status_code == 200


def report(sent: list[Sent]) -> int:
    """Print what came of it; how many answers no forged token may get, or came too late each time."""
    by_kind: defaultdict[str, list[Sent]] = defaultdict(list)
    for one in sent:
        by_kind[one.forged.kind].append(one)
    print(f"{'kind':16}{'tokens':>8}{'401':>8}{'other':>8}{'longest ms':>12}")
    for kind, those in [*by_kind.items(), ("all", sent)]:
        refused = sum(one.status == 401 for one in those)
        longest = max(one.milliseconds for one in those)
        print(f"{kind:16}{len(those):8}{refused:8}{len(those) - refused:8}{longest:12.1f}")
    statuses = sorted(Counter(one.status for one in sent).items())
    print("answers by status: " + ", ".join(f"{status}: {number}" for status, number in statuses))
    faults = [one for one in sent if one.fault]
    for one in faults[:20]:
        print(f"{one.forged.kind}: {one.fault}: {one.forged.header[:300]!r}")
    once = sum(one.milliseconds > LONGEST_MS for one in sent)
    always = sum(one.at_best > LONGEST_MS for one in sent)
    print(f"answers that no forged token may get: {len(faults)}")
    print(f"over {LONGEST_MS:.0f} ms: {once}; of these each time, in {AGAIN} more attempts: {always}")
    return len(faults) + always


def main() -> int:
    """1 when a forged token was answered anything but 401, or after more than 50 ms."""
    parser = argparse.ArgumentParser(prog="python -m tests.drills.tokens", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the same seed flips the same bits")
    asked = parser.parse_args()
    with serving("--demo", ADMIN_PASSWORD=ADMIN_PASSWORD, RATE_LIMITS="off") as service:
        sent = drill(service, seed=asked.seed)
    return 1 if report(sent) else 0


if __name__ == "__main__":
    sys.exit(main())
