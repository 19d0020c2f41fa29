"""Attacks on readers: who knows a fingerprint, and not the token, reads, changes and withdraws in another's name."""

import secrets
from collections.abc import Iterator

import httpx

from tests.drills.abuse.town import Ask, Loot, Owner, Town

HUGE = 2**63 - 1
MORE_THAN_THE_LIMIT = 40


def _guesses(owner: Owner, others_token: str) -> Iterator[Ask]:
    """Everything that might answer what is stored."""
    upsert, answers, response = (f"/{owner.project}/survey/{name}" for name in ("upsert", "answers", "response"))
    known = {"fingerprint": owner.fingerprint}
    tokens: list[dict[str, str]] = [{}, {"x-respondent-token": others_token}, {"x-respondent-token": secrets.token_urlsafe(32)}]
    for headers in tokens:
        yield Ask("POST", upsert, known | {"field": "secret", "value": "a guess", "seq": 0}, headers)
        yield Ask("POST", upsert, known | {"field": "consent", "value": "accepted", "seq": 0}, headers)
        yield Ask("POST", upsert, known | {"field": "secret", "value": None}, headers)
        yield Ask("POST", answers, known | {"answers": {"kept": "a guess", "consent": "accepted"}, "seq": 0}, headers)
        yield Ask("GET", response, None, headers)
        yield Ask("GET", f"{response}?fingerprint={owner.fingerprint}", None, headers)
    yield Ask("POST", answers, known | {"answers": {"secret": None}, "respondent_token": others_token})
    for public in ("survey", "survey/results", "survey/results?by=consent", "survey/codebook", "changes", "export?format=json"):
        yield Ask("GET", f"/{owner.project}/{public}")


async def read_by_fingerprint(town: Town) -> Loot:
    """Ask, without the own token, everything that might tell a stored answer."""
    tries = read = 0
    for owner in town.readers:
        others = next(one for one in town.readers if one.project == owner.project and one is not owner)
        async with town.stranger() as web:
            for ask in _guesses(owner, others.token):
                answer = await web.request(ask.method, ask.path, json=ask.body, headers=ask.headers)
                tries += 1
                read += owner.secret in answer.text or owner.secret in str(answer.headers)
    return Loot(attack="read a reader's answers by the fingerprint", tries=tries, read=read)


def _spoiling(owner: Owner) -> Iterator[Ask]:
    """Everything that might make the owner's next save fail, or undo what was saved."""
    upsert, answers = (f"/{owner.project}/survey/{name}" for name in ("upsert", "answers"))
    known = {"fingerprint": owner.fingerprint}
    for number in range(MORE_THAN_THE_LIMIT):
        yield Ask("POST", "/not-a-project/survey/upsert", known | {"field": "secret", "value": str(number)})
    yield Ask("POST", upsert, known | {"field": "secret", "value": "another's", "seq": HUGE})
    yield Ask("POST", answers, known | {"answers": {"secret": "another's", "kept": "another's"}, "seq": HUGE})
    yield Ask("POST", upsert, known | {"field": "secret", "value": None, "seq": HUGE})
    yield Ask("POST", upsert, known | {"field": "consent", "value": "declined", "seq": HUGE})
    yield Ask("POST", upsert, known | {"field": "consent", "value": None})
    yield Ask("POST", upsert, known | {"field": "secret", "value": "mine now"}, {"x-respondent-token": secrets.token_urlsafe(32)})
    yield Ask("DELETE", f"/{owner.project}/survey/response", None, {"x-respondent-token": secrets.token_urlsafe(32)})
    for number in range(MORE_THAN_THE_LIMIT):
        yield Ask("POST", upsert, known | {"field": "kept", "value": str(number)})


async def lock_out(town: Town) -> Loot:
    """Spoil, then let the owner go on: a save that is refused or does not come back is a reader locked out.

    An answer that is gone or another's counts as well for owners who brought the token with their first save.
    """
    tries = locked_out = 0
    for owner in town.readers:
        async with town.stranger() as web:
            for ask in _spoiling(owner):
                await web.request(ask.method, ask.path, json=ask.body, headers=ask.headers)
                tries += 1
        async with town.stranger() as web:
            if owner.brings_token:
                untouched = await _own(web, owner)
                locked_out += untouched.get("secret") != owner.secret or untouched.get("kept") != owner.secret
            saved = await owner.save(web, consent="accepted", secret=owner.secret)
            locked_out += not saved.is_success or (await _own(web, owner)).get("secret") != owner.secret
    return Loot(attack="lock a reader out, or undo what was saved", tries=tries, locked_out=locked_out)


async def _own(web: httpx.AsyncClient, owner: Owner) -> dict[str, str]:
    answer = await web.get(f"/{owner.project}/survey/response", headers={"x-respondent-token": owner.token})
    answers: dict[str, str] = answer.json().get("answers", {})
    return answers


async def watch_the_limit(town: Town) -> Loot:
    """Look in `RateLimit` for how often somebody else has saved."""
    owner = next(one for one in town.readers if one.brings_token and one.project == "by-fingerprint")
    told = set()
    async with town.stranger() as own:
        for _ in range(5):
            async with town.stranger() as web:
                body = {"fingerprint": owner.fingerprint, "field": "kept", "value": "a guess"}
                answer = await web.post(f"/{owner.project}/survey/upsert", json=body)
                told.add(answer.headers.get("ratelimit"))
            await owner.save(own, consent="accepted")
    return Loot(attack="see in RateLimit how often another saved", tries=5, read=len(told) - 1)
